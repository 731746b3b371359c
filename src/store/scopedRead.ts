/**
 * The only way by which stored facts are read for a caller: each read names a scope, and its condition is added here.
 */
import { Effect } from "effect"
import { ClickHouse, type ClickHouseError, type Row } from "../clients/clickhouse/ClickHouse.ts"
import { quotedName } from "../clients/clickhouse/parameters.ts"
import type { Scope } from "../domain/Scope.ts"
import { all, type Condition, condition } from "./Condition.ts"
import type { StoredTable } from "./rows.ts"

/** A read that takes longer is too wide: the caller is told so. */
const executionSecondsMax = 10

export interface ScopedRead {
  readonly table: StoredTable
  /** Expressions after SELECT. */
  readonly columns: string
  readonly where: Condition
  /** ORDER BY, LIMIT. */
  readonly tail: string
  /** False only where a wrong row cannot reach the caller: the answer is a hint for a second, exact read. */
  readonly final: boolean
  /**
   * Only rows of which some version, the newest or an old one, is among those that this finds. It bounds what is looked
   * at: that no row is missed is its caller's promise.
   */
  readonly among?: { readonly where: Condition; readonly tail: string } | undefined
}

/** Which columns of each table a scope speaks of. */
const scopeColumns: Readonly<
  Record<StoredTable, { readonly userUid: string; readonly namespace: string; readonly apiGroup: string }>
> = {
  activities: { userUid: "actor_uid", namespace: "resource_namespace", apiGroup: "api_group" },
  audit_logs: { userUid: "user_uid", namespace: "namespace", apiGroup: "api_group" },
  // Nobody does an Event: a user's scope holds none of them.
  k8s_events: { userUid: "''", namespace: "namespace", apiGroup: "regarding_api_group" }
}

const scopeCondition = (scope: Scope, table: StoredTable): Condition => {
  const columns = scopeColumns[table]
  switch (scope._tag) {
    case "Platform":
      return condition("1")
    case "Tenant":
      return tenantCondition(scope.tenant)
    case "User":
      // Rows of nobody have an empty uid too.
      return scope.uid === ""
        ? condition("0")
        : condition(`${columns.userUid} = {scope_uid:String}`, { scope_uid: scope.uid })
    case "ApiGroup":
      return condition(`${columns.apiGroup} = {scope_api_group:String}`, { scope_api_group: scope.apiGroup })
    case "Namespace":
      return all([
        tenantCondition(scope.tenant),
        condition(`cluster = {scope_cluster:String} AND ${columns.namespace} = {scope_namespace:String}`, {
          scope_cluster: scope.cluster,
          scope_namespace: scope.namespace
        })
      ])
  }
}

const tenantCondition = (tenant: { readonly type: string; readonly name: string }): Condition =>
  condition("tenant_type = {scope_type:String} AND tenant_name = {scope_name:String}", {
    scope_type: tenant.type,
    scope_name: tenant.name
  })

/**
 * - use_skip_indexes_if_final_exact_mode: an index must not hide the newest version of a row that matched before
 * - use_top_k_dynamic_filtering: with it, `ORDER BY … LIMIT` over a text index loses rows (26.7)
 * - do_not_merge_across_partitions_select_final: all versions of a row have its time, hence its partition
 */
const settings =
  `max_execution_time=${executionSecondsMax}, use_skip_indexes_if_final_exact_mode=1, ` +
  "use_top_k_dynamic_filtering=0, do_not_merge_across_partitions_select_final=1"

/** What makes rows one: no version differs from another in it. The tables are ordered by it. */
const key = "tenant_type, tenant_name, ts, id"

export const scopedRead = (
  scope: Scope,
  read: ScopedRead
): Effect.Effect<ReadonlyArray<Row>, ClickHouseError, ClickHouse> => {
  const { parameters, sql } = selection(scope, read)
  return ClickHouse.use((clickhouse) => clickhouse.query({ sql: `${sql} ${settingsOf(read)}`, parameters }))
}

/** How many rows there are, up to `rowsMax`: not one more is read once they are found. */
export const scopedCount = (
  scope: Scope,
  { rowsMax, table, where }: { readonly table: StoredTable; readonly where: Condition; readonly rowsMax: number }
): Effect.Effect<number, ClickHouseError, ClickHouse> => {
  const read: ScopedRead = { table, columns: "1", where, tail: `LIMIT ${rowsMax}`, final: true }
  const { parameters, sql } = selection(scope, read)
  return ClickHouse.use((clickhouse) =>
    clickhouse.query({ sql: `SELECT toUInt32(count()) AS rows FROM (${sql}) ${settingsOf(read)}`, parameters })
  ).pipe(Effect.map(([row]) => Number(row?.["rows"] ?? 0)))
}

/**
 * Rows up to a size: those whose `json` has at most `sizeBytesMax` together, the first one whatever it has. Each row
 * also says how many there would have been (`found`).
 *
 * @param read newest first; its columns name `json`
 */
export const scopedReadUpTo = (
  scope: Scope,
  read: ScopedRead,
  sizeBytesMax: number
): Effect.Effect<ReadonlyArray<Row>, ClickHouseError, ClickHouse> => {
  const { parameters, sql } = selection(scope, { ...read, columns: `${read.columns}, ts, id` })
  const before = "OVER (ORDER BY ts DESC, id DESC ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)"
  return ClickHouse.use((clickhouse) =>
    clickhouse.query({
      sql:
        `SELECT * FROM (SELECT *, count() ${before} AS place, sum(length(json)) ${before} AS size_bytes, ` +
        `count() OVER () AS found FROM (${sql})) ` +
        `WHERE place = 1 OR size_bytes <= ${sizeBytesMax} ORDER BY place ${settingsOf(read)}`,
      parameters
    })
  )
}

const selection = (scope: Scope, { among, columns, final, table, tail, where }: ScopedRead): Condition => {
  const scoped = scopeCondition(scope, table)
  const wanted = all([scoped, where, ...(among === undefined ? [] : [keyAmong(table, scoped, among)])])
  return {
    sql: `SELECT ${columns} FROM ${quotedName(table)} ${final ? "FINAL " : ""}WHERE ${wanted.sql} ${tail}`,
    parameters: wanted.parameters
  }
}

/** Keys are found by the table's order; the exact mode would widen them to all that lies between. */
const settingsOf = ({ among }: ScopedRead): string =>
  `SETTINGS ${settings}, use_skip_indexes_if_final=${among === undefined ? 1 : 0}`

const keyAmong = (
  table: StoredTable,
  scoped: Condition,
  { where, tail }: NonNullable<ScopedRead["among"]>
): Condition => {
  const found = all([scoped, where])
  return condition(`(${key}) IN (SELECT ${key} FROM ${quotedName(table)} WHERE ${found.sql} ${tail})`, found.parameters)
}
