/**
 * CSV as RFC 4180 has it: fields by commas, rows by CRLF, a field with a comma, a quote or a line break in quotes.
 *
 * @source https://www.rfc-editor.org/rfc/rfc4180
 * @source https://owasp.org/www-community/attacks/CSV_Injection
 */

export const csvRow = (cells: ReadonlyArray<string>): string => `${cells.map(quoted).join(",")}\r\n`

const quoted = (cell: string): string => (/[",\r\n]|^\s|\s$/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)

/**
 * A cell that spreadsheets show and do not evaluate. What begins like a formula, also behind white space, behind
 * characters that nobody sees (some programs leave them out) or in full width, gets a `'` before it, and so does what
 * begins with one: taking one away gives every text back.
 */
export const textCell = (text: string): string =>
  /^[\s\p{Cc}\p{Cf}]*[=+\-@＝＋－＠]|^[\t\r\n']/u.test(text) ? `'${text}` : text

/** Any JSON as a cell: texts as they are, what is absent as nothing, lists and objects as JSON. */
export const jsonCell = (value: unknown): string => {
  switch (typeof value) {
    case "string":
      return textCell(value)
    case "number":
    case "boolean":
      return String(value)
    default:
      return value === undefined || value === null ? "" : JSON.stringify(value)
  }
}
