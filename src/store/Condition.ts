/** A piece of a WHERE clause, with the values that it speaks of beside it: no value ever enters SQL text. */
import type { QueryParameter } from "../clients/clickhouse/ClickHouse.ts"

export interface Condition {
  readonly sql: string
  readonly parameters: Readonly<Record<string, QueryParameter>>
}

export const condition = (sql: string, parameters: Readonly<Record<string, QueryParameter>> = {}): Condition => ({
  sql,
  parameters
})

/** All of them; none is true. Their parameters have different names. */
export const all = (conditions: ReadonlyArray<Condition>): Condition => ({
  sql: conditions.length === 0 ? "1" : conditions.map((one) => `(${one.sql})`).join(" AND "),
  parameters: Object.assign({}, ...conditions.map((one) => one.parameters))
})
