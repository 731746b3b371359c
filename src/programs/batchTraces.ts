/**
 * The traces of a batch of messages.
 *
 * A batch holds facts of several webhook batches, some of which are traced: it makes one span in each of their traces,
 * whatever the number of messages.
 */
import { Clock, Effect, Tracer } from "effect"
import type { Delivery, OutgoingMessage } from "../clients/nats/Nats.ts"
import { headerNames } from "../domain/streams.ts"
import { traceContextFrom, traceparentOf } from "../domain/traceparent.ts"
import { recorded, Tracing } from "../runtime/Tracing.ts"

export interface BatchTraces {
  /** What a message was made into, in that message's trace. */
  readonly passOn: (from: Delivery, made: OutgoingMessage) => OutgoingMessage
  /** Counts something that became of the message, on the span of its trace. */
  readonly count: (from: Delivery, what: string) => void
}

/** Of a batch of which nothing is traced. */
const untraced: BatchTraces = { passOn: (_from, made) => made, count: () => undefined }

/** Handles the batch within the spans that it has in the traces of its messages. */
export const inTracesOf = <A, E, R>(
  batch: ReadonlyArray<Delivery>,
  name: string,
  handle: (traces: BatchTraces) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.flatMap(Tracing, (tracing) => {
    if (tracing === undefined) return handle(untraced)
    const traces = tracesIn(batch)
    return traces.size === 0 ? handle(untraced) : recorded(tracing, withSpans(batch, traces, name, handle))
  })

/** Messages by the traceparent that they came with. */
type Traces = ReadonlyMap<string, number>

const tracesIn = (batch: ReadonlyArray<Delivery>): Traces => {
  const traces = new Map<string, number>()
  for (const delivery of batch) {
    const traceparent = delivery.header(headerNames.trace)
    if (traceparent !== "") traces.set(traceparent, (traces.get(traceparent) ?? 0) + 1)
  }
  return traces
}

/**
 * What is done for the batch as a whole, its inserts for one, is told within the first of the spans; the others lead to
 * it by a link.
 */
const withSpans = <A, E, R>(
  batch: ReadonlyArray<Delivery>,
  traces: Traces,
  name: string,
  handle: (traces: BatchTraces) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const begun = new Map<string, Begun>()
    let first: Tracer.Span | undefined
    for (const [traceparent, messages] of traces) {
      const parent = traceContextFrom(traceparent)
      if (parent === undefined) continue
      const span: Tracer.Span = yield* Effect.makeSpan(name, {
        kind: "consumer",
        parent: Tracer.externalSpan(parent),
        links: first === undefined ? [] : [{ span: first, attributes: {} }],
        attributes: { "activity.stream": batch[0]?.stream ?? "", "activity.batch_messages": batch.length }
      })
      first ??= span
      begun.set(traceparent, { span, counts: new Map([["messages", messages]]) })
    }
    if (first === undefined) return yield* handle(untraced)
    const of = (from: Delivery) => begun.get(from.header(headerNames.trace))
    return yield* handle({
      passOn: (from, made) => {
        const found = of(from)
        if (found === undefined) return made
        return { ...made, headers: { ...made.headers, [headerNames.trace]: traceparentOf(found.span) } }
      },
      count: (from, what) => {
        const found = of(from)
        found?.counts.set(what, (found.counts.get(what) ?? 0) + 1)
      }
    }).pipe(
      Effect.withParentSpan(first),
      Effect.onExit((exit) =>
        Effect.sync(() => {
          const endTime = clock.currentTimeNanosUnsafe()
          for (const { counts, span } of begun.values()) {
            for (const [what, count] of counts) span.attribute(`activity.${what}`, count)
            span.end(endTime, exit)
          }
        })
      )
    )
  })

interface Begun {
  readonly span: Tracer.Span
  readonly counts: Map<string, number>
}
