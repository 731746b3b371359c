/**
 * The bundled stretch of a real cluster (kube-apiserver 1.34, three people and the controllers): its times are moved to
 * now, and it is sent as live traffic, through the webhook and the bus like everything else.
 */
import { readFileSync } from "node:fs"
import { gunzipSync } from "node:zlib"
import type { JsonObject } from "../../domain/AuditRecord.ts"
import { microsecondsFrom, timestampText } from "../../domain/instant.ts"

export interface DemoStep {
  /** Audit records, as JSON texts. */
  readonly records: ReadonlyArray<string>
  /** Events, with what the watch said of each. */
  readonly events: ReadonlyArray<{ readonly type: string; readonly object: JsonObject }>
}

const recordsPerStep = 10

/**
 * The demo in the order of its times, cut into steps of {@link recordsPerStep} records.
 *
 * @param now milliseconds since 1970; the last record is given this time
 */
export const demoSteps = (now: number): ReadonlyArray<DemoStep> => {
  const records = linesOf("records.jsonl.gz")
  const events = linesOf("events.jsonl.gz")
  const lastTime = Math.max(...records.map(receivedMillis))
  const move = (text: string): string => moveTimes(text, now - lastTime)
  const steps: Array<DemoStep> = []
  const stepCount = Math.ceil(records.length / recordsPerStep)
  for (let step = 0; step < stepCount; step++) {
    steps.push({
      records: slice(records, step, stepCount).map(move),
      // These lines are our own file's: JSON frames of a watch.
      events: slice(events, step, stepCount).map((line) => JSON.parse(move(line)) as DemoStep["events"][number])
    })
  }
  return steps
}

const linesOf = (name: string): ReadonlyArray<string> =>
  gunzipSync(readFileSync(new URL(`demo/${name}`, import.meta.url)))
    .toString("utf8")
    .trim()
    .split("\n")

const slice = (lines: ReadonlyArray<string>, step: number, stepCount: number): ReadonlyArray<string> =>
  lines.slice(Math.floor((lines.length * step) / stepCount), Math.floor((lines.length * (step + 1)) / stepCount))

const receivedMillis = (line: string): number =>
  millisFrom(/"requestReceivedTimestamp":\s*"([^"]+)"/.exec(line)?.[1] ?? "")

const millisFrom = (text: string): number => Number((microsecondsFrom(text) ?? 0n) / 1000n)

const time = /"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?Z"/g

/** Every time in the text, later by `millis` rounded to a whole second: fractions stay as they were. */
export const moveTimes = (text: string, millis: number): string => {
  const seconds = Math.floor(millis / 1000) * 1000
  return text.replace(
    time,
    (_, whole: string, fraction: string | undefined) =>
      `"${timestampText(BigInt(millisFrom(`${whole}Z`) + seconds) * 1000n).slice(0, 19)}${fraction ?? ""}Z"`
  )
}
