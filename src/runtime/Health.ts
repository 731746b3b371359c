/**
 * What the probes answer: every dependency and every progress registers a check here.
 *
 * `ready` checks decide `/readyz` (this replica may receive traffic, or does its work); `informative` ones are shown by
 * `/healthz?verbose` and metrics only: an unavailable aggregated group hangs namespace deletion in the whole cluster, so
 * the API server registers ClickHouse and NATS as informative.
 */
import { Context, Effect, Layer, Schedule } from "effect"

export interface HealthCheck {
  readonly name: string
  readonly role: "ready" | "informative"
  /** Undefined when all is well, else a sentence. Called often: it reads state, it does no I/O. */
  readonly problem: () => string | undefined
  /** Said beside "ok", where being well has more than one form. */
  readonly note?: () => string
}

export interface HealthReport {
  readonly ready: boolean
  readonly checks: ReadonlyArray<{
    readonly name: string
    readonly role: string
    readonly problem: string | undefined
    readonly note?: string
  }>
}

export class Health extends Context.Service<
  Health,
  {
    /** Registers a check under its name; the same name again replaces it. */
    readonly register: (check: HealthCheck) => Effect.Effect<void>
    readonly report: () => HealthReport
  }
>()("activity/runtime/Health") {
  static readonly layer = Layer.sync(Health, () => {
    const checks = new Map<string, HealthCheck>()
    return Health.of({
      register: (check) => Effect.sync(() => void checks.set(check.name, check)),
      report: () => {
        const results = [...checks.values()].map((check) => ({
          name: check.name,
          role: check.role,
          problem: check.problem(),
          ...(check.note === undefined ? {} : { note: check.note() })
        }))
        return {
          ready: results.every((result) => result.role !== "ready" || result.problem === undefined),
          checks: results
        }
      }
    })
  })
}

/** A second apart: what a start takes on a loaded machine. */
const startLooks = 6

/**
 * One log line when a check turns bad, one when it is good again. Runs for ever.
 *
 * A check is bad when two looks, a second apart, say so: what heals by itself at once is no news. One that was never well
 * has the first {@link startLooks} looks for it: a program that starts has not asked everybody yet.
 */
export const logHealthChanges: Effect.Effect<never, never, Health> = Effect.gen(function* () {
  const health = yield* Health
  const logged = new Set<string>()
  /** How many looks in a row were bad. */
  const badLooks = new Map<string, number>()
  const wasWell = new Set<string>()
  const look = Effect.gen(function* () {
    const { checks } = health.report()
    for (const { name, problem } of checks) {
      if (problem === undefined) {
        wasWell.add(name)
        badLooks.delete(name)
        if (logged.delete(name)) yield* Effect.logInfo(`${name}: is well again`)
        continue
      }
      const looks = (badLooks.get(name) ?? 0) + 1
      badLooks.set(name, looks)
      if (looks < (wasWell.has(name) ? 2 : startLooks) || logged.has(name)) continue
      logged.add(name)
      yield* Effect.logWarning(`${name}: ${problem}`)
    }
  })
  return yield* look.pipe(Effect.repeat(Schedule.spaced("1 second")), Effect.andThen(Effect.never))
})
