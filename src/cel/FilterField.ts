/** What a filter may name, of one kind of resource. */

/**
 * `any` is JSON of which nothing is declared; `object` has fields of its own and is only asked whether it is there.
 */
export type FieldType = "string" | "number" | "timestamp" | "list" | "map" | "any" | "object"

export interface FilterField {
  /** Its name in messages and for the store's columns: one for all of its spellings. */
  readonly path: string
  /** Where it lies in the resource's JSON. */
  readonly at: ReadonlyArray<string>
  readonly type: FieldType
  /** A number that is negative, greater or no whole one is read as 0, as the store keeps it. */
  readonly max?: number
  /** Of a time: where it is read instead when it is absent, first to last. */
  readonly absentAs?: ReadonlyArray<ReadonlyArray<string>>
}

/** By every spelling. */
export type FilterFields = ReadonlyMap<string, FilterField>

export const field = (
  path: string,
  type: FieldType,
  rest: Pick<FilterField, "max" | "absentAs"> = {}
): FilterField => ({ path, at: path.split("."), type, ...rest })

/**
 * The fields under their own paths and under other spellings (spelling → path), and the objects that hold them.
 */
export const fieldTable = (
  fields: ReadonlyArray<FilterField>,
  spellings: Readonly<Record<string, string>> = {}
): FilterFields => {
  const table = new Map<string, FilterField>()
  for (const one of fields) {
    for (let length = 1; length < one.at.length; length++) {
      const path = one.at.slice(0, length).join(".")
      table.set(path, field(path, "object"))
    }
  }
  for (const one of fields) table.set(one.path, one)
  for (const [spelling, path] of Object.entries(spellings)) {
    const one = table.get(path)
    if (one !== undefined) table.set(spelling, one)
  }
  return table
}
