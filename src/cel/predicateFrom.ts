import { isJsonObject, type Json, type JsonObject } from "../domain/AuditRecord.ts"
import { microsecondsFrom } from "../domain/instant.ts"
import type { Comparison, FilterExpression } from "./FilterExpression.ts"
import type { FilterField } from "./FilterField.ts"
import { sumBounds, timePattern } from "./filterTimes.ts"
import { Pattern } from "./regularExpression.ts"

/** The same filter in memory. Holds for a resource exactly when the SQL holds for its row. */
export const predicateFrom = (filter: {
  readonly expression: FilterExpression
}): ((resource: JsonObject) => boolean) => {
  const read = readerOf(filter.expression)
  return (resource) => read(resource, []) === true
}

/** Times and durations are microseconds; undefined is CEL's error. */
type Value = Json | bigint | undefined

/** `items` are what the comprehensions around look at, outermost first. */
type Reader = (resource: JsonObject, items: Array<Json>) => Value

const readerOf = (expression: FilterExpression): Reader => {
  switch (expression.op) {
    case "constant":
      return () => expression.value
    case "field":
      return fieldReader(expression.field)
    case "item":
      return (_, items) => items[expression.depth]
    case "at":
      return memberReader(readerOf(expression.of), expression.key)
    case "as": {
      const of = readerOf(expression.of)
      return (resource, items) => {
        const value = of(resource, items)
        return typeof value === expression.type ? wellFormed(value) : undefined
      }
    }
    case "compare":
      return comparison(expression.operator, readerOf(expression.left), readerOf(expression.right))
    case "same":
      return strict(
        readerOf(expression.json),
        expression.value === null ? () => null : readerOf(expression.value),
        (json, value) => wellFormed(json) === value
      )
    case "in": {
      const of = readerOf(expression.value)
      const values = new Set<Value>(expression.values.map((constant) => constant?.value ?? null))
      return (resource, items) => {
        const value = of(resource, items)
        return value === undefined ? undefined : values.has(wellFormed(value))
      }
    }
    case "member":
      return strict(readerOf(expression.value), readerOf(expression.of), isMember)
    case "text":
      return textReader(expression.operator, readerOf(expression.text), readerOf(expression.part))
    case "matches": {
      const of = readerOf(expression.text)
      const pattern = new Pattern(expression.pattern).expression
      return (resource, items) => {
        const text = of(resource, items)
        return typeof text === "string" ? pattern.matcher(text).find() : undefined
      }
    }
    case "lowerAscii": {
      const of = readerOf(expression.text)
      return (resource, items) => {
        const text = of(resource, items)
        return typeof text === "string" ? text.replace(/[A-Z]+/g, (part) => part.toLowerCase()) : undefined
      }
    }
    case "size": {
      const of = readerOf(expression.of)
      return (resource, items) => sizeOf(of(resource, items))
    }
    case "timestamp": {
      const of = readerOf(expression.text)
      return (resource, items) => timeFrom(of(resource, items))
    }
    case "add":
    case "subtract":
      return sumReader(expression)
    case "choose": {
      const condition = readerOf(expression.condition)
      const then = readerOf(expression.then)
      const otherwise = readerOf(expression.otherwise)
      return (resource, items) => {
        const chosen = condition(resource, items)
        return chosen === undefined ? undefined : chosen === true ? then(resource, items) : otherwise(resource, items)
      }
    }
    case "exists":
      return existsReader(expression)
    case "has":
      return presenceReader(expression.of)
    case "and":
      return junction(expression.operands.map(readerOf), false)
    case "or":
      return junction(expression.operands.map(readerOf), true)
    case "not": {
      const operand = readerOf(expression.operand)
      return (resource, items) => {
        const value = operand(resource, items)
        return value === undefined ? undefined : value !== true
      }
    }
  }
}

/** Both operands, unless one of them is an error. */
const strict =
  (left: Reader, right: Reader, apply: (left: Exclude<Value, undefined>, right: Exclude<Value, undefined>) => Value) =>
  (resource: JsonObject, items: Array<Json>): Value => {
    const one = left(resource, items)
    if (one === undefined) return undefined
    const other = right(resource, items)
    return other === undefined ? undefined : apply(one, other)
  }

/** `deciding` is what one operand is enough for, whatever the others are: true for `||`, false for `&&`. */
const junction =
  (operands: ReadonlyArray<Reader>, deciding: boolean): Reader =>
  (resource, items) => {
    let failed = false
    for (const operand of operands) {
      const value = operand(resource, items)
      if (value === deciding) return deciding
      if (value === undefined) failed = true
    }
    return failed ? undefined : !deciding
  }

const valueAt = (resource: JsonObject, path: ReadonlyArray<string>): Json | undefined => {
  let value: Json | undefined = resource
  for (const name of path) {
    if (!isJsonObject(value) || !Object.hasOwn(value, name)) return undefined
    value = value[name]
  }
  return value
}

