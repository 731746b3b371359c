/**
 * The loop of every program that consumes a stream: take a batch, make it safe, acknowledge it.
 *
 * At least once: a batch is acknowledged only after `handle` has succeeded. A retryable failure tries the same batch
 * again for ever, with a capped, jittered backoff, so that back-pressure reaches the stream and nothing is lost; any
 * other failure ends the program.
 */
import { Cause, type Duration, Effect, Schedule } from "effect"
import type { Consumer, Delivery, NatsError } from "../clients/nats/Nats.ts"

export interface BatchLoop<E, R> {
  /** For the log: which flow this is, as in "AUDIT_EVENTS to audit_logs". */
  readonly name: string
  readonly consumer: Consumer
  readonly batchMax: number
  readonly batchWait: Duration.Input
  /** Batches handled at once. More than one lets the next be read while this one waits for the other side. */
  readonly inFlight: number
  readonly handle: (batch: ReadonlyArray<Delivery>) => Effect.Effect<void, E, R>
}

/** 100 ms, doubled up to 10 s, jittered. */
export const untilHealed = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("10 seconds")]).pipe(
  Schedule.jittered
)

/** @fails what is not retryable */
export const consumeBatches = <E extends { readonly retryable: boolean }, R>(
  loop: BatchLoop<E, R>
): Effect.Effect<never, E | NatsError, R> => {
  const once = Effect.gen(function*() {
    const batch = yield* loop.consumer.take(loop.batchMax, loop.batchWait)
    if (batch.length === 0) return
    let failing = false
    yield* loop.handle(batch).pipe(
      Effect.tapError((error) => {
        if (failing || !error.retryable) return Effect.void
        failing = true
        return Effect.logWarning(`${loop.name}: waiting`, Cause.fail(error))
      }),
      Effect.retry({ schedule: untilHealed, while: (error) => error.retryable })
    )
    if (failing) yield* Effect.logInfo(`${loop.name}: goes on`)
    // A lost acknowledgement only means that the batch comes again: its facts have the same keys.
    yield* loop.consumer.acknowledge(batch).pipe(
      Effect.catchIf((error) => error.retryable, (error) => Effect.logDebug(`${loop.name}: not confirmed`, error))
    )
  })
  return Effect.all(
    Array.from({ length: loop.inFlight }, () => Effect.forever(once)),
    { concurrency: "unbounded" }
  ).pipe(Effect.andThen(Effect.never))
}
