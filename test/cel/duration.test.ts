import { assert, describe, it } from "@effect/vitest"
import { durationFrom } from "../../src/cel/duration.ts"

describe("a duration", () => {
  it("is read as Go and CEL write it, in microseconds", () => {
    const table: ReadonlyArray<readonly [string, bigint]> = [
      ["0", 0n],
      ["-0", 0n],
      ["1s", 1_000_000n],
      ["+1s", 1_000_000n],
      ["1h30m", 5_400_000_000n],
      ["-1.5h", -5_400_000_000n],
      [".5s", 500_000n],
      ["1.s", 1_000_000n],
      ["250ms", 250_000n],
      ["3us", 3n],
      ["3µs", 3n],
      ["3μs", 3n],
      ["2000ns", 2n],
      ["0.000001s", 1n],
      ["1m1m", 120_000_000n],
      ["87660000h", 315_576_000_000_000_000n]
    ]
    for (const [text, expected] of table) assert.strictEqual(durationFrom(text), expected, text)
  })

  it("is none when it has another unit, another form, half a microsecond, or passes CEL's bound", () => {
    for (const text of [
      "",
      "-",
      "1",
      "s",
      ".s",
      "1d",
      "1 h",
      "1h ",
      "h1",
      "1h-1m",
      "1.5.5s",
      "1500ns",
      "1ns",
      "0.0000001s",
      "87660001h",
      "9".repeat(10_000)
    ])
      assert.isUndefined(durationFrom(text), text)
  })
})