const fieldReader = ({ absentAs = [], at, max, type }: FilterField): Reader => {
  switch (type) {
    case "string":
      return (resource) => {
        const value = valueAt(resource, at)
        return typeof value === "string" ? value.toWellFormed() : ""
      }
    case "number":
      return (resource) => {
        const value = valueAt(resource, at)
        if (typeof value !== "number") return 0
        return max === undefined || (Number.isInteger(value) && value >= 0 && value <= max) ? value : 0
      }
    case "timestamp": {
      const paths = [at, ...absentAs]
      return (resource) => {
        for (const path of paths) {
          const time = timeFrom(valueAt(resource, path))
          if (time !== undefined) return time
        }
        return undefined
      }
    }
    case "list":
      return (resource) => {
        const value = valueAt(resource, at)
        return Array.isArray(value) ? value : []
      }
    case "map":
      return (resource) => {
        const value = valueAt(resource, at)
        return isJsonObject(value) ? value : {}
      }
    case "any":
    case "object":
      return (resource) => valueAt(resource, at)
  }
}

const memberReader =
  (of: Reader, key: string | number): Reader =>
  (resource, items) => {
    const value = of(resource, items)
    // isArray forgets what the items are.
    if (typeof key === "number") return Array.isArray(value) ? (value as ReadonlyArray<Json>)[key] : undefined
    return isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined
  }

const isObject = (value: Value): value is JsonObject => typeof value !== "bigint" && isJsonObject(value)

/** Texts outside of declared fields; a half of a surrogate pair is U+FFFD, as in the store. */
const wellFormed = (value: Value): Value => (typeof value === "string" ? value.toWellFormed() : value)

const comparison = (operator: Comparison, left: Reader, right: Reader): Reader => {
  switch (operator) {
    case "==":
      return strict(left, right, (one, other) => one === other)
    case "!=":
      return strict(left, right, (one, other) => one !== other)
    case "<":
      return strict(left, right, (one, other) => compared(one, other) < 0)
    case "<=":
      return strict(left, right, (one, other) => compared(one, other) <= 0)
    case ">":
      return strict(left, right, (one, other) => compared(one, other) > 0)
    case ">=":
      return strict(left, right, (one, other) => compared(one, other) >= 0)
  }
}

/** Of one type. Texts compare by their UTF-8 bytes, as the store compares them; UTF-16 order differs beyond the first plane. */
const compared = (one: Value, other: Value): number => {
  if (typeof one === "string" && typeof other === "string") return Buffer.compare(Buffer.from(one), Buffer.from(other))
  // Numbers, times, durations and conditions, both alike: the check has seen to it.
  return (one ?? 0) < (other ?? 0) ? -1 : Number((one ?? 0) > (other ?? 0))
}

const isMember = (value: Value, container: Value): Value => {
  if (Array.isArray(container)) return container.some((item: Json) => wellFormed(item) === value)
  if (!isObject(container)) return undefined
  return typeof value === "string" && Object.hasOwn(container, value)
}

const textReader = (operator: "startsWith" | "endsWith" | "contains", text: Reader, part: Reader): Reader => {
  const holds = (apply: (text: string, part: string) => boolean) =>
    strict(text, part, (one, other) =>
      typeof one === "string" && typeof other === "string" ? apply(one, other) : undefined
    )
  switch (operator) {
    case "startsWith":
      return holds((one, other) => one.startsWith(other))
    case "endsWith":
      return holds((one, other) => one.endsWith(other))
    case "contains":
      return holds((one, other) => one.includes(other))
  }
}

const sizeOf = (value: Value): number | undefined => {
  if (typeof value === "string") return codePointsOf(value)
  if (Array.isArray(value)) return value.length
  return isObject(value) ? Object.keys(value).length : undefined
}

const codePointsOf = (text: string): number => {
  let count = 0
  for (const _ of text) count++
  return count
}

const timeForm = new RegExp(timePattern)

const timeFrom = (value: Value): bigint | undefined =>
  typeof value === "string" && timeForm.test(value) ? microsecondsFrom(value) : undefined

const sumReader = ({ left, op, right, type }: FilterExpression & { readonly op: "add" | "subtract" }): Reader => {
  const [min, max] = sumBounds[type]
  return strict(readerOf(left), readerOf(right), (one, other) => {
    if (typeof one !== "bigint" || typeof other !== "bigint") return undefined
    const sum = op === "add" ? one + other : one - other
    return sum >= min && sum <= max ? sum : undefined
  })
}

const existsReader = ({ condition, depth, of }: FilterExpression & { readonly op: "exists" }): Reader => {
  const range = readerOf(of)
  const holds = readerOf(condition)
  return (resource, items) => {
    const value = range(resource, items)
    const candidates: ReadonlyArray<Json> | undefined = Array.isArray(value)
      ? value
      : isObject(value)
        ? Object.keys(value)
        : undefined
    if (candidates === undefined) return undefined
    let failed = false
    for (const candidate of candidates) {
      items[depth] = candidate
      const found = holds(resource, items)
      if (found === true) return true
      if (found === undefined) failed = true
    }
    return failed ? undefined : false
  }
}

const presenceReader = (of: FilterExpression & { readonly op: "field" | "at" }): Reader => {
  if (of.op === "at") {
    const parent = readerOf(of.of)
    const { key } = of
    return (resource, items) => {
      const value = parent(resource, items)
      return isObject(value) ? Object.hasOwn(value, String(key)) : undefined
    }
  }
  const read = readerOf(of)
  switch (of.field.type) {
    case "string":
      return (resource, items) => read(resource, items) !== ""
    case "number":
      return (resource, items) => read(resource, items) !== 0
    case "list":
    case "map":
      return (resource, items) => sizeOf(read(resource, items)) !== 0
    case "object":
      return (resource, items) => isObject(read(resource, items))
    case "timestamp":
    case "any":
      return (resource, items) => read(resource, items) !== undefined
  }
}
