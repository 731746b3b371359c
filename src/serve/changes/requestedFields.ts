/** What a patch sets and removes, as far as the patch alone says: nothing tells what was there before. */
import { isJsonObject, type Json, type JsonObject, textAt } from "../../domain/AuditRecord.ts"
import { type FieldChange, fieldDepthMax, keyOf, nameAt } from "../../domain/fieldChanges.ts"
import type { FieldPath } from "../../domain/fieldPath.ts"

/** Of a JSON patch, a merge patch, a strategic merge patch, or an object that is applied. */
export const requestedFields = (patch: Json | undefined): ReadonlyArray<FieldChange> => {
  if (Array.isArray(patch)) return patch.flatMap(ofOperation)
  return isJsonObject(patch) ? ofMembers([], patch) : []
}

/** A whole object, as it is applied, or sent by an update: what it does not name is not to be. */
export const isWhole = (request: Json | undefined): boolean => textAt(request, "kind") !== ""

/**
 * Whether a patch may have changed the field at `path`. In a list that it names it may have changed anything: some kinds
 * of patches merge lists, others replace them.
 */
export const namedBy = (patch: Json | undefined): ((path: FieldPath) => boolean) => {
  const root: NamedField = { isNamed: false, below: new Map() }
  const operations: ReadonlyArray<Json> = Array.isArray(patch) ? patch : []
  const targets = operations.map((operation) => stepsOf(textAt(operation, "path")))
  for (const path of [...requestedFields(patch).map((field) => field.path), ...targets]) {
    let field = root
    for (const name of namesOf(path)) {
      const below = field.below.get(name) ?? { isNamed: false, below: new Map() }
      field.below.set(name, below)
      field = below
    }
    field.isNamed = true
  }
  return (path) => {
    let field = root
    for (const name of namesOf(path)) {
      if (field.isNamed) return true
      const below = field.below.get(name)
      if (below === undefined) return false
      field = below
    }
    return field.isNamed || field.below.size > 0
  }
}

/** A field that a patch names, or one above it: a client may name fields at any depth, and any number of them. */
interface NamedField {
  isNamed: boolean
  readonly below: Map<FieldPath[number], NamedField>
}

/** As far as into the first list. */
const namesOf = (path: FieldPath): FieldPath => {
  const list = path.findIndex((step) => typeof step !== "string")
  return list < 0 ? path : path.slice(0, list)
}

const removed = (path: FieldPath, old?: Json): ReadonlyArray<FieldChange> => [{ path, old, new: undefined }]

const ofOperation = (operation: Json): ReadonlyArray<FieldChange> => {
  const path = stepsOf(textAt(operation, "path"))
  switch (textAt(operation, "op")) {
    case "add":
    case "replace":
      return isJsonObject(operation) && operation["value"] !== undefined ? ofValue(path, operation["value"]) : []
    case "remove":
      return removed(path)
    case "move":
      return removed(stepsOf(textAt(operation, "from")))
    default:
      // What is copied, or tested, stands elsewhere in the object.
      return []
  }
}

/** Of a JSON pointer. A number is taken for the position in a list. */
const stepsOf = (pointer: string): FieldPath =>
  pointer
    .split("/")
    .slice(1)
    .map((token) => (/^\d{1,9}$/.test(token) ? Number(token) : token.replaceAll("~1", "/").replaceAll("~0", "~")))

const ofMembers = (path: FieldPath, members: JsonObject, except?: string): ReadonlyArray<FieldChange> =>
  Object.entries(members).flatMap(([name, value = null]) => {
    if (name === except || /^\$(?:setElementOrder\/|retainKeys$)/.test(name)) return []
    if (name === "$patch") return value === "delete" ? removed(path) : []
    const list = /^\$deleteFromPrimitiveList\/(.+)$/.exec(name)?.[1]
    return list === undefined ? ofValue([...path, name], value) : removed([...path, list], value)
  })

const ofValue = (path: FieldPath, value: Json): ReadonlyArray<FieldChange> => {
  if (value === null) return removed(path)
  if (path.length < fieldDepthMax) {
    if (isJsonObject(value) && Object.keys(value).length > 0) return ofMembers(path, value)
    const elements = Array.isArray(value) && value.length > 0 && value.every(isJsonObject) ? value : []
    const key = elements.length === 0 ? undefined : keyOf(elements)
    if (key !== undefined) {
      return elements.flatMap((element) => {
        const step = [...path, { key, value: nameAt(element, key) ?? "" }]
        return Object.keys(element).length === 1
          ? [{ path: step, old: undefined, new: element }]
          : ofMembers(step, element, key)
      })
    }
  }
  return [{ path, old: undefined, new: value }]
}
