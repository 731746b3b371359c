/** Against a real HTTP server that takes OTLP. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Tracer } from "effect"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import { makeSpanExport } from "../../src/runtime/SpanExport.ts"
import { eventually } from "../support/eventually.ts"
import { startTraceCollector, type TraceCollector } from "../support/traceCollector.ts"

const exportTo = (collector: TraceCollector) =>
  makeSpanExport({ endpoint: `${collector.url}/`, headers: { "x-key": "secret" }, serviceName: "activity-test" })

const endSpans = (tracer: Tracer.Tracer, count: number) =>
  Effect.void.pipe(
    Effect.withSpan("one", { attributes: { number: 1 } }),
    Effect.repeat({ times: count - 1 }),
    Effect.withTracer(tracer)
  )

/** What became of spans in this process, since `before`. */
const counted = (before = { sent: 0, lost: 0 }) =>
  Effect.gen(function* () {
    const text = yield* PrometheusMetrics.format()
    const countOf = (outcome: string) =>
      Number(new RegExp(`^activity_trace_spans_total\\{outcome="${outcome}"\\} (\\d+)`, "m").exec(text)?.[1] ?? 0)
    return { sent: countOf("sent") - before.sent, lost: countOf("lost") - before.lost }
  })

/** Waits, in real time, until all of `ended` are accounted for. */
const settled = (before: { readonly sent: number; readonly lost: number }, ended: number) =>
  Effect.promise(() =>
    eventually(`${ended} spans are accounted for`, async () => {
      const now = await Effect.runPromise(counted(before))
      return now.sent + now.lost === ended ? now : undefined
    })
  )

describe("the export of spans", () => {
  it("sends what has ended, in OTLP, with the headers; unsampled spans are not sent", async () => {
    await using collector = await startTraceCollector()
    await Effect.runPromise(
      Effect.gen(function* () {
        const tracer = yield* exportTo(collector)
        yield* Effect.fail(new Error("the disk is full")).pipe(
          Effect.withSpan("inner", { kind: "client" }),
          Effect.ignore,
          Effect.withSpan("outer", { kind: "server", attributes: { rows: 7, table: "audit_logs" } }),
          Effect.withTracer(tracer)
        )
        yield* Effect.void.pipe(Effect.withSpan("unsampled", { sampled: false }), Effect.withTracer(tracer))
        yield* Effect.interrupt.pipe(Effect.withSpan("interrupted"), Effect.withTracer(tracer), Effect.exit)
      }).pipe(Effect.scoped)
    )
    const spans = collector.spans()
    assert.deepStrictEqual(
      spans.map(({ kind, name, service, status }) => ({ kind, name, service, status })),
      [
        { name: "inner", kind: 3, status: 2, service: "activity-test" },
        { name: "outer", kind: 2, status: 0, service: "activity-test" },
        { name: "interrupted", kind: 1, status: 0, service: "activity-test" }
      ]
    )
    const [inner, outer] = spans
    assert(inner !== undefined && outer !== undefined)
    assert.deepStrictEqual(outer.attributes, { rows: 7, table: "audit_logs" })
    assert.strictEqual(inner.parentSpanId, outer.spanId)
    assert.strictEqual(inner.traceId, outer.traceId)
    assert.strictEqual(outer.parentSpanId, "")
    assert.isTrue(outer.startNanos <= inner.startNanos && inner.endNanos <= outer.endNanos)
    assert.strictEqual(collector.headers()["x-key"], "secret")
  })

  it("while the collector hangs it asks once at a time, holds 2,560 at most, and counts the rest as lost", async () => {
    await using collector = await startTraceCollector()
    collector.behave("hangs")
    await Effect.runPromise(
      Effect.gen(function* () {
        const tracer = yield* exportTo(collector)
        const before = yield* counted()
        yield* endSpans(tracer, 600)
        yield* Effect.promise(() => eventually("a request hangs", () => collector.requests().waiting === 1))
        yield* endSpans(tracer, 9_400)
        assert.strictEqual(collector.requests().waiting, 1)
        collector.behave("takes")
        const all = yield* settled(before, 10_000)
        assert.strictEqual(all.sent, collector.spans().length)
        // A queue of 2,048, and the 512 of the request that hung.
        assert.isAtMost(all.sent, 2_560)
        assert.isAtLeast(all.sent, 2_048)
      }).pipe(Effect.scoped)
    )
  })

  for (const status of [400, 429, 503]) {
    it(`spans that are answered ${status} are lost, and the next ones are sent`, async () => {
      await using collector = await startTraceCollector()
      collector.behave(status)
      await Effect.runPromise(
        Effect.gen(function* () {
          const tracer = yield* exportTo(collector)
          const before = yield* counted()
          yield* endSpans(tracer, 3)
          assert.deepStrictEqual(yield* settled(before, 3), { sent: 0, lost: 3 })
          collector.behave("takes")
          yield* endSpans(tracer, 2)
          assert.deepStrictEqual(yield* settled(before, 5), { sent: 2, lost: 3 })
        }).pipe(Effect.scoped)
      )
    })
  }

  it("a collector that nobody runs costs nothing but the spans", async () => {
    const collector = await startTraceCollector()
    await collector[Symbol.asyncDispose]()
    await Effect.runPromise(
      Effect.gen(function* () {
        const tracer = yield* exportTo(collector)
        const before = yield* counted()
        yield* endSpans(tracer, 3)
        assert.deepStrictEqual(yield* settled(before, 3), { sent: 0, lost: 3 })
      }).pipe(Effect.scoped)
    )
  })
})
