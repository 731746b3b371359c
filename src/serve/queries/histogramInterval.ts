/** How long the stretches of a histogram are. */
import { Result } from "effect"
import { bucketsIn } from "../../store/histogram.ts"
import type { FieldFault } from "../ApiFailure.ts"
import type { QueryWindow } from "./queryWindow.ts"

export interface Interval {
  /** A whole number and a unit, such as 15m. */
  readonly text: string
  readonly seconds: number
}

const unitSeconds = new Map([
  ["s", 1],
  ["m", 60],
  ["h", 3_600],
  ["d", 86_400],
  ["w", 604_800]
])

/** What people read time in, the shortest first. */
const usual = ["1s", "5s", "15s", "1m", "5m", "15m", "1h", "3h", "6h", "12h", "1d", "1w"]

/** As many bars as a chart shows well. */
const usualBucketsMax = 60

/** Each may have three outcomes of some 40 bytes: 120 KB. */
const bucketsMax = 1_000

const field = "spec.histogram.interval"

/** @param text as it was sent; "" leaves it to us */
export const histogramInterval = (
  text: string,
  window: QueryWindow
): Result.Result<Interval, ReadonlyArray<FieldFault>> => {
  const asked = text === "" ? usualInterval(window) : intervalFrom(text)
  if (asked === undefined) {
    return refused(text, "use a whole number and a unit of s, m, h, d, w, such as 1h")
  }
  return bucketsIn(window, asked.seconds) > bucketsMax
    ? refused(asked.text, `the time has more than ${bucketsMax} such stretches: choose a longer interval`)
    : Result.succeed(asked)
}

const usualInterval = (window: QueryWindow): Interval | undefined => {
  const intervals = usual.map(intervalFrom)
  return (
    intervals.find((one) => one !== undefined && bucketsIn(window, one.seconds) <= usualBucketsMax) ?? intervals.at(-1)
  )
}

const intervalFrom = (text: string): Interval | undefined => {
  const [, number = "", unit = ""] = /^([1-9]\d{0,5})([smhdw])$/.exec(text) ?? []
  const seconds = unitSeconds.get(unit)
  return seconds === undefined ? undefined : { text, seconds: Number(number) * seconds }
}

const refused = (text: string, why: string) =>
  Result.fail<ReadonlyArray<FieldFault>>([
    { field, reason: "FieldValueInvalid", message: `Invalid value: ${JSON.stringify(text.slice(0, 100))}: ${why}` }
  ])
