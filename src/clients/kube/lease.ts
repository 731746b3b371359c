/**
 * One of several replicas at a time: a Lease of coordination.k8s.io.
 *
 * Who holds it renews it at a third of its duration and trusts a renewal for two thirds, counted from before it was sent;
 * who waits takes it over when it has seen no renewal for all of it. Both count by their own monotonic clock, which goes on while a
 * process is stopped: one that was stopped for long finds its trust at an end before it does anything else.
 *
 * @source https://kubernetes.io/docs/concepts/architecture/leases/
 */
import { Clock, DateTime, Effect, Random, Result } from "effect"
import { Kube, type KubeError } from "./Kube.ts"
import { isStatus, unavailable } from "./kubeFailures.ts"

export interface LeaseOptions {
  readonly namespace: string
  readonly name: string
  /** Who we are; no other replica is called so, nor is this one after a restart. */
  readonly holder: string
  /** Whole seconds, at least 3. */
  readonly durationMillis: number
}

/** For the probes. */
export type LeaseState = { readonly held: boolean; readonly holder: string; readonly problem: string | undefined }

/** Parts of the lease's duration: when it is renewed, and how long a renewal is trusted. The rest is for who takes over. */
const renewPart = 1 / 3
const trustPart = 2 / 3
/** A renewal that has no answer by then is tried again, at once after this pause. */
const answerPart = 1 / 5
const retryPart = 1 / 15
/** A standby looks at least so often. */
const lookMillisMax = 2_000
/** Between two looks of who waits for a renewal. */
const heldPause = "100 millis"

export interface Lease {
  /** True only as long as nobody else can hold it. Asked before each thing that others must not do as well. */
  readonly held: () => boolean
  readonly state: () => LeaseState
  /** Runs `work` while it is held, from the start each time, interrupted when it is lost; for ever, or until `work` fails. */
  readonly whileHeld: <E, R>(work: Effect.Effect<never, E, R>) => Effect.Effect<never, E, R | Kube>
}

