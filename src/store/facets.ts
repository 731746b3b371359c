/** How often each value of a field occurs. */
import { Effect } from "effect"
import type { ClickHouse, ClickHouseError } from "../clients/clickhouse/ClickHouse.ts"
import { factTables } from "./factTables.ts"
import { filterColumns } from "./filterColumns.ts"
import { type FactWindow, windowCondition } from "./factWindow.ts"
import { scopedRead } from "./scopedRead.ts"

export interface Facet {
  /** One of the kind's in domain/facetFields.ts. */
  readonly field: string
  /** Values; at least 1. */
  readonly limit: number
  /** Facts without a value of the field are not counted. */
  readonly emptyLeftOut: boolean
}

export interface FacetValue {
  readonly value: string
  readonly count: number
}

/** As existing clients spell them. */
const spellings: ReadonlyMap<string, string> = new Map([
  ["namespace", "metadata.namespace"],
  ["source.component", "reportingController"]
])

/** A field that the table cannot count by: a bug of the caller. */
class FacetFieldUnknown extends Error {}

/** Of each facet its commonest values, equally common ones by the bytes of their text. The table is read once. */
export const readFacets = (
  window: FactWindow,
  facets: ReadonlyArray<Facet>
): Effect.Effect<ReadonlyArray<ReadonlyArray<FacetValue>>, ClickHouseError, ClickHouse> =>
  Effect.gen(function* () {
    if (facets.length === 0) return []
    const columns = [...new Set(facets.map(({ field }) => columnOf(window, field)))]
    const names = columns.map((_, index) => `facet_${index}`)
    // One more, for an empty value that is left out.
    const valuesMax = Math.max(...facets.map(({ limit }) => limit)) + 1
    const rows = yield* scopedRead(window.scope, {
      table: factTables[window.kind].table,
      columns:
        columns.map((column, index) => `toString(${column}) AS ${names[index]}`).join(", ") +
        `, toUInt32(grouping(${names.join(", ")})) AS others, count() AS facts`,
      where: yield* windowCondition(window),
      // In each grouping all other facets have one value: they decide no order.
      tail:
        `GROUP BY GROUPING SETS (${names.map((name) => `(${name})`).join(", ")}) ` +
        `ORDER BY others, facts DESC, ${names.join(", ")} LIMIT ${valuesMax} BY others`,
      final: true
    })
    // A set bit of `others` is a facet that was not grouped by; the first facet's bit is the highest.
    const allBits = 2 ** columns.length - 1
    const valuesOf = names.map((name, index) =>
      rows
        .filter((row) => Number(row["others"]) === allBits - 2 ** (columns.length - 1 - index))
        .map((row) => ({ value: String(row[name]), count: Number(row["facts"]) }))
    )
    return facets.map(({ emptyLeftOut, field, limit }) =>
      (valuesOf[columns.indexOf(columnOf(window, field))] ?? [])
        .filter(({ value }) => value !== "" || !emptyLeftOut)
        .slice(0, limit)
    )
  })

const columnOf = (window: FactWindow, field: string): string => {
  const column = filterColumns[window.kind].get(spellings.get(field) ?? field)
  if (column === undefined) throw new FacetFieldUnknown(`no column of ${window.kind} for ${field}`)
  return column.sql
}
