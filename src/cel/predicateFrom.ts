import { isJsonObject, type Json, type JsonObject } from "../domain/AuditRecord.ts"
import { microsecondsFrom } from "../domain/instant.ts"
import type { Expression, Filter, FilterField, Literal } from "./Filter.ts"

/** The same filter in memory. Holds for a resource exactly when the SQL holds for its row. */
export const predicateFrom = ({ expression }: Filter): ((resource: JsonObject) => boolean) => predicateOf(expression)

type Predicate = (resource: JsonObject) => boolean

const predicateOf = (expression: Expression): Predicate => {
  switch (expression.op) {
    case "literal":
      return () => expression.value
    case "not": {
      const operand = predicateOf(expression.operand)
      return (resource) => !operand(resource)
    }
    case "and": {
      const operands = expression.operands.map(predicateOf)
      return (resource) => operands.every((holds) => holds(resource))
    }
    case "or": {
      const operands = expression.operands.map(predicateOf)
      return (resource) => operands.some((holds) => holds(resource))
    }
    case "in": {
      const values = new Set(expression.values.map((value) => comparable(expression.field, value)))
      const read = readerOf(expression.field)
      return (resource) => values.has(read(resource))
    }
    case "text": {
      const read = readerOf(expression.field)
      const { operator, value } = expression
      return (resource) => {
        const text = String(read(resource))
        if (operator === "startsWith") return text.startsWith(value)
        return operator === "endsWith" ? text.endsWith(value) : text.includes(value)
      }
    }
    case "compare": {
      const read = readerOf(expression.field)
      const value = comparable(expression.field, expression.value)
      const { operator } = expression
      if (operator === "==") return (resource) => read(resource) === value
      if (operator === "!=") return (resource) => read(resource) !== value
      const holds = orders[operator]
      return (resource) => {
        const found = read(resource)
        return found !== undefined && value !== undefined && holds(compared(found, value))
      }
    }
  }
}

const orders: Readonly<Record<"<" | "<=" | ">" | ">=", (order: number) => boolean>> = {
  "<": (order) => order < 0,
  "<=": (order) => order <= 0,
  ">": (order) => order > 0,
  ">=": (order) => order >= 0
}

/** Times compare as microseconds; undefined is a time that is none. */
type Comparable = string | number | bigint | undefined

const comparable = (field: FilterField, value: Json | Literal | undefined): Comparable => {
  switch (field.type) {
    case "string":
      return typeof value === "string" ? value : ""
    case "number":
      return typeof value === "number" ? value : 0
    case "timestamp":
      return typeof value === "string" ? microsecondsFrom(value) : undefined
  }
}

const readerOf = (field: FilterField): ((resource: JsonObject) => Comparable) => {
  const path = field.path.split(".")
  const otherPath = field.absentAs?.split(".")
  return (resource) => {
    const value = valueAt(resource, path)
    return comparable(field, value === undefined && otherPath !== undefined ? valueAt(resource, otherPath) : value)
  }
}

const valueAt = (resource: JsonObject, path: ReadonlyArray<string>): Json | undefined => {
  let value: Json | undefined = resource
  for (const name of path) {
    if (!isJsonObject(value) || !Object.hasOwn(value, name)) return undefined
    value = value[name]
  }
  return value
}

/** Texts compare by their UTF-8 bytes, as the store compares them; UTF-16 order differs beyond the first plane. */
const compared = (one: NonNullable<Comparable>, other: NonNullable<Comparable>): number =>
  typeof one === "string" && typeof other === "string"
    ? Buffer.compare(Buffer.from(one), Buffer.from(other))
    : one < other
      ? -1
      : Number(one > other)
