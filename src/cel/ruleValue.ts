/**
 * JSON as rules see it. cel-js tells types by `value.constructor`, so an object with a key of that name, a legal label
 * for one, is of no type to it: such an object becomes a Map, which cel-js reads like any other map.
 */
import { isJsonObject, type Json } from "../domain/AuditRecord.ts"

/** Deeper ones stay as they are: no Kubernetes object comes near, and recursion must end. */
const depthMax = 512

/** The word, or an escaped letter of it: JSON may write `constructor` as `\u0063onstructor`. */
const suspicious = ["constructor", "\\u006", "\\u007"]

/** What the converted objects were; those around them are copies too. */
const originals = new WeakMap<object, unknown>()

/** @param json a text that holds all of `value`'s keys: most have no such key, and are not walked */
export const ruleValueFrom = (value: Json, json: string): unknown =>
  suspicious.some((part) => json.includes(part)) ? converted(value, 0) : value

/** The JSON behind a value that a rule handed to one of our functions. */
export const originalOf = (value: unknown): unknown =>
  typeof value === "object" && value !== null ? (originals.get(value) ?? value) : value

/** JSON of a rule's value; its own integers are written as numbers. */
export const jsonOf = (value: unknown): string =>
  JSON.stringify(value, (_, inner: unknown) => (typeof inner === "bigint" ? Number(inner) : originalOf(inner)))

const converted = (value: Json, depth: number): unknown => {
  if (depth > depthMax || typeof value !== "object" || value === null) return value
  const copy = isJsonObject(value) ? convertedObject(Object.entries(value), depth) : convertedList(value, depth)
  if (copy === undefined) return value
  originals.set(copy, value)
  return copy
}

/** Undefined: nothing in it is converted. */
const convertedObject = (
  entries: ReadonlyArray<readonly [string, Json | undefined]>,
  depth: number
): object | undefined => {
  let changed = false
  const copies = entries.map(([name, inner]) => {
    const copy = inner === undefined ? inner : converted(inner, depth + 1)
    changed ||= copy !== inner
    return [name, copy] as const
  })
  if (copies.some(([name]) => name === "constructor")) return new Map(copies)
  // fromEntries defines properties: a `__proto__` key stays a key.
  return changed ? Object.fromEntries(copies) : undefined
}

const convertedList = (list: ReadonlyArray<Json>, depth: number): object | undefined => {
  const copies = list.map((inner) => converted(inner, depth + 1))
  return copies.some((copy, index) => copy !== list[index]) ? copies : undefined
}
