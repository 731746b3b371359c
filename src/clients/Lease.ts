/**
 * One of several replicas at a time.
 *
 * Who holds it renews it at a third of its duration and trusts a renewal for two thirds, counted from before it was sent;
 * who waits takes it over when it has seen no renewal for all of it. Both count by their own monotonic clock, which goes on while a
 * process is stopped: one that was stopped for long finds its trust at an end before it does anything else.
 */
import { Clock, Effect, Random, Result } from "effect"

export interface LeaseOptions {
  readonly name: string
  /** Who we are; no other replica is called so, nor is this one after a restart. */
  readonly holder: string
  /** Whole seconds, at least 3. */
  readonly durationMillis: number
}

/** For the probes. */
export type LeaseState = { readonly held: boolean; readonly holder: string; readonly problem: string | undefined }

/** What is written where all replicas see it. */
export interface LeaseRecord {
  /** "" when it was given back. */
  readonly holder: string
  /** Another one after each write. */
  readonly version: string
  readonly durationMillis: number
}

/** Where the lease is kept. */
export interface LeaseStore<A extends LeaseRecord, E extends { readonly message: string }> {
  /** Undefined: nobody has had it yet. */
  readonly read: Effect.Effect<A | undefined, E>
  /** Only while it is as it was found. @param heldBy "" gives it back */
  readonly write: (found: A | undefined, heldBy: string) => Effect.Effect<A, E>
  /** Somebody else was faster. */
  readonly raced: (error: E) => boolean
}

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
  readonly whileHeld: <E, R>(work: Effect.Effect<never, E, R>) => Effect.Effect<never, E, R>
}

export const leaseKeptIn = <A extends LeaseRecord, E extends { readonly message: string }>(
  store: LeaseStore<A, E>,
  options: LeaseOptions
): Effect.Effect<Lease> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const now = () => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)

    const { durationMillis } = options
    let trustedUntil = Number.NEGATIVE_INFINITY
    let holder = ""
    let problem: string | undefined = undefined
    /** What a standby has seen last, and when it saw it first. */
    let seen = { version: "", at: 0 }
    const held = () => now() < trustedUntil

    const write = (found: A | undefined, heldBy: string) =>
      Effect.gen(function* () {
        const sentAt = now()
        const written = yield* store.write(found, heldBy)
        if (heldBy === options.holder) trustedUntil = sentAt + durationMillis * trustPart
        return written
      })

    const timely = <B>(effect: Effect.Effect<B, E>) =>
      effect.pipe(
        Effect.mapError((error) => ({ message: error.message, raced: store.raced(error) })),
        Effect.timeoutOrElse({
          duration: durationMillis * answerPart,
          orElse: () => Effect.fail({ message: `lease ${options.name}: no answer in time`, raced: false })
        })
      )

    /** @returns our lease, or how long to wait until the next try */
    const acquire = Effect.gen(function* () {
      const found = yield* timely(store.read)
      holder = found?.holder ?? ""
      const version = found?.version ?? ""
      if (version !== seen.version) seen = { version, at: now() }
      const free = found === undefined || holder === "" || holder === options.holder
      const freeAt = seen.at + (found?.durationMillis ?? durationMillis)
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
              problem = error.raced ? undefined : error.message
              return { waitMillis: durationMillis * retryPart }
            })
          )
        )
        if ("lease" in outcome) return outcome.lease
        yield* Effect.sleep(outcome.waitMillis + Math.floor((yield* Random.next) * 200))
      }
    })

    /** Ends when the lease is lost, or cannot be trusted any more. */
    const keep = (first: A) =>
      Effect.gen(function* () {
        let lease = first
        for (;;) {
          yield* Effect.sleep(durationMillis * renewPart)
          for (;;) {
            if (!held()) return
            const renewed = yield* Effect.result(timely(write(lease, options.holder)))
            if (Result.isSuccess(renewed)) {
              lease = renewed.success
              if (held()) break
              // We were stopped meanwhile, and it is too old already: another may have it.
              return
            }
            if (renewed.failure.raced) {
              const found = yield* Effect.result(timely(store.read))
              if (Result.isSuccess(found)) {
                holder = found.success?.holder ?? ""
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
      const found = yield* timely(store.read)
      if (found?.holder === options.holder) yield* timely(write(found, ""))
    }).pipe(Effect.ignore)

    return {
      held,
      state: () => ({ held: held(), holder, problem }),
      whileHeld: (work) =>
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
