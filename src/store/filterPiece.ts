/** What the printing of a filter (filterSql.ts) is made of. */

/** A field's path in the resource → the SQL that gives its value, never NULL. */
export type FilterColumns = ReadonlyMap<string, FilterColumn>

export interface FilterColumn {
  readonly type: "string" | "number" | "timestamp"
  readonly sql: string
  /** The row's `id` that a text can only stand for: an equality is asked of it, which an index answers. */
  readonly keyFrom?: (text: string) => string | undefined
}

/** Takes a value, and gives the placeholder that stands for it. */
export type Hold = (
  value: string | number,
  type: "String" | "Float64" | "Int64" | "UInt32" | "UUID" | "DateTime64(6, 'UTC')"
) => string

export interface Printer {
  readonly columns: FilterColumns
  readonly hold: Hold
  /** A name that no other lambda of the statement has. */
  readonly bind: () => string
}

/** `fails`: it may be NULL. Times are DateTime64(6), or, where `micros`, Int64; durations are Int64 of microseconds. */
export interface Piece {
  readonly sql: string
  readonly fails: boolean
  readonly micros?: boolean
}

export const sure = (sql: string): Piece => ({ sql, fails: false })
export const unsure = (sql: string): Piece => ({ sql, fails: true })

/** NULL where the value is; else what `use` makes of it. The value is printed once, however often it is used. */
export const bound = (value: Piece, printer: Printer, use: (held: string) => string): string => {
  if (!value.fails) return use(value.sql)
  const name = printer.bind()
  return `arrayMap(${name} -> if(isNull(${name}), NULL, ${use(`assumeNotNull(${name})`)}), [${value.sql}])[1]`
}
