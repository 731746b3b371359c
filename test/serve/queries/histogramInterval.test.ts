import { Result } from "effect"
import { describe, expect, it } from "vitest"
import { microsecondsFrom } from "../../../src/domain/instant.ts"
import { histogramInterval } from "../../../src/serve/queries/histogramInterval.ts"

const end = microsecondsFrom("2026-03-01T12:00:00Z") ?? 0n
const last = (seconds: number) => ({ start: end - BigInt(seconds) * 1_000_000n, end })

describe("intervals of histograms", () => {
  it.each([
    ["a minute", 60, "1s"],
    ["ten minutes", 600, "15s"],
    ["an hour", 3_600, "1m"],
    ["a day", 86_400, "1h"],
    ["a week", 7 * 86_400, "3h"],
    ["thirty days", 30 * 86_400, "12h"],
    ["a year", 365 * 86_400, "1w"]
  ])("%s is shown in at most sixty of the usual ones", (_, seconds, text) =>
    expect(Result.getOrThrow(histogramInterval("", last(seconds))).text).toBe(text)
  )

  it("1000 stretches are as many as there may be", () => {
    expect(Result.getOrThrow(histogramInterval("1m", last(60_000)))).toEqual({ text: "1m", seconds: 60 })
    expect(Result.isFailure(histogramInterval("1m", last(60_001)))).toBe(true)
  })

  it.each(["0s", "1", "m", "-1h", "1.5h", "1h30m", "1y", " 1h", "9999999s"])("%s is none", (text) =>
    expect(Result.isFailure(histogramInterval(text, last(60)))).toBe(true)
  )
})
