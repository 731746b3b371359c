/**
 * Filters: CEL over a resource's own fields, checked once, then compiled to SQL (store/filterSql.ts) and to a
 * predicate in memory ({@link predicateFrom}). Both walk the same tree.
 *
 * Part 4 widens the language; what the tree cannot hold is refused here, with its position.
 */

/** The field's JSON path in the resource, and its type. */
export interface FilterField {
  readonly path: string
  readonly type: "string" | "number" | "timestamp"
  /** The path read where `path` is absent; else an absent text is "", an absent number 0. */
  readonly absentAs?: string
}

/** Of the field's own type; a timestamp's is RFC 3339 in UTC with six fractional digits. */
export type Literal = string | number | boolean

export type Expression =
  | { readonly op: "literal"; readonly value: boolean }
  | {
      readonly op: "compare"
      readonly operator: "==" | "!=" | "<" | "<=" | ">" | ">="
      readonly field: FilterField
      readonly value: Literal
    }
  | { readonly op: "in"; readonly field: FilterField; readonly values: ReadonlyArray<Literal> }
  | {
      readonly op: "text"
      readonly operator: "startsWith" | "endsWith" | "contains"
      readonly field: FilterField
      readonly value: string
    }
  | { readonly op: "and" | "or"; readonly operands: ReadonlyArray<Expression> }
  | { readonly op: "not"; readonly operand: Expression }

export interface Filter {
  readonly source: string
  readonly expression: Expression
}

export { FilterRefused, parseFilter } from "./parseFilter.ts"
export { predicateFrom } from "./predicateFrom.ts"