export const makeLease = (options: LeaseOptions): Effect.Effect<Lease, never, Kube> =>
  Effect.gen(function* () {
    const kube = yield* Kube
    const clock = yield* Clock.Clock
    const now = () => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
    const path = `/apis/coordination.k8s.io/v1/namespaces/${options.namespace}/leases`

    const { durationMillis } = options
    let trustedUntil = Number.NEGATIVE_INFINITY
    let holder = ""
    let problem: string | undefined = undefined
    /** What a standby has seen last, and when it saw it first. */
    let seen = { version: "", at: 0 }
    const held = () => now() < trustedUntil

    const stamp = Effect.map(DateTime.now, (time) => `${DateTime.formatIso(time).slice(0, 23)}000Z`)

    const write = (found: LeaseObject | undefined, heldBy: string) =>
      Effect.gen(function* () {
        const sentAt = now()
        const time = yield* stamp
        const renewed = found?.spec?.holderIdentity === heldBy
        const body = {
          apiVersion: "coordination.k8s.io/v1",
          kind: "Lease",
          metadata: { ...found?.metadata, name: options.name, namespace: options.namespace },
          spec: {
            holderIdentity: heldBy,
            leaseDurationSeconds: Math.ceil(durationMillis / 1_000),
            acquireTime: renewed ? (found?.spec?.acquireTime ?? time) : time,
            renewTime: time,
            leaseTransitions: (found?.spec?.leaseTransitions ?? 0) + (renewed || heldBy === "" ? 0 : 1)
          }
        }
        const answer = yield* found === undefined
          ? kube.call({ method: "POST", path, body })
          : kube.call({ method: "PUT", path: `${path}/${options.name}`, body })
        if (heldBy === options.holder) trustedUntil = sentAt + durationMillis * trustPart
        // The server answers what it has stored, in the form of what was sent.
        return answer as LeaseObject
      })

    const read = kube.call({ method: "GET", path: `${path}/${options.name}` }).pipe(
      // A Lease by its path; fields that are missing are undefined.
      Effect.map((answer): LeaseObject | undefined => answer as LeaseObject),
      Effect.catchIf(
        (error) => isStatus(error, 404),
        () => Effect.succeed(undefined)
      )
    )

    const timely = <A>(effect: Effect.Effect<A, KubeError>) =>
      effect.pipe(
        Effect.timeoutOrElse({
          duration: durationMillis * answerPart,
          orElse: () => Effect.fail(unavailable(`lease ${options.name}`, new Error("no answer in time")))
        })
      )

    /** @returns our lease, or how long to wait until the next try */
    const acquire = Effect.gen(function* () {
      const found = yield* timely(read)
      holder = found?.spec?.holderIdentity ?? ""
      const version = found?.metadata?.resourceVersion ?? ""
      if (version !== seen.version) seen = { version, at: now() }
      const free = found === undefined || holder === "" || holder === options.holder
      const freeAt = seen.at + (found?.spec?.leaseDurationSeconds ?? durationMillis / 1_000) * 1_000
      if (!free && now() < freeAt) return { waitMillis: Math.min(lookMillisMax, Math.max(10, freeAt - now())) }
      const lease = yield* timely(write(found, options.holder))
      holder = options.holder
      return { lease }
    })

    const waitForIt = Effect.gen(function* () {
      for (;;) {
        const outcome = yield* acquire.pipe(
          Effect.tap(() => Effect.sync(() => void (problem = undefined))),
          Effect.catch((error) =>
            Effect.sync(() => {
              // Another was faster: that is no problem.
              problem = isStatus(error, 409) ? undefined : error.message
              return { waitMillis: durationMillis * retryPart }
            })
          )
        )
        if ("lease" in outcome) return outcome.lease
        yield* Effect.sleep(outcome.waitMillis + Math.floor((yield* Random.next) * 200))
      }
    })

    /** Ends when the lease is lost, or cannot be trusted any more. */
    const keep = (first: LeaseObject) =>
      Effect.gen(function* () {
        let lease = first
        for (;;) {
          yield* Effect.sleep(durationMillis * renewPart)
          for (;;) {
            if (!held()) return
            const renewed = yield* Effect.result(timely(write(lease, options.holder)))
            if (Result.isSuccess(renewed)) {
              lease = renewed.success
              break
            }
            if (isStatus(renewed.failure, 404, 409)) {
              const found = yield* Effect.result(timely(read))
              if (Result.isSuccess(found)) {
                holder = found.success?.spec?.holderIdentity ?? ""
                if (found.success === undefined || holder !== options.holder) return
                // Somebody else changed it, a label perhaps.
                lease = found.success
              }
            }
            yield* Effect.sleep(durationMillis * retryPart)
          }
        }
      })

    const release = Effect.gen(function* () {
      if (!held()) return
      trustedUntil = Number.NEGATIVE_INFINITY
      const found = yield* timely(read)
      if (found?.spec?.holderIdentity === options.holder) yield* timely(write(found, ""))
    }).pipe(Effect.ignore)

    return {
      held,
      state: () => ({ held: held(), holder, problem }),
      whileHeld: <E, R>(work: Effect.Effect<never, E, R>) =>
        Effect.gen(function* () {
          for (;;) {
            const lease = yield* waitForIt
            yield* Effect.logInfo("the lease is ours", { lease: options.name, holder: options.holder })
            yield* Effect.raceFirst(keep(lease), work)
            trustedUntil = Number.NEGATIVE_INFINITY
            seen = { version: "", at: 0 }
            yield* Effect.logWarning("the lease was lost", { lease: options.name, holder })
          }
        }).pipe(Effect.ensuring(release))
    }
  })

/**
 * Returns when the lease is held, at once as a rule. One whose renewal comes late is trusted again: nobody else had it
 * meanwhile, or the server would have refused the renewal. A lease that is lost interrupts whoever waits here.
 */
export const whenHeld = (lease: Pick<Lease, "held">): Effect.Effect<void> =>
  Effect.suspend(() => (lease.held() ? Effect.void : Effect.delay(whenHeld(lease), heldPause)))

interface LeaseObject {
  readonly metadata?: { readonly resourceVersion?: string }
  readonly spec?: {
    readonly holderIdentity?: string
    readonly leaseDurationSeconds?: number
    readonly acquireTime?: string
    readonly leaseTransitions?: number
  }
}
