/** The constants of filters. Numbers are read as doubles, as JSON's are; times and durations have whole microseconds. */
import type { ASTNode } from "@marcbachmann/cel-js"
import { isFactInstant, microsecondsFrom } from "../domain/instant.ts"
import { durationFrom } from "./duration.ts"
import type { Constant, FilterExpression } from "./FilterExpression.ts"
import { FilterRefusal, shown } from "./filterSyntax.ts"

export const isConstant = (ast: ASTNode): boolean =>
  ast.op === "value" ||
  (ast.op === "-_" && isConstant(ast.args)) ||
  (ast.op === "call" &&
    (ast.args[0] === "timestamp" || ast.args[0] === "duration") &&
    ast.args[1].every((argument) => argument.op === "value"))

/** Of a node that {@link isConstant} holds for. */
export const constantFrom = (ast: ASTNode): Constant => {
  if (ast.op === "call") {
    const [argument, ...more] = ast.args[1]
    if (argument === undefined || more.length > 0) throw new FilterRefusal(ast, `${ast.args[0]}() takes one argument`)
    if (ast.args[0] === "duration") return durationConstant(ast, argument)
    return timestampConstant(ast, argument.op === "value" && typeof argument.args === "string" ? argument.args : "")
  }
  if (ast.op === "value" && (typeof ast.args === "string" || typeof ast.args === "boolean")) {
    return typeof ast.args === "string"
      ? { op: "constant", type: "string", value: ast.args }
      : { op: "constant", type: "boolean", value: ast.args }
  }
  return { op: "constant", type: "number", value: numberFrom(ast) }
}

const numberFrom = (ast: ASTNode): number => {
  if (ast.op === "-_") return -numberFrom(ast.args)
  const value = ast.op === "value" ? ast.args : undefined
  if (typeof value === "number" && Number.isFinite(value)) return value
  if (typeof value === "bigint" || /^\d+u$/i.test(shown(ast))) {
    const number = Number(value)
    if (Number.isSafeInteger(number)) return number
    throw new FilterRefusal(ast, `this is a number beyond ${Number.MAX_SAFE_INTEGER}, which JSON does not keep`)
  }
  throw new FilterRefusal(
    ast,
    value === null
      ? "null is only compared, by == and !=, with parts of maps and bodies"
      : `a constant is a text, a number, true or false; ${shown(ast)} is none`
  )
}

export const timestampConstant = (ast: ASTNode, text: string): Constant => {
  const microseconds = microsecondsFrom(text)
  if (microseconds === undefined) {
    throw new FilterRefusal(ast, "what is a time is written timestamp('2026-01-31T12:00:00Z'), in RFC 3339")
  }
  return storable(ast, microseconds)
}

const storable = (ast: ASTNode, microseconds: bigint): Constant => {
  if (isFactInstant(microseconds)) return { op: "constant", type: "timestamp", value: microseconds }
  throw new FilterRefusal(ast, "times are of the years 1970 to 2105")
}

export const durationConstant = (ast: ASTNode, argument: ASTNode): Constant => {
  const text = argument.op === "value" && typeof argument.args === "string" ? argument.args : undefined
  const microseconds = text === undefined ? undefined : durationFrom(text)
  if (microseconds !== undefined) return { op: "constant", type: "duration", value: microseconds }
  throw new FilterRefusal(
    ast,
    "what is a duration is written duration('1h30m'), in h, m, s, ms and us, and no finer than a microsecond"
  )
}

/** Sums of constants are constants: the store can look a time up that it need not compute for each row. */
export const folded = (ast: ASTNode, sum: FilterExpression & { readonly op: "add" | "subtract" }): FilterExpression => {
  const { left, right, type } = sum
  if (left.op !== "constant" || right.op !== "constant") return sum
  if (typeof left.value !== "bigint" || typeof right.value !== "bigint") return sum
  const value = sum.op === "add" ? left.value + right.value : left.value - right.value
  return type === "timestamp" ? storable(ast, value) : { op: "constant", type, value }
}
