/**
 * Reads of stored facts of every kind, for a caller of a scope: pages, totals, and counts of values.
 *
 * A fact counts once, in its newest version, however often it was stored; deleted ones are never seen.
 */
import { Context, Effect, Layer, Option } from "effect"
import type { ClickHouse, ClickHouseError, Row } from "../clients/clickhouse/ClickHouse.ts"
import { activityKeyFromName } from "../domain/identity.ts"
import type { Scope } from "../domain/Scope.ts"
import { all, type Condition, condition } from "./Condition.ts"
import { type Facet, type FacetValue, readFacets } from "./facets.ts"
import { factTables } from "./factTables.ts"
import { behind, type FactWindow, namespaceConditions, windowCondition } from "./factWindow.ts"
import { type HistogramBucket, readHistogram } from "./histogram.ts"
import {
  readEarlierRecords,
  readRecordsOf,
  type RecordObject,
  type RecordStanding,
  type StoredRecord
} from "./objectHistory.ts"
import { type Position, positionOf } from "./Position.ts"
import { type ScopedRead, scopedCount, scopedRead, scopedReadUpTo } from "./scopedRead.ts"
import {
  type AskedSources,
  countSources,
  readSourcePage,
  readSourceSlices,
  type SourcePage,
  type SourceWindow
} from "./sourceFacts.ts"

export interface StoredFact {
  /** As it was stored. */
  readonly json: string
  /** The sequence of the stream that fed the row. */
  readonly sequence: number
}

export interface PlacedFact extends StoredFact {
  readonly position: Position
}

export interface FactPage {
  /** By time and key, newest first. */
  readonly facts: ReadonlyArray<StoredFact>
  /** Undefined on the last page. */
  readonly next: Position | undefined
}

export interface AskedPage {
  /** At most {@link pageRowsMax}. */
  readonly limit: number
  /** Of the JSON on it: it ends before it is larger. Undefined: any, for facts that are small. To look at it takes time. */
  readonly sizeBytesMax?: number
  readonly after?: Position | undefined
}

export interface PlacedPage extends FactPage {
  readonly facts: ReadonlyArray<PlacedFact>
}

/** Where a stored Event comes from. */
export interface EventOrigin {
  readonly cluster: string
  /** At its source. */
  readonly order: bigint
  /** Of the sight that this was said with. */
  readonly sequence: number
}

export interface Total {
  readonly count: number
  /** False: there are at least so many. */
  readonly exact: boolean
}

/** The largest page. */
export const pageRowsMax = 1_000

/** Where bodies are on a page: the 128 answers that are given at once have 2 GiB at most. */
export const pageSizeBytesMax = 16 * 2 ** 20

/** Totals up to it are exact. */
export const totalExactMax = 100_000

export class FactQueries extends Context.Service<
  FactQueries,
  {
    /** One page of a window, behind `after`. */
    readonly page: (window: FactWindow, page: AskedPage) => Effect.Effect<PlacedPage, ClickHouseError>
    /** None: there is no such activity, or not for this scope. With `namespace`, only one of a resource in it. */
    readonly activity: (
      scope: Scope,
      name: string,
      namespace?: string
    ) => Effect.Effect<Option.Option<StoredFact>, ClickHouseError>
    /** By key; absent: there is no Event at that position, or not for this scope. */
    readonly eventOrigins: (
      scope: Scope,
      positions: ReadonlyArray<Position>
    ) => Effect.Effect<ReadonlyMap<string, EventOrigin>, ClickHouseError>
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
    /** A page of what policies are asked about, of one slice. It may be large. */
    readonly sourcePage: (window: SourceWindow, page: AskedSources) => Effect.Effect<SourcePage, ClickHouseError>
    /** How many of those there are, up to `rowsMax`. */
    readonly sourceCount: (window: SourceWindow, rowsMax: number) => Effect.Effect<number, ClickHouseError>
    /** Records of one audit ID: the stages of a request, and other requests that chose the same. */
    readonly recordsOf: (
      scope: Scope,
      auditID: string,
      standing: RecordStanding
    ) => Effect.Effect<ReadonlyArray<StoredRecord>, ClickHouseError>
    /** The last few records before it that tell of the same object, newest first. None for a user's scope. */
    readonly earlierRecords: (
      scope: Scope,
      object: RecordObject,
      standing: RecordStanding
    ) => Effect.Effect<ReadonlyArray<StoredRecord>, ClickHouseError>
  }
