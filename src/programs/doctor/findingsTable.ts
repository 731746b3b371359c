/** Findings as a table that fits a terminal. */
import { wrapped } from "../../runtime/wrapped.ts"
import type { Finding } from "./Finding.ts"

const gap = "  "
/** Narrower than this a column of sentences cannot be read. */
const sentenceWidthMin = 20

/**
 * Long sentences go on in the next line of their column, at a space where there is one.
 *
 * @param width of the terminal, in characters; less than fits is taken as what fits
 */
export const findingsTable = (
  findings: ReadonlyArray<Finding>,
  width: number,
  problemHead = "WHAT IS WRONG"
): string => {
  const heads = ["PART", problemHead, "SETTING", "WHAT TO DO"]
  const rows = [heads, ...findings.map(({ part, problem, remedy, setting }) => [part, problem, setting, remedy])]
  const widest = (column: number) => Math.max(...rows.map((row) => row[column]?.length ?? 0))
  const rest = width - widest(0) - widest(2) - 3 * gap.length
  const problemWidth = Math.min(widest(1), Math.max(sentenceWidthMin, Math.floor(rest * 0.6)))
  const remedyWidth = Math.max(sentenceWidthMin, rest - problemWidth)
  const widths = [widest(0), problemWidth, widest(2), remedyWidth]
  return rows.flatMap((row) => linesOf(row, widths)).join("\n")
}

const linesOf = (row: ReadonlyArray<string>, widths: ReadonlyArray<number>): ReadonlyArray<string> => {
  const cells = row.map((text, column) => wrapped(text, widths[column] ?? text.length))
  return Array.from({ length: Math.max(...cells.map((cell) => cell.length)) }, (_, line) =>
    cells
      .map((cell, column) => (cell[line] ?? "").padEnd(widths[column] ?? 0))
      .join(gap)
      .trimEnd()
  )
}
