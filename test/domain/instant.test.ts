import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import {
  isFactInstant,
  microsecondsFrom,
  secondsOfTimestamp,
  secondsTimestampText,
  timestampText,
  timestampTextOf
} from "../../src/domain/instant.ts"

describe("instants", () => {
  it("one instant has one number, however it is written", () => {
    const noon = 1_780_315_200_000_000n
    for (const text of [
      "2026-06-01T12:00:00Z",
      "2026-06-01t12:00:00z",
      "2026-06-01T12:00:00.000000Z",
      "2026-06-01T14:00:00+02:00",
      "2026-06-01T05:30:00-06:30",
      "2026-06-01T12:00:00.0000009Z"
    ])
      assert.strictEqual(microsecondsFrom(text), noon, text)
    assert.strictEqual(microsecondsFrom("2026-06-01T12:00:00.123456789Z"), noon + 123_456n)
    assert.strictEqual(microsecondsFrom("1969-12-31T23:59:59.5Z"), -500_000n)
  })

  it("what is no time is none", () => {
    for (const text of [
      "",
      "now",
      "2026-02-30T00:00:00Z",
      "2026-13-01T00:00:00Z",
      "2026-01-01T24:00:00Z",
      "2026-01-01T00:00:00",
      "2026-01-01 00:00:00Z",
      "2026-01-01T00:00:00+25:00",
      "0001-01-01T00:00:00Z"
    ])
      assert.isUndefined(microsecondsFrom(text), text)
  })

  it("printing is UTC with six digits, or whole seconds cut", () => {
    assert.strictEqual(timestampText(1_780_315_200_000_042n), "2026-06-01T12:00:00.000042Z")
    assert.strictEqual(secondsTimestampText(1_780_315_200_999_999n), "2026-06-01T12:00:00Z")
    assert.strictEqual(timestampText(-500_000n), "1969-12-31T23:59:59.500000Z")
  })

  it("a text that is read is printed as its instant is", () => {
    for (const [text, printed] of [
      ["2026-06-01T12:00:00.000042Z", "2026-06-01T12:00:00.000042Z"],
      ["2026-06-01t12:00:00.000042z", "2026-06-01T12:00:00.000042Z"],
      ["2026-06-01T12:00:00.5+02:00", "2026-06-01T10:00:00.500000Z"],
      ["2026-06-01T12:00:00.0+02:00", "2026-06-01T10:00:00.000000Z"],
      ["2026-06-01T12:00:00.1234567Z", "2026-06-01T12:00:00.123456Z"]
    ] as const) {
      assert.strictEqual(timestampTextOf(text, microsecondsFrom(text)!), printed)
      assert.strictEqual(secondsOfTimestamp(printed), secondsTimestampText(microsecondsFrom(text)!))
    }
  })

  it("a fact's instant lies in the years 1970 to 2105", () => {
    assert.isTrue(isFactInstant(microsecondsFrom("1970-01-01T00:00:00Z")!))
    assert.isTrue(isFactInstant(microsecondsFrom("2105-12-31T23:59:59.999999Z")!))
    assert.isFalse(isFactInstant(microsecondsFrom("1969-12-31T23:59:59.999999Z")!))
    assert.isFalse(isFactInstant(microsecondsFrom("2106-01-01T00:00:00Z")!))
  })

  it("a printed instant reads as itself", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -60_000_000_000_000_000n, max: 253_402_300_799_999_999n }), (instant) => {
        assert.strictEqual(microsecondsFrom(timestampText(instant)), instant)
      })
    )
  })
})
