/** Stored audit records and Kubernetes Events, with what they need to be evaluated once more. */
import { Effect } from "effect"
import type { ClickHouse, ClickHouseError } from "../clients/clickhouse/ClickHouse.ts"
import type { AuditRequest } from "../domain/AuditRecord.ts"
import type { Tenant } from "../domain/Tenant.ts"
import { all, type Condition, condition } from "./Condition.ts"
import { auditRequestOf } from "./auditRequestOf.ts"
import { factTables } from "./factTables.ts"
import { behind, type FactWindow, windowCondition } from "./factWindow.ts"
import { type Position, positionOf } from "./Position.ts"
import { scopedCount, scopedRead, scopedReadUpTo } from "./scopedRead.ts"

/** Facts that a rule of one kind's policies may be asked about, as far as columns tell. */
export interface SourceWindow extends Pick<FactWindow, "scope" | "start" | "end" | "namespace"> {
  readonly kind: "record" | "event"
  /** Of the object that the fact is about. */
  readonly apiGroup: string
  /** Of an Event's object. A record names no kind. */
  readonly objectKind: string
  /** Of records; undefined: any. */
  readonly verbs: ReadonlyArray<string> | undefined
  /** Of facts whose newest sight came after this sequence of their stream; undefined: any. */
  readonly since?: number
  /** Of records: of subresources only `scale`. */
  readonly mainResourcesOnly?: boolean
}

export interface SourceFact {
  readonly cluster: string
  readonly tenant: Tenant
  /** As it was stored. */
  readonly json: string
  /** The order at its source, a decimal number: what the upper half of its row's version says. */
  readonly order: string
  readonly position: Position
  /** Of a record: its request, as far as rules are chosen by it. Reading it out of the JSON would take as long as evaluating. */
  readonly request: AuditRequest | undefined
}

/** About 3 MB of records: read in some 20 ms, and parsed in one go. */
const sliceRows = 1_000

/** Of the JSON of one page: at most three are held at a time. */
const pageSizeBytesMax = 16 * 2 ** 20

/**
 * The times that part the window, newest first: between two of them lie about {@link sliceRows} facts. Rows of several
 * tenants lie apart from one another: a page that does not say how far back it reaches would be looked for in all of them.
 */
export const readSourceSlices = (
  window: SourceWindow
): Effect.Effect<ReadonlyArray<string>, ClickHouseError, ClickHouse> =>
  Effect.gen(function* () {
    const rows = yield* scopedRead(window.scope, {
      table: factTables[window.kind].table,
      columns: "toString(ts) AS time, row_number() OVER (ORDER BY ts DESC, id DESC) AS place",
      where: yield* sourceCondition(window),
      tail: `QUALIFY place % ${sliceRows} = 0 ORDER BY place`,
      final: true
    })
    return rows.map((row) => String(row["time"]))
  })

export interface AskedSources {
  /** The window's, as {@link readSourceSlices} gave them. */
  readonly slices: ReadonlyArray<string>
  readonly after?: Position | undefined
  readonly limit: number
}

export interface SourcePage {
  /** By time and key, newest first; there may be none before the last page. */
  readonly facts: ReadonlyArray<SourceFact>
  /** Undefined: nothing of the window is behind them. */
  readonly next: Position | undefined
}

/** Of the newest slice that is not read yet: all behind `after`, or what fits a page. */
export const readSourcePage = (
  window: SourceWindow,
  { after, limit, slices }: AskedSources
): Effect.Effect<SourcePage, ClickHouseError, ClickHouse> =>
  Effect.gen(function* () {
    const from = slices.find((time) => after === undefined || reachesBehind(time, after))
    const rows = yield* scopedReadUpTo(
      window.scope,
      {
        table: factTables[window.kind].table,
        columns:
          "json, cluster, tenant_type, tenant_name, toString(ts) AS time, toString(id) AS key, " +
          "toString(bitShiftRight(ver, 64)) AS source_order" +
          (window.kind === "record" ? requestColumns : ""),
        where: all([
          yield* sourceCondition(window),
          ...(from === undefined ? [] : [condition("ts >= {from_ts:DateTime64(6, 'UTC')}", { from_ts: from })]),
          ...(after === undefined ? [] : [behind(after)])
        ]),
        tail: `ORDER BY ts DESC, id DESC LIMIT ${limit + 1}`,
        final: true
      },
      pageSizeBytesMax
    )
    const facts = rows.slice(0, limit).map((row): SourceFact => ({
      cluster: String(row["cluster"]),
      tenant: { type: String(row["tenant_type"]), name: String(row["tenant_name"]) },
      json: String(row["json"]),
      order: String(row["source_order"]),
      position: positionOf(row),
      request: window.kind === "record" ? auditRequestOf(row) : undefined
    }))
    const isCut = Number(rows[0]?.["found"] ?? 0) > facts.length
    const endOfSlice = from === undefined ? undefined : { time: from, id: lowestId }
    return { facts, next: isCut ? facts.at(-1)?.position : endOfSlice }
  })

/** Nothing of its time is behind it. */
const lowestId = "00000000-0000-0000-0000-000000000000"

/** Whether a slice down to `time` has anything behind the position. */
const reachesBehind = (time: string, { id, time: reached }: Position): boolean =>
  time < reached || (time === reached && id !== lowestId)

const requestColumns =
  ", stage, verb, api_group, resource, subresource, namespace, resource_name, object_uid, status_code"

export const countSources = (
  window: SourceWindow,
  rowsMax: number
): Effect.Effect<number, ClickHouseError, ClickHouse> =>
  Effect.flatMap(sourceCondition(window), (where) =>
    scopedCount(window.scope, { table: factTables[window.kind].table, where, rowsMax })
  )

/** Without the scope. What it leaves out no rule is ever asked about. */
const sourceCondition = (window: SourceWindow): Effect.Effect<Condition, ClickHouseError> =>
  Effect.map(windowCondition({ ...window, search: "" }), (inWindow) =>
    all([
      inWindow,
      window.kind === "event"
        ? condition("regarding_api_group = {source_group:String} AND regarding_kind = {source_kind:String}", {
            source_group: window.apiGroup,
            source_kind: window.objectKind
          })
        : condition("api_group = {source_group:String} AND stage IN ('ResponseComplete', 'Panic') AND dry_run = 0", {
            source_group: window.apiGroup
          }),
      ...(window.kind === "event" || window.verbs === undefined
        ? []
        : [condition("verb IN {source_verbs:Array(String)}", { source_verbs: window.verbs })]),
      ...(window.kind === "record" && window.mainResourcesOnly === true
        ? [condition("subresource IN ('', 'scale')")]
        : []),
      ...(window.since === undefined
        ? []
        : [condition("seq > {source_since:UInt64}", { source_since: String(window.since) })])
    ])
  )
