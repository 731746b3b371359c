import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option, References, Tracer } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { fileLogs } from "../../src/runtime/Logging.ts"
import { currentTraceparent, traced, Tracing } from "../../src/runtime/Tracing.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736"
const spanId = "00f067aa0ba902b7"

/** As a program's layer provides it. */
const tracing = (ratio: number) => {
  const spans: Array<Tracer.Span> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  const layer = Layer.mergeAll(
    Layer.succeed(References.TracerEnabled, false),
    Layer.succeed(Tracing, { tracer, ratio })
  )
  return { spans, layer }
}

const work = Effect.withSpan(currentTraceparent, "inner")
const batch = (traceparent?: string) => traced("batch", { kind: "server", traceparent }, work)

describe("tracing", () => {
  it.effect("that is off makes no spans, and sends nothing along", () =>
    Effect.gen(function* () {
      assert.isUndefined(yield* batch(`00-${traceId}-${spanId}-01`))
      assert.isUndefined(yield* work)
    })
  )

  it.effect("begins a trace for all batches, or none, as the ratio says", () =>
    Effect.gen(function* () {
      const all = tracing(1)
      const begun = yield* batch().pipe(Effect.provide(all.layer))
      assert.deepStrictEqual(
        all.spans.map(({ name }) => name),
        ["batch", "inner"]
      )
      assert.strictEqual(begun, `00-${all.spans[0]?.traceId}-${all.spans[1]?.spanId}-01`)
      const none = tracing(0)
      assert.isUndefined(yield* batch().pipe(Effect.provide(none.layer)))
      assert.deepStrictEqual(none.spans, [])
      // It decides nothing of what is not asked for here.
      assert.isUndefined(yield* work.pipe(Effect.provide(all.layer)))
      assert.lengthOf(all.spans, 2)
    })
  )

  it.effect("a part of them, as the ratio says", () =>
    Effect.gen(function* () {
      const some = tracing(0.25)
      yield* batch().pipe(Effect.repeat({ times: 3_999 }), Effect.provide(some.layer))
      const begun = some.spans.filter(({ name }) => name === "batch").length
      // 1,000, whose standard deviation is 27.
      assert.isTrue(begun > 800 && begun < 1_200, `${begun} of 4,000`)
    })
  )

  it.effect("goes on with the caller's trace where the caller records it, whatever the ratio", () =>
    Effect.gen(function* () {
      const { layer, spans } = tracing(0)
      const passedOn = yield* batch(`00-${traceId}-${spanId}-01`).pipe(Effect.provide(layer))
      assert.strictEqual(passedOn?.slice(0, 35), `00-${traceId}`)
      const [first] = spans
      assert.strictEqual(first?.traceId, traceId)
      assert.strictEqual(Option.getOrUndefined(first?.parent ?? Option.none())?.spanId, spanId)
      const unrecorded = tracing(1)
      assert.isUndefined(yield* batch(`00-${traceId}-${spanId}-00`).pipe(Effect.provide(unrecorded.layer)))
      assert.deepStrictEqual(unrecorded.spans, [])
    })
  )

  it("is told by the lines that are logged within it, and by no others", async () => {
    await using folder = await temporaryFolder("tracing")
    const path = join(folder.path, "activity.log")
    const { layer, spans } = tracing(1)
    await Effect.runPromise(
      Effect.gen(function* () {
        yield* traced("batch", { kind: "server" }, Effect.logInfo("within"))
        yield* Effect.withSpan(Effect.logInfo("without"), "untraced")
      }).pipe(Effect.provide(layer), Effect.provide(fileLogs(path)))
    )
    const lines = readFileSync(path, "utf8")
      .trim()
      .split("\n")
      .map((line): unknown => ({ ...JSON.parse(line), time: "" }))
    const [span] = spans
    assert.deepStrictEqual(lines, [
      { time: "", level: "info", message: "within", trace_id: span?.traceId, span_id: span?.spanId },
      { time: "", level: "info", message: "without" }
    ])
  })
})
