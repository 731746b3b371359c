/** Reads filters: what the tree of {@link Filter} cannot hold is refused here, with its place. */
import { type ASTNode, Environment, ParseError } from "@marcbachmann/cel-js"
import { Result } from "effect"
import { isFactInstant, microsecondsFrom, timestampText } from "../domain/instant.ts"
import type { Expression, Filter, FilterField, Literal } from "./Filter.ts"
import { positionOf } from "./position.ts"

/** Characters of one filter. */
export const filterLengthMax = 16_384

const limits = { maxAstNodes: 2_000, maxDepth: 50, maxListElements: 500, maxMapEntries: 0, maxCallArguments: 4 }

/** A filter that cannot be answered: a mistake of its writer, with its place. Line and column count from 1. */
export class FilterRefused extends Error {
  readonly _tag = "FilterRefused"
  readonly line: number
  readonly column: number
  constructor(message: string, line: number, column: number) {
    super(message)
    this.line = line
    this.column = column
  }
}

/**
 * Reads a filter over the given fields: comparisons with constants, `in` with a list of constants, startsWith, endsWith,
 * contains, `&&`, `||`, `!`, and true or false. Anything else is refused.
 */
export const parseFilter = (
  source: string,
  fields: ReadonlyArray<FilterField>
): Result.Result<Filter, FilterRefused> => {
  if (source.length > filterLengthMax) {
    return Result.fail(new FilterRefused(`the filter is longer than ${filterLengthMax} characters`, 1, 1))
  }
  const stackTraceLimit = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  try {
    const { ast } = new Environment({ limits, unlistedVariablesAreDyn: true }).parse(source)
    return Result.succeed({
      source,
      expression: expressionFrom(ast, new Map(fields.map((field) => [field.path, field])))
    })
  } catch (error) {
    const { message, offset } = refusalFrom(error)
    const { line, column } = positionOf(source, offset)
    return Result.fail(new FilterRefused(message, line, column))
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

class Refusal extends Error {
  readonly offset: number
  constructor(node: ASTNode, message: string) {
    super(message)
    this.offset = node.start
  }
}

const refusalFrom = (error: unknown): { readonly message: string; readonly offset: number } => {
  if (error instanceof Refusal) return { message: error.message, offset: error.offset }
  if (error instanceof ParseError) return { message: error.summary, offset: error.range?.start ?? 0 }
  if (error instanceof RangeError) return { message: "the filter is nested too deeply", offset: 0 }
  return { message: error instanceof Error ? error.message : String(error), offset: 0 }
}

type Fields = ReadonlyMap<string, FilterField>
type Comparison = (Expression & { readonly op: "compare" })["operator"]

const mirrored: Readonly<Record<Comparison, Comparison>> = {
  "==": "==",
  "!=": "!=",
  "<": ">",
  "<=": ">=",
  ">": "<",
  ">=": "<="
}

const expressionFrom = (ast: ASTNode, fields: Fields): Expression => {
  switch (ast.op) {
    case "value":
      if (typeof ast.args === "boolean") return { op: "literal", value: ast.args }
      throw new Refusal(ast, "a filter is a condition; this is a constant")
    case "&&":
    case "||": {
      const op = ast.op === "&&" ? "and" : "or"
      return { op, operands: operandsOf(ast, ast.op).map((operand) => expressionFrom(operand, fields)) }
    }
    case "!_": {
      const { operand, negated } = negationOf(ast)
      const expression = expressionFrom(operand, fields)
      return negated ? { op: "not", operand: expression } : expression
    }
    case "==":
    case "!=":
    case "<":
    case "<=":
    case ">":
    case ">=":
      return comparisonFrom(ast, ast.op, ast.args, fields)
    case "in":
      return membershipFrom(ast.args, fields)
    case "rcall":
      return textFrom(ast, ast.args, fields)
    case "id":
    case ".":
    case "[]":
      throw new Refusal(ast, `${fieldFrom(ast, fields).path} alone is no condition; compare it with a constant`)
    case "call":
      throw new Refusal(ast, `${ast.args[0]}() is not supported in filters`)
    default:
      throw new Refusal(ast, `'${ast.op}' is not supported in filters`)
  }
}

/** `a && b && c` is a chain to the left: taken apart in a loop, so that its length is no depth. */
const operandsOf = (ast: ASTNode, op: "&&" | "||"): ReadonlyArray<ASTNode> => {
  const operands: Array<ASTNode> = []
  let rest = ast
  while (rest.op === op) {
    operands.unshift(rest.args[1])
    rest = rest.args[0]
  }
  return [rest, ...operands]
}

/** `!!!a` is `!a`: many of them are no depth either. */
const negationOf = (ast: ASTNode): { readonly operand: ASTNode; readonly negated: boolean } => {
  let operand = ast
  let negated = false
  while (operand.op === "!_") {
    operand = operand.args
    negated = !negated
  }
  return { operand, negated }
}

const isConstant = (ast: ASTNode): boolean =>
  ast.op === "value" || ast.op === "-_" || (ast.op === "call" && ast.args[0] === "timestamp")

const comparisonFrom = (
  ast: ASTNode,
  operator: Comparison,
  [left, right]: readonly [ASTNode, ASTNode],
  fields: Fields
): Expression => {
  const mirror = isConstant(left)
  const [fieldNode, valueNode] = mirror ? [right, left] : [left, right]
  if (isConstant(fieldNode) || !isConstant(valueNode)) {
    // A misspelt field is the likelier mistake, so it is named first.
    if (!isConstant(fieldNode)) fieldFrom(fieldNode, fields)
    throw new Refusal(ast, "a comparison takes a field and a constant")
  }
  const field = fieldFrom(fieldNode, fields)
  return {
    op: "compare",
    operator: mirror ? mirrored[operator] : operator,
    field,
    value: literalFrom(valueNode, field)
  }
}

const membershipFrom = ([left, right]: readonly [ASTNode, ASTNode], fields: Fields): Expression => {
  const field = fieldFrom(left, fields)
  if (right.op !== "list") throw new Refusal(right, "'in' takes a list of constants")
  return right.args.length === 0
    ? { op: "literal", value: false }
    : { op: "in", field, values: right.args.map((item) => literalFrom(item, field)) }
}

const textOperators = ["startsWith", "endsWith", "contains"] as const

const textFrom = (
  ast: ASTNode,
  [method, receiver, [argument, ...more]]: readonly [string, ASTNode, ReadonlyArray<ASTNode>],
  fields: Fields
): Expression => {
  const operator = textOperators.find((name) => name === method)
  if (operator === undefined) {
    throw new Refusal(ast, `${method}() is not supported in filters; there are ${textOperators.join(", ")}`)
  }
  const field = fieldFrom(receiver, fields)
  if (field.type !== "string") throw new Refusal(ast, `${operator}() takes a text, ${field.path} is a ${field.type}`)
  if (argument === undefined || more.length > 0 || argument.op !== "value" || typeof argument.args !== "string") {
    throw new Refusal(ast, `${operator}() takes one constant text`)
  }
  return { op: "text", operator, field, value: argument.args }
}

const pathOf = (ast: ASTNode): string | undefined => {
  if (ast.op === "id") return ast.args
  if (ast.op !== "." && ast.op !== "[]") return undefined
  const [parent, name] = ast.args
  const path = pathOf(parent)
  const key =
    typeof name === "string" ? name : name.op === "value" && typeof name.args === "string" ? name.args : undefined
  return path === undefined || key === undefined ? undefined : `${path}.${key}`
}

const fieldFrom = (ast: ASTNode, fields: Fields): FilterField => {
  const path = pathOf(ast)
  if (path === undefined) {
    throw new Refusal(
      ast,
      ast.op === "call" || ast.op === "rcall" ? `${ast.args[0]}() is not supported here` : "a field is expected here"
    )
  }
  const field = fields.get(path)
  if (field !== undefined) return field
  throw new Refusal(ast, `there is no field ${path}; fields are ${[...fields.keys()].join(", ")}`)
}

const literalFrom = (ast: ASTNode, field: FilterField): Literal => {
  switch (field.type) {
    case "string":
      if (ast.op === "value" && typeof ast.args === "string") return ast.args
      throw new Refusal(ast, `${field.path} is a text; compare it with a text in quotes`)
    case "number": {
      const value = numberFrom(ast)
      if (value !== undefined) return value
      throw new Refusal(ast, `${field.path} is a number; compare it with a number`)
    }
    case "timestamp": {
      const argument =
        ast.op === "call" && ast.args[0] === "timestamp" && ast.args[1].length === 1 ? ast.args[1][0]! : ast
      const text = argument.op === "value" && typeof argument.args === "string" ? argument.args : ""
      const microseconds = microsecondsFrom(text)
      if (microseconds !== undefined) {
        if (isFactInstant(microseconds)) return timestampText(microseconds)
        throw new Refusal(ast, `${field.path} is of the years 1970 to 2105`)
      }
      throw new Refusal(ast, `${field.path} is a time; compare it with timestamp('2026-01-31T12:00:00Z')`)
    }
  }
}

const numberFrom = (ast: ASTNode): number | undefined => {
  if (ast.op === "-_") {
    const positive = numberFrom(ast.args)
    return positive === undefined ? undefined : -positive
  }
  if (ast.op !== "value") return undefined
  const value = typeof ast.args === "bigint" || typeof ast.args === "number" ? Number(ast.args) : undefined
  return value !== undefined && (typeof ast.args === "number" || Number.isSafeInteger(value)) ? value : undefined
}
