/**
 * The traces of facts that the stream has told and no list has shown yet.
 *
 * A trace that began with a webhook batch ends where somebody can see what became of it: the first list of this server
 * that holds one of its facts is a span in it. Later ones are not, or every reader of old facts would add to their
 * traces.
 *
 * @decision 0030-tracing
 */
import { Clock, Effect, Exit, Tracer } from "effect"
import type { StoredMessage } from "../../clients/nats/Nats.ts"
import { headerNames } from "../../domain/streams.ts"
import { traceContextFrom } from "../../domain/traceparent.ts"
import { currentTraceparent, type TracingOptions } from "../../runtime/Tracing.ts"

/** As many as are held for watches; the oldest go. Some 8 MB, where every activity is traced. */
const heldMax = 16_384
/** Of one page of a list. */
const tracesOfPageMax = 64

interface Shown {
  readonly sequence: number
}

export class UnshownTraces {
  readonly #tracing: TracingOptions | undefined
  /** The traceparent of a message, by its sequence; in order. */
  readonly #held = new Map<number, string>()

  /** @param tracing undefined: nothing is held */
  constructor(tracing: TracingOptions | undefined) {
    this.#tracing = tracing
  }

  add(message: StoredMessage): void {
    if (this.#tracing === undefined) return
    const traceparent = message.header(headerNames.trace)
    if (traceparent === "") return
    this.#held.set(message.sequence, traceparent)
    if (this.#held.size <= heldMax) return
    for (const oldest of this.#held.keys()) {
      this.#held.delete(oldest)
      return
    }
  }

  /** Reads a page; that it shows facts for the first time is told in their traces. */
  showing<A, E, R>(
    read: Effect.Effect<A, E, R>,
    factsOf: (page: A) => ReadonlyArray<Shown>,
    attributes: Readonly<Record<string, string>>
  ): Effect.Effect<A, E, R> {
    const tracing = this.#tracing
    if (tracing === undefined) return read
    return Effect.gen({ self: this }, function* () {
      const clock = yield* Clock.Clock
      const startTime = clock.currentTimeNanosUnsafe()
      const page = yield* read
      const traces = this.#take(factsOf(page))
      if (traces.size === 0) return page
      const request = traceContextFrom((yield* currentTraceparent) ?? "")
      const links = request === undefined ? [] : [{ span: Tracer.externalSpan(request), attributes: {} }]
      for (const [traceparent, facts] of traces) {
        const parent = traceContextFrom(traceparent)
        if (parent === undefined) continue
        const span = yield* Effect.makeSpan("apiserver.shown", {
          parent: Tracer.externalSpan(parent),
          kind: "consumer",
          links,
          attributes: { ...attributes, "activity.facts": facts }
        }).pipe(Effect.withTracer(startingAt(tracing.tracer, startTime)), Effect.withTracerEnabled(true))
        span.end(clock.currentTimeNanosUnsafe(), Exit.void)
      }
      return page
    })
  }

  /** @returns how many of the facts are shown first, by their traces */
  #take(facts: ReadonlyArray<Shown>): ReadonlyMap<string, number> {
    const traces = new Map<string, number>()
    if (this.#held.size === 0) return traces
    for (const { sequence } of facts) {
      const traceparent = this.#held.get(sequence)
      if (traceparent === undefined) continue
      if (!traces.has(traceparent) && traces.size >= tracesOfPageMax) continue
      this.#held.delete(sequence)
      traces.set(traceparent, (traces.get(traceparent) ?? 0) + 1)
    }
    return traces
  }
}

const startingAt = (tracer: Tracer.Tracer, startTime: bigint): Tracer.Tracer =>
  Tracer.make({ span: (options) => tracer.span({ ...options, startTime }) })
