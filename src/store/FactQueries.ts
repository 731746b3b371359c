/**
 * Reads of stored facts of every kind, for a caller of a scope: pages, totals, and counts of values.
 *
 * A fact counts once, in its newest version, however often it was stored; deleted ones are never seen.
 */
import { Context, Effect, Layer } from "effect"
import type { ClickHouse, ClickHouseError, Row } from "../clients/clickhouse/ClickHouse.ts"
import type { Scope } from "../domain/Scope.ts"
import type { Position } from "./ActivityQueries.ts"
import { all, type Condition, condition } from "./Condition.ts"
import { type Facet, type FacetValue, readFacets } from "./facets.ts"
import { factTables } from "./factTables.ts"
import { behind, type FactWindow, windowCondition } from "./factWindow.ts"
import { type HistogramBucket, readHistogram } from "./histogram.ts"
import { scopedCount, scopedRead, scopedReadUpTo } from "./scopedRead.ts"
import { countSources, readSourcePage, readSourceSlices, type SourceFact, type SourceWindow } from "./sourceFacts.ts"

export interface StoredFact {
  /** As it was stored. */
  readonly json: string
  /** The sequence of the stream that fed the row. */
  readonly sequence: number
}

export interface FactPage {
  /** By time and key, newest first. */
  readonly facts: ReadonlyArray<StoredFact>
  /** Undefined on the last page. */
  readonly next: Position | undefined
}

export interface Total {
  readonly count: number
  /** False: there are at least so many. */
  readonly exact: boolean
}

/** Of the JSON on one page, which ends before it is larger: the 128 answers that are given at once have 2 GiB at most. */
export const pageSizeBytesMax = 16 * 2 ** 20

/** Totals up to it are exact. */
export const totalExactMax = 100_000

export class FactQueries extends Context.Service<
  FactQueries,
  {
    /** One page of at most `limit` facts behind `after`, fewer where they pass {@link pageSizeBytesMax}. */
    readonly page: (
      window: FactWindow,
      page: { readonly limit: number; readonly after?: Position | undefined }
    ) => Effect.Effect<FactPage, ClickHouseError>
    readonly total: (window: FactWindow) => Effect.Effect<Total, ClickHouseError>
    /** The commonest values of each facet, in the order of `facets`, all in one pass. */
    readonly facets: (
      window: FactWindow,
      facets: ReadonlyArray<Facet>
    ) => Effect.Effect<ReadonlyArray<ReadonlyArray<FacetValue>>, ClickHouseError>
    /** How many in each stretch of time, oldest first, stretches without any included. */
    readonly histogram: (
      window: FactWindow,
      intervalSeconds: number
    ) => Effect.Effect<ReadonlyArray<HistogramBucket>, ClickHouseError>
    /** How far back each part of a window reaches, newest first: parts that {@link sourcePage} reads well. */
    readonly sourceSlices: (window: SourceWindow) => Effect.Effect<ReadonlyArray<string>, ClickHouseError>
    /** A page of what policies are asked about, by time and key, newest first. It may be large. */
    readonly sourcePage: (
      window: SourceWindow,
      page: { readonly from?: string | undefined; readonly after?: Position | undefined; readonly limit: number }
    ) => Effect.Effect<{ readonly facts: ReadonlyArray<SourceFact>; readonly more: boolean }, ClickHouseError>
    /** How many of those there are, up to `rowsMax`. */
    readonly sourceCount: (window: SourceWindow, rowsMax: number) => Effect.Effect<number, ClickHouseError>
  }
