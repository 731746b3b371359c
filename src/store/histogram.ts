/** How many facts each stretch of time has, by how they ended. */
import { Effect } from "effect"
import type { ClickHouse, ClickHouseError } from "../clients/clickhouse/ClickHouse.ts"
import { microsecondsFrom } from "../domain/instant.ts"
import type { FacetValue } from "./facets.ts"
import { factTables } from "./factTables.ts"
import { type FactWindow, windowCondition } from "./factWindow.ts"
import { scopedRead } from "./scopedRead.ts"

export interface HistogramBucket {
  /** Microseconds since 1970: a whole number of intervals. */
  readonly start: bigint
  readonly count: number
  /** The commonest first. */
  readonly outcomes: ReadonlyArray<FacetValue>
}

/** Buckets of a window: whole intervals since 1970, so the first and the last may reach beyond the window. */
export const bucketsIn = (
  window: { readonly start: bigint; readonly end: bigint },
  intervalSeconds: number
): number => {
  const interval = BigInt(intervalSeconds) * 1_000_000n
  return Number((window.end - 1n) / interval - window.start / interval) + 1
}

/** What began before the window, and was seen in it, counts in its first bucket: the counts add up to the total. */
export const readHistogram = (
  window: FactWindow,
  intervalSeconds: number
): Effect.Effect<ReadonlyArray<HistogramBucket>, ClickHouseError, ClickHouse> =>
  Effect.gen(function* () {
    const interval = BigInt(intervalSeconds) * 1_000_000n
    const { outcome, table } = factTables[window.kind]
    const rows = yield* scopedRead(window.scope, {
      table,
      columns:
        "toString(intDiv(toUnixTimestamp64Micro(greatest(ts, {start_ts:DateTime64(6, 'UTC')})), " +
        `${interval})) AS bucket, toString(${outcome}) AS outcome_text, count() AS facts`,
      where: yield* windowCondition(window),
      tail: "GROUP BY bucket, outcome_text ORDER BY facts DESC, outcome_text",
      final: true
    })
    const outcomesOf = new Map<bigint, Array<FacetValue>>()
    for (const row of rows) {
      const bucket = BigInt(String(row["bucket"]))
      const outcomes = outcomesOf.get(bucket) ?? []
      outcomes.push({ value: String(row["outcome_text"]), count: Number(row["facts"]) })
      outcomesOf.set(bucket, outcomes)
    }
    const start = microsecondsFrom(window.start) ?? 0n
    const end = microsecondsFrom(window.end) ?? 0n
    const first = start / interval
    return Array.from({ length: bucketsIn({ start, end }, intervalSeconds) }, (_, index) => {
      const outcomes = outcomesOf.get(first + BigInt(index)) ?? []
      return {
        start: (first + BigInt(index)) * interval,
        count: outcomes.reduce((sum, { count }) => sum + count, 0),
        outcomes
      }
    })
  })
