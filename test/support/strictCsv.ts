/**
 * A parser of exactly what RFC 4180's grammar allows, UTF-8 in place of its ASCII, each record ended by CRLF.
 *
 * @source https://www.rfc-editor.org/rfc/rfc4180#section-2
 */

/** @throws with the place of what is no CSV, or of a record that has not as many fields as the first */
export const recordsFromCsv = (text: string): ReadonlyArray<ReadonlyArray<string>> => {
  const records: Array<ReadonlyArray<string>> = []
  // escaped = DQUOTE *(TEXTDATA / COMMA / CR / LF / 2DQUOTE) DQUOTE; non-escaped = *TEXTDATA
  const field = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/y
  let fields: Array<string> = []
  while (field.lastIndex < text.length) {
    const at = field.lastIndex
    const found = field.exec(text)
    if (found === null) throw new Error(`no field of CSV at ${at}: ${JSON.stringify(text.slice(at, at + 40))}`)
    fields.push(found[1]?.replaceAll('""', '"') ?? found[2] ?? "")
    if (found[3] !== ",") {
      records.push(fields)
      fields = []
    }
  }
  if (fields.length > 0) throw new Error("the last record has no end")
  const odd = records.findIndex((record) => record.length !== records[0]?.length)
  if (odd >= 0) throw new Error(`record ${odd} has ${records[odd]?.length} fields, the first ${records[0]?.length}`)
  return records
}
