/**
 * The loop of every program that consumes a stream: take a batch, make it safe, acknowledge it.
 *
 * At least once: a batch is acknowledged only after `handle` has succeeded. A retryable failure tries the same batch
 * again for ever, with a capped, jittered backoff, so that back-pressure reaches the stream and nothing is lost; any
 * other failure ends the program.
 */
import { Clock, type Duration, Effect, Schedule } from "effect"
import type { Consumer, Delivery, NatsError } from "../clients/nats/Nats.ts"
import { Health } from "../runtime/Health.ts"
import { type BatchTraces, inTracesOf } from "./batchTraces.ts"

export interface BatchLoop<E, R> {
  /** For the log and the probes: which flow this is, as in "AUDIT_EVENTS to audit_logs". */
  readonly name: string
  readonly consumer: Consumer
  readonly batchMax: number
  readonly batchWait: Duration.Input
  /** Batches handled at once. More than one lets the next be read while this one waits for the other side. */
  readonly inFlight: number
  readonly handle: (batch: ReadonlyArray<Delivery>, traces: BatchTraces) => Effect.Effect<void, E, R>
  /** Of what a batch does in the traces of its messages, as in "writer.batch". */
  readonly span: string
}

/** 100 ms, doubled up to 10 s, jittered. */
export const untilHealed = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("10 seconds")]).pipe(
  Schedule.jittered
)

/** A batch that is tried again for longer than this is no progress: the replica is not ready. */
const stuckMillisMax = 5_000

/** @fails what is not retryable */
export const consumeBatches = <E extends { readonly retryable: boolean; readonly message: string }, R>(
  loop: BatchLoop<E, R>
): Effect.Effect<never, E | NatsError, R | Health> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const health = yield* Health
    /** Batches that are being tried again: since when, and why. */
    const failing = new Map<symbol, { readonly sinceMillis: number; readonly why: string }>()
    yield* health.register({
      name: loop.name,
      role: "ready",
      problem: () => {
        if (!loop.consumer.healthy()) return "its consumer does not answer"
        for (const { sinceMillis, why } of failing.values()) {
          const seconds = Math.round((clock.currentTimeMillisUnsafe() - sinceMillis) / 1000)
          if (seconds * 1000 >= stuckMillisMax) return `the same batch has been tried for ${seconds} s: ${why}`
        }
        return undefined
      }
    })
    const once = Effect.gen(function* () {
      const batch = yield* loop.consumer.take(loop.batchMax, loop.batchWait)
      if (batch.length === 0) return
      const own = Symbol("batch")
      yield* inTracesOf(batch, loop.span, (traces) =>
        loop.handle(batch, traces).pipe(
          Effect.tapError((error) => {
            if (failing.has(own) || !error.retryable) return Effect.void
            failing.set(own, { sinceMillis: clock.currentTimeMillisUnsafe(), why: error.message })
            return Effect.logWarning(`${loop.name}: waiting`, error)
          }),
          Effect.retry({ schedule: untilHealed, while: (error) => error.retryable }),
          Effect.tap(() => (failing.delete(own) ? Effect.logInfo(`${loop.name}: goes on`) : Effect.void)),
          Effect.ensuring(Effect.sync(() => failing.delete(own)))
        )
      )
      // A lost acknowledgement only means that the batch comes again: its facts have the same keys.
      yield* loop.consumer.acknowledge(batch).pipe(
        Effect.catchIf(
          (error) => error.retryable,
          (error) => Effect.logDebug(`${loop.name}: not confirmed`, error)
        )
      )
    })
    return yield* Effect.all(
      Array.from({ length: loop.inFlight }, () => Effect.forever(once)),
      { concurrency: "unbounded" }
    ).pipe(Effect.andThen(Effect.never))
  })
