/**
 * An export as CSV: a row of names, then a row per fact. The last column, `continue`, is empty but in the last row of
 * each page, which says there where the export goes on, and in the last row of all: that holds `complete`, or
 * `failed: ` and why, and nothing else.
 */
import type { FilterField } from "../../cel/Filter.ts"
import type { ExportForm } from "./ExportForm.ts"
import { csvRow, jsonCell } from "./csv.ts"

export const csvRows = (columns: ReadonlyArray<FilterField>): ExportForm => {
  const emptyCells = columns.map(() => "")
  return {
    contentType: "text/csv; charset=utf-8; header=present",
    opening: csvRow([...columns.map(({ path }) => path), "continue"]),
    page: (facts, mark) => {
      const rows = facts.map(({ json }, index) => {
        const fact: unknown = JSON.parse(json)
        const token = index === facts.length - 1 ? (mark.continue ?? "") : ""
        return csvRow([...columns.map((column) => jsonCell(valueOf(fact, column))), token])
      })
      return rows.join("") + (mark.continue === undefined ? csvRow([...emptyCells, "complete"]) : "")
    },
    failed: (error) => csvRow([...emptyCells, `failed: ${error.text}`])
  }
}

const valueOf = (fact: unknown, { absentAs = [], at }: FilterField): unknown => {
  for (const path of [at, ...absentAs]) {
    const value = valueAt(fact, path)
    if (value !== undefined && value !== null) return value
  }
  return undefined
}

const valueAt = (fact: unknown, path: ReadonlyArray<string>): unknown =>
  path.reduce<unknown>(
    (value, name) =>
      typeof value === "object" && value !== null && Object.hasOwn(value, name)
        ? // It has a member of that name.
          (value as Readonly<Record<string, unknown>>)[name]
        : undefined,
    fact
  )
