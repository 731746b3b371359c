/**
 * Times as instants: RFC 3339 texts are compared and printed through microseconds since 1970, never as texts, because
 * one instant has many spellings.
 */

/** Go's zero time, which Kubernetes writes where there is none. */
const zeroTimeMicroseconds = -62_135_596_800_000_000n

/**
 * Microseconds since 1970 of an RFC 3339 text; digits after the sixth are cut. Undefined when the text is no time
 * (`2026-02-30` is none) or Go's zero time.
 */
export const microsecondsFrom = (text: string): bigint | undefined => {
  // Read digit by digit: a pattern takes several times as long, and each fact has some five times.
  const separators = text[4] === "-" && text[7] === "-" && text[13] === ":" && text[16] === ":"
  if (!separators || (text[10] !== "T" && text[10] !== "t")) return undefined
  const year = digitsAt(text, 0, 4)
  const month = digitsAt(text, 5, 7)
  const day = digitsAt(text, 8, 10)
  const hour = digitsAt(text, 11, 13)
  const minute = digitsAt(text, 14, 16)
  const second = digitsAt(text, 17, 19)
  // What is no number is in no range.
  if (!(year >= 0 && month >= 1 && month <= 12 && day >= 1 && day <= daysIn(year, month))) return undefined
  if (!(hour <= 23 && minute <= 59 && second <= 59)) return undefined
  let zoneAt = 19
  let fraction = 0
  if (text[zoneAt] === ".") {
    const from = zoneAt + 1
    zoneAt = from
    while (isDigit(text.charCodeAt(zoneAt))) zoneAt++
    if (zoneAt === from) return undefined
    const kept = Math.min(zoneAt, from + 6)
    fraction = digitsAt(text, from, kept) * 10 ** (from + 6 - kept)
  }
  const offsetMinutes = zoneMinutes(text, zoneAt)
  if (Number.isNaN(offsetMinutes)) return undefined
  // Date.UTC reads the years 0 to 99 as 1900 to 1999; the calendar repeats itself after 400 years.
  const millis = Date.UTC(year + 400, month - 1, day, hour, minute, second) - fourCenturiesMillis
  const microseconds = BigInt(millis - offsetMinutes * 60_000) * 1000n + BigInt(fraction)
  return microseconds === zeroTimeMicroseconds ? undefined : microseconds
}

const isDigit = (code: number): boolean => code >= 48 && code <= 57

/** NaN where one of the characters is no digit. */
const digitsAt = (text: string, from: number, to: number): number => {
  let value = 0
  for (let at = from; at < to; at++) {
    const code = text.charCodeAt(at)
    if (!isDigit(code)) return Number.NaN
    value = value * 10 + code - 48
  }
  return value
}

/** Of `Z` or `+02:00`, which must be the text's end; NaN of anything else. */
const zoneMinutes = (text: string, at: number): number => {
  const sign = text[at]
  if (sign === "Z" || sign === "z") return text.length === at + 1 ? 0 : Number.NaN
  if ((sign !== "+" && sign !== "-") || text[at + 3] !== ":" || text.length !== at + 6) return Number.NaN
  const hours = digitsAt(text, at + 1, at + 3)
  const minutes = digitsAt(text, at + 4, at + 6)
  if (!(hours <= 23 && minutes <= 59)) return Number.NaN
  return (sign === "-" ? -1 : 1) * (hours * 60 + minutes)
}

const fourCenturiesMillis = 146_097 * 86_400_000

const daysIn = (year: number, month: number): number => {
  if (month !== 2) return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
}

/** 2106-01-01T00:00:00Z: ClickHouse's times of 32 bits end in that year. */
const factInstantEnd = 4_291_747_200_000_000n

/** True for microseconds of the years 1970 to 2105: other times cannot be stored, so no fact has one. */
export const isFactInstant = (microseconds: bigint): boolean => microseconds >= 0n && microseconds < factInstantEnd

/** RFC 3339 in UTC with six fractional digits, for instants of the years 0 to 9999. */
export const timestampText = (microseconds: bigint): string => {
  const fraction = ((microseconds % 1_000_000n) + 1_000_000n) % 1_000_000n
  const seconds = (microseconds - fraction) / 1_000_000n
  return `${secondsText(seconds)}.${fraction.toString().padStart(6, "0")}Z`
}

/**
 * {@link timestampText} of a text that {@link microsecondsFrom} has read. Most texts are written so already, and it is
 * asked once for each fact.
 */
export const timestampTextOf = (text: string, microseconds: bigint): string =>
  text.length === 27 && text[19] === "." && text[10] === "T" && text[26] === "Z" ? text : timestampText(microseconds)

/** The same of a {@link timestampText} as {@link secondsTimestampText} writes it. */
export const secondsOfTimestamp = (timestamp: string): string => `${timestamp.slice(0, 19)}Z`

/** RFC 3339 in UTC with whole seconds, cut: what Kubernetes clients read in `metadata.creationTimestamp`. */
export const secondsTimestampText = (microseconds: bigint): string => {
  const fraction = ((microseconds % 1_000_000n) + 1_000_000n) % 1_000_000n
  return `${secondsText((microseconds - fraction) / 1_000_000n)}Z`
}

const secondsText = (seconds: bigint): string => new Date(Number(seconds) * 1000).toISOString().slice(0, 19)