>()("activity/store/FactQueries") {
  static readonly layer = Layer.effect(
    FactQueries,
    Effect.gen(function* () {
      const context = yield* Effect.context<ClickHouse>()
      const traced = <A>(name: string, read: Effect.Effect<A, ClickHouseError, ClickHouse>) =>
        read.pipe(Effect.provide(context), Effect.withSpan(`FactQueries.${name}`))
      return FactQueries.of({
        page: (window, page) => traced("page", readPage(window, page)),
        activity: (scope, name, namespace) => traced("activity", readActivity(scope, name, namespace)),
        eventOrigins: (scope, positions) => traced("eventOrigins", readEventOrigins(scope, positions)),
        total: (window) => traced("total", readTotal(window)),
        facets: (window, facets) => traced("facets", readFacets(window, facets)),
        histogram: (window, intervalSeconds) => traced("histogram", readHistogram(window, intervalSeconds)),
        sourceSlices: (window) => traced("sourceSlices", readSourceSlices(window)),
        sourcePage: (window, page) => traced("sourcePage", readSourcePage(window, page)),
        sourceCount: (window, rowsMax) => traced("sourceCount", countSources(window, rowsMax)),
        recordsOf: (scope, auditID, standing) => traced("recordsOf", readRecordsOf(scope, auditID, standing)),
        earlierRecords: (scope, object, standing) =>
          traced("earlierRecords", readEarlierRecords(scope, object, standing))
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
  { after, limit, sizeBytesMax }: AskedPage
): Effect.Effect<PlacedPage, ClickHouseError, ClickHouse> =>
  Effect.gen(function* () {
    const position = after === undefined ? [] : [behind(after)]
    const read: PageRead = {
      window,
      seen: all([yield* windowCondition(window), ...position]),
      began: all([yield* windowCondition(window, "beganInWindow"), ...position]),
      // One row more than asked tells whether another page follows.
      rowsMax: limit + 1,
      sizeBytesMax
    }
    const rows = yield* spansTenants(window.scope) ? readNewest(read) : readFrom(read)
    const shown = rows.slice(0, limit)
    const last = shown.at(-1)
    const found = foundOf(rows)
    return {
      facts: shown.map((row) => ({ ...factOf(row), position: positionOf(row) })),
      next: found > shown.length && last !== undefined ? positionOf(last) : undefined
    }
  })

interface PageRead {
  readonly window: FactWindow
  /** What the window keeps, behind the page before. */
  readonly seen: Condition
  /** The same of what began within the window. */
  readonly began: Condition
  readonly rowsMax: number
  readonly sizeBytesMax: number | undefined
}

const readActivity = (
  scope: Scope,
  name: string,
  namespace: string | undefined
): Effect.Effect<Option.Option<StoredFact>, ClickHouseError, ClickHouse> => {
  const id = activityKeyFromName(name)
  if (id === undefined) return Effect.succeedNone
  return scopedRead(scope, {
    table: "activities",
    columns: "json, toString(seq) AS sequence",
    where: all([condition("id = {id:UUID}", { id }), ...namespaceConditions("activity", namespace)]),
    // The key holds the tenant and the time beside the id; an activity whose tenant was corrected is there twice.
    tail: "ORDER BY ver DESC LIMIT 1",
    final: true
  }).pipe(Effect.map(([row]) => Option.map(Option.fromUndefinedOr(row), factOf)))
}

const readEventOrigins = (
  scope: Scope,
  positions: ReadonlyArray<Position>
): Effect.Effect<ReadonlyMap<string, EventOrigin>, ClickHouseError, ClickHouse> =>
  Effect.gen(function* () {
    const times = positions.map(({ time }) => time).toSorted()
    const [first, last] = [times[0], times.at(-1)]
    if (first === undefined || last === undefined) return new Map()
    const rows = yield* scopedRead(scope, {
      table: "k8s_events",
      columns:
        "toString(id) AS key, cluster, toString(bitShiftRight(ver, 64)) AS source_order, toString(seq) AS sequence",
      where: condition(
        "ts >= {first_ts:DateTime64(6, 'UTC')} AND ts <= {last_ts:DateTime64(6, 'UTC')} AND id IN {at_ids:Array(UUID)}",
        { first_ts: first, last_ts: last, at_ids: positions.map(({ id }) => id) }
      ),
      tail: "",
      final: true
    })
    return new Map(
      rows.map((row) => [
        String(row["key"]),
        {
          cluster: String(row["cluster"]),
          order: BigInt(String(row["source_order"])),
          sequence: Number(row["sequence"])
        }
      ])
    )
  })

const factOf = (row: Row): StoredFact => ({ json: String(row["json"]), sequence: Number(row["sequence"]) })

/** Rows of one tenant lie together, in the order of pages; those of all do not. */
const spansTenants = (scope: Scope): boolean => scope._tag !== "Tenant" && scope._tag !== "Namespace"

/**
 * Over all tenants the rows of a page lie scattered, and FINAL uses neither the projection by time nor, at a bearable
 * price, an index. So each exact read is limited to the keys of the newest matches among all versions, old ones too,
 * which both serve: any match is among them, since all versions of a row share its key, hence its place in the order.
 * Where too many of them were old versions, the next read begins earlier.
 *
 * @decision 0017-what-reads-cost
 */
const readNewest = (read: PageRead): Effect.Effect<ReadonlyArray<Row>, ClickHouseError, ClickHouse> =>
  Effect.gen(function* () {
    const { began, rowsMax, seen, window } = read
    const first = yield* readFrom(read, {
      where: began,
      tail: `ORDER BY ts DESC, id DESC LIMIT ${Math.ceil(1.25 * rowsMax)}`
    })
    if (foundOf(first) === rowsMax) return first
    // Beyond 32 times the page so many versions match that nothing less than all of it will do.
    for (const factor of [4, 32]) {
      const [match] = yield* scopedRead(window.scope, {
        table: factTables[window.kind].table,
        columns: "toString(ts) AS time",
        where: began,
        tail: `ORDER BY ts DESC LIMIT 1 OFFSET ${factor * rowsMax - 1}`,
        final: false
      })
      if (match === undefined) return yield* readFrom(read, { where: seen, tail: "" })
      // By time and not by number: what arrives, or is merged, between two statements does not change what this means.
      const from = condition("ts >= {from_ts:DateTime64(6, 'UTC')}", { from_ts: String(match["time"]) })
      const rows = yield* readFrom(read, { where: all([began, from]), tail: "" })
      if (foundOf(rows) === rowsMax) return rows
    }
    return yield* readFrom(read)
  })

const readFrom = (
  { rowsMax, seen, sizeBytesMax, window }: PageRead,
  among?: ScopedRead["among"]
): Effect.Effect<ReadonlyArray<Row>, ClickHouseError, ClickHouse> => {
  const read: ScopedRead = {
    table: factTables[window.kind].table,
    columns: "json, toString(seq) AS sequence, toString(ts) AS time, toString(id) AS key",
    where: seen,
    tail: `ORDER BY ts DESC, id DESC LIMIT ${rowsMax}`,
    final: true,
    among
  }
  return sizeBytesMax === undefined ? scopedRead(window.scope, read) : scopedReadUpTo(window.scope, read, sizeBytesMax)
}

/** How many rows there were, those included that were too large for the page. */
const foundOf = (rows: ReadonlyArray<Row>): number => Number(rows[0]?.["found"] ?? rows.length)
