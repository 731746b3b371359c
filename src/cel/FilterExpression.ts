/** The checked tree of a filter: every node's type is known, and nothing in it can be refused any more. */
import type { FieldType, FilterField } from "./FilterField.ts"

/** Of a filter's parts. `any` is JSON of which nothing is known before it is read. */
export type ValueType = Exclude<FieldType, "object"> | "boolean" | "duration"

export type ScalarType = "boolean" | "number" | "string" | "timestamp" | "duration"

/** Timestamps are microseconds since 1970, durations microseconds. */
export type Literal = string | number | boolean | bigint

export interface Constant {
  readonly op: "constant"
  readonly type: ScalarType
  readonly value: Literal
}

export type Comparison = "==" | "!=" | "<" | "<=" | ">" | ">="

/** Where an operand of type `any` stands, a value of another type is an error, except where it says otherwise. */
export type FilterExpression =
  | Constant
  | { readonly op: "field"; readonly field: FilterField }
  /** What exists() or all() looks at: of the outermost one at depth 0. */
  | { readonly op: "item"; readonly depth: number }
  /** A member of a map, a list (by index, from 0) or JSON; an error where there is none. */
  | { readonly op: "at"; readonly of: FilterExpression; readonly key: string | number }
  /** JSON that is of this type. */
  | { readonly op: "as"; readonly type: "string" | "number" | "boolean"; readonly of: FilterExpression }
  /** Of one type. */
  | {
      readonly op: "compare"
      readonly operator: Comparison
      readonly left: FilterExpression
      readonly right: FilterExpression
    }
  /** JSON is this value; JSON of another type is another value, no error. */
  | { readonly op: "same"; readonly json: FilterExpression; readonly value: FilterExpression | null }
  /** Of the value's type, or, where the value is JSON, of several. */
  | {
      readonly op: "in"
      readonly value: FilterExpression
      readonly values: ReadonlyArray<Constant | null>
    }
  /** The value is in a list, or a key of a map. */
  | { readonly op: "member"; readonly value: FilterExpression; readonly of: FilterExpression }
  | {
      readonly op: "text"
      readonly operator: "startsWith" | "endsWith" | "contains"
      readonly text: FilterExpression
      readonly part: FilterExpression
    }
  /** The pattern is RE2. */
  | { readonly op: "matches"; readonly text: FilterExpression; readonly pattern: string }
  | { readonly op: "lowerAscii"; readonly text: FilterExpression }
  /** Code points of a text, items of a list, entries of a map. */
  | { readonly op: "size"; readonly of: FilterExpression }
  /** A text that is a time (filterTimes.ts). */
  | { readonly op: "timestamp"; readonly text: FilterExpression }
  | {
      readonly op: "add" | "subtract"
      readonly type: "timestamp" | "duration"
      readonly left: FilterExpression
      readonly right: FilterExpression
    }
  | {
      readonly op: "choose"
      readonly condition: FilterExpression
      readonly then: FilterExpression
      readonly otherwise: FilterExpression
    }
  /** Of a list's items, or a map's keys, one that the condition holds for. */
  | {
      readonly op: "exists"
      readonly of: FilterExpression
      readonly depth: number
      readonly condition: FilterExpression
    }
  /** A declared field that is not empty, or a member that is there. */
  | { readonly op: "has"; readonly of: FilterExpression & { readonly op: "field" | "at" } }
  | { readonly op: "and" | "or"; readonly operands: ReadonlyArray<FilterExpression> }
  | { readonly op: "not"; readonly operand: FilterExpression }

export const typeOf = (expression: FilterExpression): ValueType => {
  switch (expression.op) {
    case "constant":
    case "as":
    case "add":
    case "subtract":
      return expression.type
    case "field":
      return expression.field.type === "object" ? "any" : expression.field.type
    case "item":
    case "at":
      return "any"
    case "lowerAscii":
      return "string"
    case "size":
      return "number"
    case "timestamp":
      return "timestamp"
    case "choose":
      return typeOf(expression.then)
    default:
      return "boolean"
  }
}

const partsOf = (expression: FilterExpression): ReadonlyArray<FilterExpression> => {
  switch (expression.op) {
    case "constant":
    case "field":
    case "item":
      return []
    case "at":
    case "as":
    case "size":
    case "has":
      return [expression.of]
    case "compare":
    case "add":
    case "subtract":
      return [expression.left, expression.right]
    case "same":
      return expression.value === null ? [expression.json] : [expression.json, expression.value]
    case "in":
      return [expression.value]
    case "member":
      return [expression.value, expression.of]
    case "text":
      return [expression.text, expression.part]
    case "matches":
    case "lowerAscii":
    case "timestamp":
      return [expression.text]
    case "choose":
      return [expression.condition, expression.then, expression.otherwise]
    case "exists":
      return [expression.of, expression.condition]
    case "and":
    case "or":
      return expression.operands
    case "not":
      return [expression.operand]
  }
}

/** Every field that it reads. */
export const fieldsOf = (expression: FilterExpression): ReadonlyArray<FilterField> =>
  expression.op === "field" ? [expression.field] : partsOf(expression).flatMap(fieldsOf)

/** Its patterns and exists() may take milliseconds for one resource; everything else takes microseconds. */
export const isCostly = (expression: FilterExpression): boolean =>
  expression.op === "matches" || expression.op === "exists" || partsOf(expression).some(isCostly)

/** Conditions that no text was written for: of selectors, for one. */
export const isText = (field: FilterField, text: string): FilterExpression => ({
  op: "compare",
  operator: "==",
  left: { op: "field", field },
  right: { op: "constant", type: "string", value: text }
})

export const isOneOf = (field: FilterField, texts: ReadonlyArray<string>): FilterExpression =>
  texts.length === 0
    ? always(false)
    : {
        op: "in",
        value: { op: "field", field },
        values: texts.map((value) => ({ op: "constant", type: "string", value }))
      }

export const not = (operand: FilterExpression): FilterExpression => ({ op: "not", operand })

export const allOf = (operands: ReadonlyArray<FilterExpression>): FilterExpression => ({ op: "and", operands })

export const always = (value: boolean): FilterExpression => ({ op: "constant", type: "boolean", value })
