/** What filters take for a time, the store and the predicate alike. */
import { durationMax } from "./duration.ts"

/**
 * RFC 3339 of the years 1000 to 2999, with at most nine fractional digits; without quotes and backslashes, so that it
 * may stand in SQL. That the month has that day, {@link microsecondsFrom} and the engine both see.
 */
export const timePattern =
  "^[12][0-9]{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])[Tt](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]" +
  "(?:[.][0-9]{1,9})?(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])$"

/** CEL's own bounds, in microseconds: 0001-01-01T00:00:00Z to 9999-12-31T23:59:59.999999Z. Beyond them a sum is an error. */
export const sumBounds = {
  timestamp: [-62_135_596_800_000_000n, 253_402_300_799_999_999n],
  duration: [-durationMax, durationMax]
} as const
