/**
 * What differs between two JSON objects, field by field.
 *
 * Lists whose elements name themselves (containers by `name`, ports by number) are compared element by element, wherever
 * these stand; other lists of objects by position; lists of anything else as one value. As in the API of Kubernetes, null
 * is as good as absent, and an empty object or list in which there was something is not told apart from none.
 */
import { isJsonObject, type Json, type JsonObject } from "./AuditRecord.ts"
import type { FieldPath } from "./fieldPath.ts"

export interface FieldChange {
  readonly path: FieldPath
  /** Undefined: there was nothing, or it is not known. */
  readonly old: Json | undefined
  /** Undefined: there is nothing any more. */
  readonly new: Json | undefined
}

export interface FieldChanges {
  readonly changes: ReadonlyArray<FieldChange>
  /** How many more there are. */
  readonly leftOut: number
}

export interface CompareOptions {
  /** Of the path of a field: it is not looked at, nor is what it holds. */
  readonly isLeftOut: (path: FieldPath) => boolean
  readonly changesMax: number
}

/** What lies deeper is one value. No kind of Kubernetes goes so deep; what a hostile client sends may. */
export const fieldDepthMax = 32

export const changedFields = (before: JsonObject, after: JsonObject, options: CompareOptions): FieldChanges => {
  const changes: Array<FieldChange> = []
  let count = 0
  const tell = (path: FieldPath, old: Json | undefined, now: Json | undefined): void => {
    if (count++ < options.changesMax) changes.push({ path, old, new: now })
  }

  const compare = (path: FieldPath, old: Json | undefined, now: Json | undefined): void => {
    if (old === now || options.isLeftOut(path)) return
    const isDeep = path.length >= fieldDepthMax
    if (!isDeep && isJsonObject(old ?? now) && isJsonObject(now ?? old) && !isEmptyBeside(old, now)) {
      return compareObjects(path, objectOrNone(old), objectOrNone(now))
    }
    const lists = isDeep ? undefined : objectLists(old, now)
    if (lists !== undefined) return compareLists(path, ...lists)
    if (!isSame(old, now)) tell(path, old, now)
  }

  const compareObjects = (path: FieldPath, old: JsonObject, now: JsonObject): void => {
    for (const name of new Set([...Object.keys(old), ...Object.keys(now)])) {
      compare([...path, name], memberOf(old, name), memberOf(now, name))
    }
  }

  const compareLists = (path: FieldPath, old: ObjectList, now: ObjectList): void => {
    const key = keyOf(old, now)
    if (key === undefined) return compareByPosition(path, old, now)
    const before = byKey(old, key)
    const after = byKey(now, key)
    for (const value of new Set([...before.keys(), ...after.keys()])) {
      compareElements([...path, { key, value }], before.get(value), after.get(value))
    }
    const kept = [...before.keys()].filter((value) => after.has(value))
    const keptNow = [...after.keys()].filter((value) => before.has(value))
    // Of initial containers, for one, the order counts.
    if (!isSame(kept, keptNow)) tell(path, kept, keptNow)
  }

  /** An element that came or went is told as a whole. */
  const compareElements = (path: FieldPath, old: JsonObject | undefined, now: JsonObject | undefined): void =>
    old === undefined || now === undefined ? tell(path, old, now) : compareObjects(path, old, now)

  const compareByPosition = (path: FieldPath, old: ObjectList, now: ObjectList): void => {
    const shorter = Math.min(old.length, now.length)
    let start = 0
    while (start < shorter && isSame(old[start], now[start])) start++
    let end = 0
    while (end < shorter - start && isSame(old[old.length - 1 - end], now[now.length - 1 - end])) end++
    const [oldEnd, nowEnd] = [old.length - end, now.length - end]
    for (let index = start; index < Math.max(oldEnd, nowEnd); index++) {
      compareElements(
        [...path, index],
        index < oldEnd ? old[index] : undefined,
        index < nowEnd ? now[index] : undefined
      )
    }
  }

  compareObjects([], before, after)
  return { changes, leftOut: Math.max(0, count - options.changesMax) }
}

/** The value of a field; undefined where it is absent or null. */
export const memberOf = (object: JsonObject, name: string): Json | undefined =>
  Object.hasOwn(object, name) ? (object[name] ?? undefined) : undefined

type ObjectList = ReadonlyArray<JsonObject>

const objectOrNone = (value: Json | undefined): JsonObject => (isJsonObject(value) ? value : {})

/** `{}` that came or went is told as it is. */
const isEmptyBeside = (old: Json | undefined, now: Json | undefined): boolean =>
  (old === undefined || now === undefined) && Object.keys(objectOrNone(old ?? now)).length === 0

/** Both as lists of objects, an absent one as an empty one; undefined where they are none. */
const objectLists = (old: Json | undefined, now: Json | undefined): [ObjectList, ObjectList] | undefined => {
  const [before, after] = [objectList(old), objectList(now)]
  if (before === undefined || after === undefined || before.length + after.length === 0) return undefined
  return [before, after]
}

const objectList = (value: Json | undefined): ObjectList | undefined => {
  if (value === undefined) return []
  return Array.isArray(value) && value.every(isJsonObject) ? value : undefined
}

/** What elements of lists are told apart by in Kubernetes, most telling first. */
const keys = [
  "name",
  "type",
  "uid",
  "key",
  "mountPath",
  "devicePath",
  "containerPort",
  "port",
  "ip",
  "topologyKey"
] as const

/** What tells the elements of each of the lists apart; undefined: nothing does. */
export const keyOf = (...lists: ReadonlyArray<ObjectList>): string | undefined =>
  keys.find((key) =>
    lists.every((list) => {
      const names = new Set(list.map((element) => nameAt(element, key)))
      return names.size === list.length && !names.has(undefined)
    })
  )

/** What an element is called, if it says so at `key`: a number as text. */
export const nameAt = (element: JsonObject, key: string): string | undefined => {
  const name = memberOf(element, key)
  return typeof name === "number" || (typeof name === "string" && name !== "") ? String(name) : undefined
}

const byKey = (list: ObjectList, key: string): ReadonlyMap<string, JsonObject> =>
  new Map(list.map((element) => [nameAt(element, key) ?? "", element]))

/** However deep: nothing calls itself. */
const isSame = (one: Json | undefined, other: Json | undefined): boolean => {
  const pairs: Array<readonly [Json | undefined, Json | undefined]> = [[one, other]]
  for (let pair = pairs.pop(); pair !== undefined; pair = pairs.pop()) {
    const [left, right] = pair
    if (left === right) continue
    if (isJsonObject(left) && isJsonObject(right)) {
      for (const name of new Set([...Object.keys(left), ...Object.keys(right)])) {
        pairs.push([memberOf(left, name), memberOf(right, name)])
      }
    } else if (isList(left) && isList(right) && left.length === right.length) {
      left.forEach((item, index) => pairs.push([item, right[index]]))
    } else return false
  }
  return true
}

const isList = (value: Json | undefined): value is ReadonlyArray<Json> => Array.isArray(value)
