import { assert, describe, it } from "@effect/vitest"
import { traceContextFrom, traceparentOf } from "../../src/domain/traceparent.ts"

// https://www.w3.org/TR/trace-context/: the examples of its text, and what it says is to be ignored.
const traceId = "4bf92f3577b34da6a3ce929d0e0e4736"
const spanId = "00f067aa0ba902b7"

describe("traceparent", () => {
  it("is read, and says whether it is sampled", () => {
    assert.deepStrictEqual(traceContextFrom(`00-${traceId}-${spanId}-01`), { traceId, spanId, sampled: true })
    assert.deepStrictEqual(traceContextFrom(`00-${traceId}-${spanId}-00`), { traceId, spanId, sampled: false })
    // Other flags are for others.
    assert.strictEqual(traceContextFrom(`00-${traceId}-${spanId}-03`)?.sampled, true)
    assert.strictEqual(traceContextFrom(`00-${traceId}-${spanId}-fe`)?.sampled, false)
  })

  it("of a later version is read as far as it is known", () => {
    assert.deepStrictEqual(traceContextFrom(`cc-${traceId}-${spanId}-01-what-the-future`), {
      traceId,
      spanId,
      sampled: true
    })
    assert.isDefined(traceContextFrom(`cc-${traceId}-${spanId}-01`))
    assert.isUndefined(traceContextFrom(`cc-${traceId}-${spanId}-01.what-the-future`))
  })

  for (const [why, text] of Object.entries({
    nothing: "",
    "version ff": `ff-${traceId}-${spanId}-01`,
    "a trace of zeros": `00-${"0".repeat(32)}-${spanId}-01`,
    "a span of zeros": `00-${traceId}-${"0".repeat(16)}-01`,
    "upper case": `00-${traceId.toUpperCase()}-${spanId}-01`,
    "more behind version 00": `00-${traceId}-${spanId}-01-more`,
    "two of them": `00-${traceId}-${spanId}-01,00-${traceId}-${spanId}-01`,
    "a short trace": `00-${traceId.slice(1)}-${spanId}-01`,
    "flags of one digit": `00-${traceId}-${spanId}-1`,
    "a line break": `00-${traceId}-${spanId}-01\n`
  })) {
    it(`is none: ${why}`, () => assert.isUndefined(traceContextFrom(text)))
  }

  it("that is written is read again", () => {
    assert.strictEqual(traceparentOf({ traceId, spanId }), `00-${traceId}-${spanId}-01`)
    assert.deepStrictEqual(traceContextFrom(traceparentOf({ traceId, spanId })), { traceId, spanId, sampled: true })
  })
})
