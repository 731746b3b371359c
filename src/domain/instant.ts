/**
 * Times as instants: RFC 3339 texts are compared and printed through microseconds since 1970, never as texts, because
 * one instant has many spellings.
 */
const pattern = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))$/

/** Go's zero time, which Kubernetes writes where there is none. */
const zeroTimeMicroseconds = -62_135_596_800_000_000n

/**
 * Microseconds since 1970 of an RFC 3339 text; digits after the sixth are cut. Undefined when the text is no time
 * (`2026-02-30` is none) or Go's zero time.
 */
export const microsecondsFrom = (text: string): bigint | undefined => {
  const match = pattern.exec(text)
  if (match === null) return undefined
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number)
  if (hour! > 23 || minute! > 59 || second! > 59) return undefined
  // The year is set apart because Date.UTC reads 0 to 99 as 1900 to 1999.
  const date = new Date(0)
  date.setUTCFullYear(year!, month! - 1, day!)
  date.setUTCHours(hour!, minute!, second!)
  if (date.getUTCMonth() !== month! - 1 || date.getUTCDate() !== day!) return undefined
  const offsetMinutes = match[8] === undefined ? 0 : Number(match[9]) * 60 + Number(match[10])
  if (Number(match[9] ?? 0) > 23 || Number(match[10] ?? 0) > 59) return undefined
  const shiftedMilliseconds = date.getTime() - (match[8] === "-" ? -offsetMinutes : offsetMinutes) * 60_000
  const microseconds = BigInt(shiftedMilliseconds) * 1000n + BigInt((match[7] ?? "").slice(0, 6).padEnd(6, "0"))
  return microseconds === zeroTimeMicroseconds ? undefined : microseconds
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

/** RFC 3339 in UTC with whole seconds, cut: what Kubernetes clients read in `metadata.creationTimestamp`. */
export const secondsTimestampText = (microseconds: bigint): string => {
  const fraction = ((microseconds % 1_000_000n) + 1_000_000n) % 1_000_000n
  return `${secondsText((microseconds - fraction) / 1_000_000n)}Z`
}

const secondsText = (seconds: bigint): string => new Date(Number(seconds) * 1000).toISOString().slice(0, 19)
