/** A replica of the lease tests: its work, and what it knows of the lease. */
import { Effect, Fiber, type Layer } from "effect"
import type { Lease, LeaseState } from "../../src/clients/Lease.ts"

/** A holder that cannot renew for two thirds of it has lost it: longer than what holds up a busy machine. */
export const durationMillis = 9_000

export interface Replica {
  readonly held: () => boolean
  readonly state: () => LeaseState
  readonly isWorking: () => boolean
  /** How often its work has begun. */
  readonly terms: () => number
  /** As SIGTERM does. */
  readonly stop: () => Promise<void>
}

/** @param client its own: replicas share nothing but the server */
export const startReplica = <R, E>(make: Effect.Effect<Lease, never, R>, client: Layer.Layer<R, E>): Replica => {
  let lease: Lease | undefined
  let isWorking = false
  let terms = 0
  const work = Effect.acquireUseRelease(
    Effect.sync(() => {
      isWorking = true
      terms++
    }),
    () => Effect.never,
    () => Effect.sync(() => void (isWorking = false))
  )
  const fiber = Effect.runFork(
    Effect.gen(function* () {
      lease = yield* make
      return yield* lease.whileHeld(work)
    }).pipe(Effect.provide(client))
  )
  return {
    held: () => lease?.held() ?? false,
    state: () => lease?.state() ?? { held: false, holder: "", problem: undefined },
    isWorking: () => isWorking,
    terms: () => terms,
    stop: () => Effect.runPromise(Fiber.interrupt(fiber))
  }
}
