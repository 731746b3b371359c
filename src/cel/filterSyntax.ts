/** What the reading of filters knows of cel-js's syntax tree, and how it names things to the filter's writer. */
import type { ASTNode } from "@marcbachmann/cel-js"
import type { ValueType } from "./FilterExpression.ts"

/** A mistake of the filter's writer, with the offset of what is wrong. */
export class FilterRefusal extends Error {
  readonly offset: number
  constructor(node: ASTNode, message: string) {
    super(message)
    this.offset = node.start
  }
}

/** What one filter has used up. Counts up while it is read. */
export interface FilterBudget {
  jsonReads: number
  patternSizes: number
}

export const typeNames: Readonly<Record<ValueType, string>> = {
  boolean: "condition",
  number: "number",
  string: "text",
  timestamp: "time",
  duration: "duration",
  list: "list",
  map: "map",
  any: "part of a body"
}

const shownLengthMax = 60

/** A part of the filter, as it was written. */
export const shown = (ast: ASTNode): string => {
  const text = ast.input.slice(ast.start, ast.end)
  return text.length > shownLengthMax ? `${text.slice(0, shownLengthMax).toWellFormed()}...` : text
}

interface Step {
  readonly key: string | number
  readonly node: ASTNode
}

/** The largest index of a list. */
const indexMax = 1_000_000n

/** `a.b['c'][0]`, taken apart. */
export const chainOf = (ast: ASTNode): { readonly root: string; readonly steps: ReadonlyArray<Step> } => {
  const steps: Array<Step> = []
  let rest = ast
  while (rest.op === "." || rest.op === "[]") {
    steps.unshift(
      rest.op === "." ? { key: rest.args[1], node: rest } : { key: keyFrom(rest.args[1]), node: rest.args[1] }
    )
    rest = rest.args[0]
  }
  if (rest.op === "id") return { root: rest.args, steps }
  throw new FilterRefusal(rest, "a field is expected here")
}

const keyFrom = (ast: ASTNode): string | number => {
  if (ast.op === "value" && typeof ast.args === "string") return ast.args
  if (ast.op === "value" && typeof ast.args === "bigint" && ast.args <= indexMax) return Number(ast.args)
  throw new FilterRefusal(ast, `in brackets stands a text, or a number from 0 to ${indexMax}`)
}

/** `a && b && c` is a chain to the left: taken apart in a loop, so that its length is no depth. */
export const allOperands = (ast: ASTNode, op: "&&" | "||"): ReadonlyArray<ASTNode> => {
  const operands: Array<ASTNode> = []
  let rest = ast
  while (rest.op === op) {
    operands.unshift(rest.args[1])
    rest = rest.args[0]
  }
  return [rest, ...operands]
}

/** `!!!a` is `!a`: many of them are no depth either. */
export const negationOf = (ast: ASTNode): { readonly operand: ASTNode; readonly negated: boolean } => {
  let operand = ast
  let negated = false
  while (operand.op === "!_") {
    operand = operand.args
    negated = !negated
  }
  return { operand, negated }
}
