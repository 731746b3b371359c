import { Result } from "effect"
import { describe, expect, it } from "vitest"
import { microsecondsFrom } from "../../../src/domain/instant.ts"
import { timeValueFrom } from "../../../src/serve/facts/timeValue.ts"

const now = microsecondsFrom("2026-03-01T12:00:00Z") ?? 0n

describe("time values", () => {
  it.each([
    ["now", "2026-03-01T12:00:00Z"],
    ["now-0s", "2026-03-01T12:00:00Z"],
    ["now-90s", "2026-03-01T11:58:30Z"],
    ["now-5m", "2026-03-01T11:55:00Z"],
    ["now-36h", "2026-02-28T00:00:00Z"],
    ["now-1d", "2026-02-28T12:00:00Z"],
    ["now-2w", "2026-02-15T12:00:00Z"],
    ["2026-03-01T13:00:00.123456789+02:00", "2026-03-01T11:00:00.123456Z"],
    ["2026-03-01T12:00:59Z", "2026-03-01T12:00:59Z"]
  ])("%s is %s", (text, expected) =>
    expect(Result.getOrThrow(timeValueFrom(text, now))).toBe(microsecondsFrom(expected))
  )

  it.each([
    ["1970-01-01T00:00:00Z", 0n],
    ["now-2930w", now - 2930n * 604_800_000_000n]
  ])("%s is as early as it goes", (text, expected) =>
    expect(Result.getOrThrow(timeValueFrom(text, now))).toBe(expected)
  )

  it.each(["now-999999w", "now-2931w", "1969-12-31T23:59:59Z", "0000-01-01T00:00:00+14:00", "0000-01-01T00:00:00Z"])(
    "%s is before 1970, and says so",
    (text) => expect(Result.getOrElse(Result.flip(timeValueFrom(text, now)), String)).toMatch(/before 1970/)
  )

  it.each(["2106-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00"])("%s is in the future", (text) =>
    expect(Result.getOrElse(Result.flip(timeValueFrom(text, now)), String)).toMatch(/in the future/)
  )

  it.each([
    "",
    "now+1h",
    "now-1.5h",
    "now-7xd",
    "now-1d12h",
    "now--1d",
    "yesterday",
    "2026-03-01",
    "2026-02-30T00:00:00Z",
    "2026-03-01T12:01:01Z"
  ])("%s is refused", (text) => expect(Result.isFailure(timeValueFrom(text, now))).toBe(true))
})
