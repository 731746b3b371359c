/** The time that a query is about. */
import { Result } from "effect"
import type { FieldFault } from "../ApiFailure.ts"
import { timeValueFrom } from "../facts/timeValue.ts"

/** Microseconds since 1970: from `start` to just before `end`. */
export interface QueryWindow {
  readonly start: bigint
  readonly end: bigint
}

/** A time of the request: the path of its field, and what was sent. */
export interface TimeField {
  readonly field: string
  readonly text: string
}

export interface WindowRule {
  /** The longest time that may be asked for. */
  readonly daysMax?: number
  /** How long the time is where no start was sent, up to now where no end was; without it both are required. */
  readonly daysOtherwise?: number
}

/** @param now the one instant that every time of the request counts from, in microseconds since 1970 */
export const queryWindow = (
  start: TimeField,
  end: TimeField,
  now: bigint,
  { daysMax, daysOtherwise }: WindowRule
): Result.Result<QueryWindow, ReadonlyArray<FieldFault>> => {
  const optional = daysOtherwise !== undefined
  const to = optional && end.text === "" ? Result.succeed(now) : timeFrom(end, now)
  const from =
    optional && start.text === ""
      ? Result.map(to, (instant) => instant - BigInt(daysOtherwise) * dayMicroseconds)
      : timeFrom(start, now)
  if (Result.isFailure(from) || Result.isFailure(to)) {
    return Result.fail([...new Set([from, to].flatMap((time) => (Result.isFailure(time) ? [time.failure] : [])))])
  }
  const window = { start: from.success, end: to.success }
  if (window.start >= window.end) return Result.fail([refused(end.field, `${shown(end)} is not after ${start.field}`)])
  return daysMax !== undefined && window.end - window.start > BigInt(daysMax) * dayMicroseconds + skewMicroseconds
    ? Result.fail([
        refused(
          start.field,
          `${shown(start)} is more than ${daysMax} days before ${end.field}, the most that one query may ask for: ask for the time in parts`
        )
      ])
    : Result.succeed(window)
}

const dayMicroseconds = 86_400_000_000n

/** A caller's clock may be ahead of ours by so much. */
const skewMicroseconds = 60_000_000n

/** No time is longer. */
const timeLengthMax = 100

const timeFrom = ({ field, text }: TimeField, now: bigint): Result.Result<bigint, FieldFault> =>
  text === ""
    ? Result.fail({ field, reason: "FieldValueRequired", message: "Required value" })
    : Result.mapError(timeValueFrom(text.slice(0, timeLengthMax), now), (sentence) => refused(field, sentence))

const refused = (field: string, sentence: string): FieldFault => ({
  field,
  reason: "FieldValueInvalid",
  message: `Invalid value: ${sentence}`
})

const shown = ({ text }: TimeField): string => (text === "" ? "it" : JSON.stringify(text))
