/** Times as callers write them: RFC 3339, `now`, or `now-7d`. */
import { Result } from "effect"
import { isFactInstant, microsecondsFrom } from "../../domain/instant.ts"

const unitMicroseconds: Readonly<Record<string, bigint>> = {
  s: 1_000_000n,
  m: 60_000_000n,
  h: 3_600_000_000n,
  d: 86_400_000_000n,
  w: 604_800_000_000n
}

/** Clocks of callers that are ahead by less are believed. */
const skewMicrosecondsMax = 60_000_000n

/**
 * Microseconds since 1970; the failure is a sentence.
 *
 * @param now the one instant that every time of a request counts from
 */
export const timeValueFrom = (text: string, now: bigint): Result.Result<bigint, string> => {
  if (text === "now") return Result.succeed(now)
  const relative = /^now-(\d{1,6})([smhdw])$/.exec(text)
  if (relative !== null) {
    return notTooEarly(text, now - BigInt(relative[1] ?? "0") * (unitMicroseconds[relative[2] ?? "s"] ?? 0n))
  }
  const absolute = microsecondsFrom(text)
  if (absolute === undefined) {
    return Result.fail(
      `"${text}" is no time: use RFC 3339 such as 2026-01-31T12:00:00Z, now, or now-7d (units s, m, h, d, w)`
    )
  }
  return absolute > now + skewMicrosecondsMax
    ? Result.fail(`"${text}" is in the future: only what has happened can be asked for`)
    : notTooEarly(text, absolute)
}

/** What is not in the future can only be too early. */
const notTooEarly = (text: string, microseconds: bigint): Result.Result<bigint, string> =>
  isFactInstant(microseconds)
    ? Result.succeed(microseconds)
    : Result.fail(`"${text}" is before 1970: nothing is known from then`)