>()("activity/store/FactQueries") {
  static readonly layer = Layer.effect(
    FactQueries,
    Effect.gen(function* () {
      const context = yield* Effect.context<ClickHouse>()
      const traced = <A>(name: string, read: Effect.Effect<A, ClickHouseError, ClickHouse>) =>
        read.pipe(Effect.provide(context), Effect.withSpan(`FactQueries.${name}`))
      return FactQueries.of({
        page: (window, { after, limit }) => traced("page", readPage(window, limit, after)),
        total: (window) => traced("total", readTotal(window)),
        facets: (window, facets) => traced("facets", readFacets(window, facets)),
        histogram: (window, intervalSeconds) => traced("histogram", readHistogram(window, intervalSeconds)),
        sourceSlices: (window) => traced("sourceSlices", readSourceSlices(window)),
        sourcePage: (window, page) => traced("sourcePage", readSourcePage(window, page)),
        sourceCount: (window, rowsMax) => traced("sourceCount", countSources(window, rowsMax))
      })
    })
  )
}

const readTotal = (window: FactWindow): Effect.Effect<Total, ClickHouseError, ClickHouse> =>
  Effect.gen(function* () {
    const where = yield* windowCondition(window)
    const rows = yield* scopedCount(window.scope, {
      table: factTables[window.kind].table,
      where,
      rowsMax: totalExactMax + 1
    })
    return { count: Math.min(rows, totalExactMax), exact: rows <= totalExactMax }
  })

const readPage = (
  window: FactWindow,
  limit: number,
  after: Position | undefined
): Effect.Effect<FactPage, ClickHouseError, ClickHouse> =>
  Effect.gen(function* () {
    const where = all([yield* windowCondition(window), ...(after === undefined ? [] : [behind(after)])])
    // One row more than asked tells whether another page follows.
    const rows = yield* spansTenants(window.scope)
      ? readNewest(window, where, limit + 1)
      : readFrom(window, where, limit + 1, undefined)
    const shown = rows.slice(0, limit)
    const last = shown.at(-1)
    const found = foundOf(rows)
    return {
      facts: shown.map((row) => ({ json: String(row["json"]), sequence: Number(row["sequence"]) })),
      next:
        found > shown.length && last !== undefined ? { time: String(last["time"]), id: String(last["key"]) } : undefined
    }
  })

/** Rows of one tenant lie together, in the order of pages; those of all do not. */
const spansTenants = (scope: Scope): boolean => scope._tag !== "Tenant" && scope._tag !== "Namespace"

/**
 * The exact read over all tenants starts at the time of about the 2·limit-th newest match, told by a cheap read that
 * may count old versions, and starts earlier when that was too late. A version's time never differs from the other
 * versions' of its row, so each of these reads is exact.
 */
const readNewest = (window: FactWindow, where: Condition, rowsMax: number) =>
  Effect.gen(function* () {
    // 2, 8 and 32 times the page: beyond, so many versions match that nothing less than all of it will do.
    for (const factor of [2, 8, 32]) {
      const [match] = yield* scopedRead(window.scope, {
        table: factTables[window.kind].table,
        columns: "toString(ts) AS time",
        where,
        tail: `ORDER BY ts DESC LIMIT 1 OFFSET ${factor * rowsMax - 1}`,
        final: false
      })
      const from = match === undefined ? undefined : String(match["time"])
      const rows = yield* readFrom(window, where, rowsMax, from)
      if (from === undefined || foundOf(rows) === rowsMax) return rows
    }
    return yield* readFrom(window, where, rowsMax, undefined)
  })

const readFrom = (
  window: FactWindow,
  where: Condition,
  rowsMax: number,
  from: string | undefined
): Effect.Effect<ReadonlyArray<Row>, ClickHouseError, ClickHouse> =>
  scopedReadUpTo(
    window.scope,
    {
      table: factTables[window.kind].table,
      columns: "json, ts, id, toString(seq) AS sequence, toString(ts) AS time, toString(id) AS key",
      where:
        from === undefined ? where : all([where, condition("ts >= {from_ts:DateTime64(6, 'UTC')}", { from_ts: from })]),
      tail: `ORDER BY ts DESC, id DESC LIMIT ${rowsMax}`,
      final: true
    },
    pageSizeBytesMax
  )

/** How many rows there were, those included that were too large for the page. */
const foundOf = (rows: ReadonlyArray<Row>): number => Number(rows[0]?.["found"] ?? 0)
