import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, References, Tracer } from "effect"
import type { StoredMessage } from "../../../src/clients/nats/Nats.ts"
import { traceparentOf } from "../../../src/domain/traceparent.ts"
import { traced, Tracing } from "../../../src/runtime/Tracing.ts"
import { UnshownTraces } from "../../../src/serve/facts/UnshownTraces.ts"

const traceOf = (number: number) => ({
  traceId: number.toString(16).padStart(32, "a"),
  spanId: number.toString(16).padStart(16, "b")
})

const message = (sequence: number, traceparent: string): StoredMessage => ({
  stream: "ACTIVITIES",
  subject: "activities.one",
  sequence,
  timeMillis: 0,
  body: Buffer.of(),
  header: (name) => (name === "traceparent" ? traceparent : "")
})

const recording = () => {
  const spans: Array<Tracer.Span> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  return { spans, tracing: { tracer, ratio: 1 } }
}

/** A page with the facts of these sequences. */
const page = (unshown: UnshownTraces, ...sequences: ReadonlyArray<number>) =>
  unshown.showing(Effect.succeed(sequences.map((sequence) => ({ sequence }))), (facts) => facts, {
    resource: "activities"
  })

/** As a program's layer has it: spans are off but for what is traced. */
const inProgram = Effect.provideService(References.TracerEnabled, false)

const told = (spans: ReadonlyArray<Tracer.Span>) =>
  spans.map(({ attributes, parent, status, traceId }) => ({
    traceId,
    parent: Option.getOrUndefined(parent)?.spanId,
    facts: attributes.get("activity.facts"),
    ended: status._tag === "Ended"
  }))

describe("traces that no list has shown", () => {
  it.effect("get a span of the first page with their facts, whatever the number of facts, and of no later one", () =>
    Effect.gen(function* () {
      const { spans, tracing } = recording()
      const unshown = new UnshownTraces(tracing)
      for (const sequence of [1, 2, 3]) unshown.add(message(sequence, traceparentOf(traceOf(7))))
      unshown.add(message(4, ""))
      unshown.add(message(5, traceparentOf(traceOf(8))))
      yield* page(unshown, 9, 4)
      assert.deepStrictEqual(spans, [])
      yield* page(unshown, 5, 4, 2, 1)
      const shownIn = (number: number, facts: number) => ({
        traceId: traceOf(number).traceId,
        parent: traceOf(number).spanId,
        facts,
        ended: true
      })
      assert.deepStrictEqual(told(spans), [shownIn(8, 1), shownIn(7, 2)])
      yield* page(unshown, 5, 4, 2, 1)
      assert.lengthOf(spans, 2)
      yield* page(unshown, 3, 2)
      assert.deepStrictEqual(told(spans).slice(2), [shownIn(7, 1)])
    }).pipe(inProgram)
  )

  it.effect("lead to the request that showed them, where that is traced", () =>
    Effect.gen(function* () {
      const { spans, tracing } = recording()
      const unshown = new UnshownTraces(tracing)
      unshown.add(message(1, traceparentOf(traceOf(7))))
      yield* traced("apiserver.list", { kind: "server" }, page(unshown, 1)).pipe(
        Effect.provideService(Tracing, tracing)
      )
      const [request, shown] = spans
      assert.deepStrictEqual(
        shown?.links.map(({ span }) => span.spanId),
        [request?.spanId]
      )
      assert.notStrictEqual(shown?.traceId, request?.traceId)
    }).pipe(inProgram)
  )

  it.effect("are 16,384 at most: the oldest go", () =>
    Effect.gen(function* () {
      const { spans, tracing } = recording()
      const unshown = new UnshownTraces(tracing)
      for (let sequence = 0; sequence <= 16_384; sequence++) unshown.add(message(sequence, traceparentOf(traceOf(1))))
      yield* page(unshown, 0)
      assert.lengthOf(spans, 0)
      yield* page(unshown, 1)
      assert.lengthOf(spans, 1)
    }).pipe(inProgram)
  )

  it.effect("of one page are 64 at most", () =>
    Effect.gen(function* () {
      const { spans, tracing } = recording()
      const unshown = new UnshownTraces(tracing)
      const sequences = Array.from({ length: 100 }, (_, index) => index)
      for (const sequence of sequences) unshown.add(message(sequence, traceparentOf(traceOf(sequence))))
      yield* page(unshown, ...sequences)
      assert.lengthOf(spans, 64)
    }).pipe(inProgram)
  )

  it.effect("are not even looked for where tracing is off", () =>
    Effect.gen(function* () {
      const unshown = new UnshownTraces(undefined)
      unshown.add({
        ...message(1, ""),
        header: () => {
          throw new Error("looked at")
        }
      })
      assert.deepStrictEqual(yield* page(unshown, 1), [{ sequence: 1 }])
    }).pipe(inProgram)
  )
})
