/**
 * Traces: which work is one, and how it goes on in the next program.
 *
 * Off unless a program's layer says otherwise, and then nothing is made, looked at or sent. A trace is begun for a part
 * of all requests and batches, or goes on with the caller's; all that is done within it can be seen, the rest costs a
 * comparison.
 *
 * @decision 0030-tracing
 */
import { Context, Effect, Random, Tracer } from "effect"
import { traceContextFrom, traceparentOf } from "../domain/traceparent.ts"

export interface TracingOptions {
  readonly tracer: Tracer.Tracer
  /** The part of what nobody traces yet that is traced, 0 to 1. */
  readonly ratio: number
}

/** Undefined: nothing is traced. */
export const Tracing = Context.Reference<TracingOptions | undefined>("activity/runtime/Tracing", {
  defaultValue: () => undefined
})

export interface TracedWork {
  readonly kind: Tracer.SpanKind
  /** What the caller sent; without, or where it is none, a trace may begin here. */
  readonly traceparent?: string | undefined
  readonly attributes?: Readonly<Record<string, unknown>>
}

/** The work, as the first span of this process in its trace; or alone, where it is not traced. */
export const traced = <A, E, R>(
  name: string,
  { attributes = {}, kind, traceparent }: TracedWork,
  work: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.flatMap(Tracing, (tracing) => {
    if (tracing === undefined) return work
    const caller = traceparent === undefined ? undefined : traceContextFrom(traceparent)
    const sampled =
      caller === undefined ? Effect.map(Random.next, (next) => next < tracing.ratio) : Effect.succeed(caller.sampled)
    const parent = caller === undefined ? { root: true } : { parent: Tracer.externalSpan(caller) }
    return Effect.flatMap(sampled, (isSampled) =>
      isSampled ? recorded(tracing, Effect.withSpan(work, name, { ...parent, kind, attributes })) : work
    )
  })

/** Spans of this work are recorded. */
export const recorded = <A, E, R>({ tracer }: TracingOptions, work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  work.pipe(Effect.withTracer(tracer), Effect.withTracerEnabled(true))

/** What is sent along with a request or message, for the other side to go on with. Undefined: it is not traced. */
export const currentTraceparent: Effect.Effect<string | undefined> = Effect.withFiber((fiber) => {
  const { span, tracerEnabled } = fiber.cache
  const isRecorded = fiber.getRef(Tracing) !== undefined && tracerEnabled && span?.sampled === true
  return Effect.succeed(isRecorded ? traceparentOf(span) : undefined)
})
