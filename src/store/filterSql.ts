/**
 * A filter as SQL: it holds for a row exactly when `predicateFrom` (cel/Filter.ts) holds for the resource, with every literal a parameter.
 *
 * A missing text is "", a missing number 0, in both; texts compare by their UTF-8 bytes.
 */
import type { Expression, FilterField, Literal } from "../cel/Filter.ts"
import type { QueryParameter } from "../clients/clickhouse/ClickHouse.ts"
import { activityKeyFromName } from "../domain/identity.ts"
import type { Condition } from "./Condition.ts"
import { storedTimeFrom } from "./times.ts"

/** A field's path in the resource → the SQL that gives its value. */
export type FilterColumns = ReadonlyMap<string, FilterColumn>

export interface FilterColumn {
  readonly type: FilterField["type"]
  readonly sql: string
}

/** A filter names a field that the table cannot tell: it was parsed for another resource. A bug of the caller. */
export class FilterFieldUnknown extends Error {}

export const filterCondition = (expression: Expression, columns: FilterColumns, prefix = "filter"): Condition => {
  const parameters: Record<string, QueryParameter> = {}
  /** Takes a value, and gives the placeholder that stands for it. */
  const hold = (value: QueryParameter, type: string): string => {
    const name = `${prefix}_${Object.keys(parameters).length}`
    parameters[name] = value
    return `{${name}:${type}}`
  }

  const columnOf = (field: FilterField): FilterColumn => {
    const column = columns.get(field.path)
    if (column === undefined) throw new FilterFieldUnknown(`no column for ${field.path}`)
    return column
  }

  const held = (column: FilterColumn, value: Literal): string => {
    switch (column.type) {
      case "string":
        return hold(String(value), "String")
      case "number":
        return hold(Number(value), "Float64")
      case "timestamp":
        return hold(storedTimeFrom(String(value)) ?? String(value), "DateTime64(6, 'UTC')")
    }
  }

  const sqlOf = (one: Expression): string => {
    switch (one.op) {
      case "literal":
        return one.value ? "1" : "0"
      case "compare": {
        const column = columnOf(one.field)
        const byKey =
          one.operator === "==" && one.field.path === "metadata.name"
            ? activityKeyFromName(String(one.value))
            : undefined
        // The one equality that an index can answer only by the key inside of the name.
        return byKey !== undefined
          ? `id = ${hold(byKey, "UUID")}`
          : `${column.sql} ${one.operator === "==" ? "=" : one.operator} ${held(column, one.value)}`
      }
      case "in": {
        const column = columnOf(one.field)
        return one.values.length === 0
          ? "0"
          : `${column.sql} IN (${one.values.map((value) => held(column, value)).join(", ")})`
      }
      case "text": {
        const column = columnOf(one.field)
        const value = hold(one.value, "String")
        return one.operator === "contains"
          ? `position(${column.sql}, ${value}) > 0`
          : `${one.operator}(${column.sql}, ${value})`
      }
      case "and":
        return one.operands.length === 0 ? "1" : one.operands.map((operand) => `(${sqlOf(operand)})`).join(" AND ")
      case "or":
        return one.operands.length === 0 ? "0" : one.operands.map((operand) => `(${sqlOf(operand)})`).join(" OR ")
      case "not":
        return `NOT (${sqlOf(one.operand)})`
    }
  }

  return { sql: sqlOf(expression), parameters }
}
