/**
 * The syntax tree of a filter becomes a {@link FilterExpression}: fields are found, types checked, constants read. Whatever
 * the store or a predicate could not answer is refused here.
 */
import type { ASTNode } from "@marcbachmann/cel-js"
import { constantFrom, durationConstant, folded, isConstant, timestampConstant } from "./filterConstant.ts"
import { allOperands, chainOf, FilterRefusal, negationOf, shown, typeNames } from "./filterSyntax.ts"
import {
  type Comparison,
  type Constant,
  type FilterExpression,
  type ScalarType,
  typeOf,
  type ValueType
} from "./FilterExpression.ts"
import type { FilterFields } from "./FilterField.ts"
import { charge, isOpen, noField, resolved, type Surroundings } from "./filterPaths.ts"
import { patternSize } from "./patternSize.ts"
import { Pattern } from "./regularExpression.ts"

/** exists() and all() inside one another. */
const itemDepthMax = 3

/** Instructions of all patterns of one filter, about: compiling them takes some 20 ms. */
const filterPatternsMax = 4_000

/** @throws FilterRefusal */
export const conditionFrom = (ast: ASTNode, fields: FilterFields): FilterExpression =>
  condition(ast, { fields, items: [], budget: { jsonReads: 0, patternSizes: 0 } })

const condition = (ast: ASTNode, around: Surroundings): FilterExpression => {
  if (ast.op === "value" && typeof ast.args !== "boolean") {
    throw new FilterRefusal(ast, "a filter is a condition; this is a constant")
  }
  const expression = valueFrom(ast, around)
  const type = typeOf(expression)
  if (type === "boolean") return expression
  if (type === "any") return { op: "as", type: "boolean", of: expression }
  throw new FilterRefusal(
    ast,
    expression.op === "field"
      ? `${expression.field.path} alone is no condition; compare it with a constant`
      : `this is a ${typeNames[type]}, and no condition`
  )
}

const valueFrom = (ast: ASTNode, around: Surroundings): FilterExpression => {
  switch (ast.op) {
    case "value":
    case "-_":
      return constantFrom(ast)
    case "id":
    case ".":
    case "[]":
      return pathFrom(ast, around)
    case "&&":
    case "||":
      return {
        op: ast.op === "&&" ? "and" : "or",
        operands: allOperands(ast, ast.op).map((operand) => condition(operand, around))
      }
    case "!_": {
      const { operand, negated } = negationOf(ast)
      const expression = condition(operand, around)
      return negated ? { op: "not", operand: expression } : expression
    }
    case "?:":
      return choiceFrom(ast.args, around)
    case "==":
    case "!=":
    case "<":
    case "<=":
    case ">":
    case ">=":
      return comparisonFrom(ast, ast.op, ast.args, around)
    case "in":
      return membershipFrom(ast.args, around)
    case "+":
    case "-":
      return sumFrom(ast, ast.op, ast.args, around)
    case "call":
      return callFrom(ast, ast.args[0], ast.args[1], around)
    case "rcall":
      return methodFrom(ast, ast.args, around)
    default:
      throw new FilterRefusal(ast, `'${ast.op}' is not supported in filters`)
  }
}

const pathFrom = (ast: ASTNode, around: Surroundings): FilterExpression => {
  const found = resolved(ast, around)
  if (found.op === "field" && found.field.type === "object") throw noField(ast, found.field.path, around)
  return found
}

/** A value of this type; JSON becomes one, or is an error when it is read. */
const typed = (ast: ASTNode, type: ScalarType, what: string, around: Surroundings): FilterExpression =>
  ofType(ast, valueFrom(ast, around), type, what)

const ofType = (ast: ASTNode, value: FilterExpression, type: ScalarType, what: string): FilterExpression => {
  const found = typeOf(value)
  if (found === type) return value
  if (found === "any" && isJsonScalar(type)) return { op: "as", type, of: value }
  throw new FilterRefusal(ast, `${what} takes a ${typeNames[type]}, ${shown(ast)} is a ${typeNames[found]}`)
}

const isJsonScalar = (type: ValueType): type is "string" | "number" | "boolean" =>
  type === "string" || type === "number" || type === "boolean"

const isNull = (ast: ASTNode): boolean => ast.op === "value" && ast.args === null

const comparisonFrom = (
  ast: ASTNode,
  operator: Comparison,
  [leftNode, rightNode]: readonly [ASTNode, ASTNode],
  around: Surroundings
): FilterExpression => {
  if (isNull(leftNode) !== isNull(rightNode)) {
    const [node, nullNode] = isNull(leftNode) ? [rightNode, leftNode] : [leftNode, rightNode]
    const json = valueFrom(node, around)
    const type = typeOf(json)
    if (type !== "any") throw new FilterRefusal(nullNode, `${shown(node)} is a ${typeNames[type]}, and never null`)
    if (operator !== "==" && operator !== "!=") throw new FilterRefusal(ast, "null has no order")
    return negatedUnless(operator === "==", { op: "same", json, value: null })
  }
  let left = valueFrom(leftNode, around)
  let right = valueFrom(rightNode, around)
  // A time may be written as a text beside one.
  if (typeOf(left) === "timestamp") right = timeFromText(rightNode, right)
  if (typeOf(right) === "timestamp") left = timeFromText(leftNode, left)
  const [leftType, rightType] = [typeOf(left), typeOf(right)]
  for (const [node, type] of [
    [leftNode, leftType],
    [rightNode, rightType]
  ] as const) {
    if (type === "list" || type === "map") {
      throw new FilterRefusal(node, `a ${typeNames[type]} is not compared; ask with in, size() or exists()`)
    }
  }
  if (leftType === rightType) {
    if (leftType === "any") {
      throw new FilterRefusal(ast, "one side of a comparison is a constant, or a field whose type is known")
    }
    // A constant stands on the right.
    return left.op === "constant" && right.op !== "constant"
      ? { op: "compare", operator: mirrored[operator], left: right, right: left }
      : { op: "compare", operator, left, right }
  }
  if (leftType === "any" && isJsonScalar(rightType)) return comparedJson(operator, left, right, rightType)
  if (rightType === "any" && isJsonScalar(leftType)) return comparedJson(mirrored[operator], right, left, leftType)
  const [known, other] = isConstant(leftNode) ? [rightNode, leftNode] : [leftNode, rightNode]
  const knownType = known === leftNode ? leftType : rightType
  throw new FilterRefusal(other, mismatch(known, knownType))
}

const mismatch = (known: ASTNode, type: ValueType): string =>
  type === "timestamp"
    ? `${shown(known)} is a time; compare it with timestamp('2026-01-31T12:00:00Z')`
    : type === "any"
      ? `${shown(known)} is JSON, which has no times; compare timestamp(${shown(known)})`
      : `${shown(known)} is a ${typeNames[type]}; compare it with a ${typeNames[type]}${type === "string" ? " in quotes" : ""}`

const mirrored: Readonly<Record<Comparison, Comparison>> = {
  "==": "==",
  "!=": "!=",
  "<": ">",
  "<=": ">=",
  ">": "<",
  ">=": "<="
}

const comparedJson = (
  operator: Comparison,
  json: FilterExpression,
  value: FilterExpression,
  type: "string" | "number" | "boolean"
): FilterExpression =>
  operator === "==" || operator === "!="
    ? negatedUnless(operator === "==", { op: "same", json, value })
    : { op: "compare", operator, left: { op: "as", type, of: json }, right: value }

const negatedUnless = (holds: boolean, operand: FilterExpression): FilterExpression =>
  holds ? operand : { op: "not", operand }

const timeFromText = (ast: ASTNode, expression: FilterExpression): FilterExpression =>
  expression.op === "constant" && expression.type === "string"
    ? timestampConstant(ast, String(expression.value))
    : expression

const membershipFrom = ([left, right]: readonly [ASTNode, ASTNode], around: Surroundings): FilterExpression => {
  const value = valueFrom(left, around)
  const type = typeOf(value)
  if (type === "list" || type === "map") {
    throw new FilterRefusal(left, `a ${typeNames[type]} is in nothing; ask for one of its items with exists()`)
  }
  if (right.op === "list") {
    return { op: "in", value, values: right.args.map((item) => literalFrom(item, left, type)) }
  }
  const of = right.op === "value" ? undefined : valueFrom(right, around)
  const container = of === undefined ? "string" : typeOf(of)
  if (of === undefined || !isOpen(container)) {
    throw new FilterRefusal(right, "'in' takes a list of constants, or a field that is a list or a map")
  }
  if (!isJsonScalar(type)) {
    throw new FilterRefusal(left, `what is looked for in ${shown(right)} is a text, a number or a condition`)
  }
  if (container === "map" && type !== "string") throw new FilterRefusal(left, "the keys of a map are texts")
  charge(right, around)
  return { op: "member", value, of }
}

/** A constant of the type that it is compared with; of several types, and null, where that is JSON. */
const literalFrom = (ast: ASTNode, known: ASTNode, type: ValueType): Constant | null => {
  if (type === "any" && isNull(ast)) return null
  const value = isConstant(ast) ? constantFrom(ast) : undefined
  if (value === undefined) throw new FilterRefusal(ast, "'in' takes a list of constants")
  const constant = type === "timestamp" && value.type === "string" ? timestampConstant(ast, String(value.value)) : value
  if (constant.type === type || (type === "any" && isJsonScalar(constant.type))) return constant
  throw new FilterRefusal(ast, mismatch(known, type))
}

const sumFrom = (
  ast: ASTNode,
  operator: "+" | "-",
  [leftNode, rightNode]: readonly [ASTNode, ASTNode],
  around: Surroundings
): FilterExpression => {
  const left = valueFrom(leftNode, around)
  const right = valueFrom(rightNode, around)
  const type = sumTypes[`${typeOf(left)} ${operator} ${typeOf(right)}`]
  if (type === undefined) {
    throw new FilterRefusal(ast, `'${operator}' takes times and durations, such as spec.timestamp - duration('1h')`)
  }
  const op = operator === "+" ? "add" : "subtract"
  return folded(ast, { op, type, left, right })
}

const sumTypes: Readonly<Record<string, "timestamp" | "duration">> = {
  "timestamp + duration": "timestamp",
  "duration + timestamp": "timestamp",
  "timestamp - duration": "timestamp",
  "timestamp - timestamp": "duration",
  "duration + duration": "duration",
  "duration - duration": "duration"
}

const choiceFrom = (
  [conditionNode, thenNode, otherwiseNode]: readonly [ASTNode, ASTNode, ASTNode],
  around: Surroundings
): FilterExpression => {
  const chosen = condition(conditionNode, around)
  const then = valueFrom(thenNode, around)
  const otherwise = valueFrom(otherwiseNode, around)
  const type = typeOf(then)
  if (type !== typeOf(otherwise) || isOpen(type)) {
    throw new FilterRefusal(
      typeOf(otherwise) === type ? thenNode : otherwiseNode,
      `both branches of '?:' are of one declared type; of bodies write ${shown(conditionNode)} ? a > 1 : b > 1`
    )
  }
  return { op: "choose", condition: chosen, then, otherwise }
}

const calls = ["has", "size", "matches", "timestamp", "duration"]
const methods = ["startsWith", "endsWith", "contains", "matches", "size", "lowerAscii", "exists", "all"]

const callFrom = (ast: ASTNode, name: string, args: ReadonlyArray<ASTNode>, around: Surroundings): FilterExpression => {
  const [argument, ...more] = args
  if (!calls.includes(name)) {
    throw new FilterRefusal(ast, `${name}() is not supported in filters; there are ${calls.join(", ")}`)
  }
  if (argument === undefined) throw new FilterRefusal(ast, `${name}() takes an argument`)
  if (name === "matches") return matchFrom(ast, argument, more, around)
  if (more.length > 0) throw new FilterRefusal(ast, `${name}() takes one argument`)
  switch (name) {
    case "has":
      return hasFrom(argument, around)
    case "size":
      return sizeFrom(argument, around)
    case "duration":
      return durationConstant(ast, argument)
    default:
      return timestampFrom(ast, argument, around)
  }
}

const hasFrom = (argument: ASTNode, around: Surroundings): FilterExpression => {
  const of =
    argument.op === "id" || argument.op === "." || argument.op === "[]" ? resolved(argument, around) : undefined
  if (of?.op === "field" || (of?.op === "at" && typeof of.key === "string")) return { op: "has", of }
  throw new FilterRefusal(argument, "has() takes a field, such as has(spec.reason)")
}

const sizeFrom = (argument: ASTNode, around: Surroundings): FilterExpression => {
  const of = valueFrom(argument, around)
  const type = typeOf(of)
  if (type === "string" || isOpen(type)) return { op: "size", of }
  throw new FilterRefusal(argument, `size() takes a text, a list or a map, ${shown(argument)} is a ${typeNames[type]}`)
}

const timestampFrom = (ast: ASTNode, argument: ASTNode, around: Surroundings): FilterExpression => {
  if (argument.op === "value") {
    if (typeof argument.args === "string") return timestampConstant(ast, argument.args)
    throw new FilterRefusal(argument, "timestamp() takes a text, such as timestamp('2026-01-31T12:00:00Z')")
  }
  const value = valueFrom(argument, around)
  if (typeOf(value) === "timestamp") return value
  charge(ast, around)
  return { op: "timestamp", text: ofType(argument, value, "string", "timestamp()") }
}

const methodFrom = (
  ast: ASTNode,
  [name, receiver, args]: readonly [string, ASTNode, ReadonlyArray<ASTNode>],
  around: Surroundings
): FilterExpression => {
  const [argument, ...more] = args
  switch (name) {
    case "startsWith":
    case "endsWith":
    case "contains": {
      const text = typed(receiver, "string", `${name}()`, around)
      if (argument === undefined || more.length > 0) throw new FilterRefusal(ast, `${name}() takes one text`)
      return { op: "text", operator: name, text, part: typed(argument, "string", `${name}()`, around) }
    }
    case "matches":
      return matchFrom(ast, receiver, args, around)
    case "size":
      if (args.length > 0) throw new FilterRefusal(ast, "size() takes no argument here")
      return sizeFrom(receiver, around)
    case "lowerAscii":
      if (args.length > 0) throw new FilterRefusal(ast, "lowerAscii() takes no argument")
      return { op: "lowerAscii", text: typed(receiver, "string", "lowerAscii()", around) }
    case "exists":
    case "all":
      return comprehensionFrom(ast, name, receiver, args, around)
    default:
      throw new FilterRefusal(ast, `${name}() is not supported in filters; there are ${methods.join(", ")}`)
  }
}

const matchFrom = (
  ast: ASTNode,
  textNode: ASTNode,
  args: ReadonlyArray<ASTNode>,
  around: Surroundings
): FilterExpression => {
  const text = typed(textNode, "string", "matches()", around)
  const [argument, ...more] = args
  if (argument === undefined || more.length > 0 || argument.op !== "value" || typeof argument.args !== "string") {
    throw new FilterRefusal(argument ?? ast, "matches() takes one constant pattern")
  }
  const pattern = argument.args
  if ([...pattern.matchAll(/\\(.)/gs)].some(([, escaped]) => escaped === "B")) {
    throw new FilterRefusal(
      argument,
      "\\B is not supported in patterns: the store finds it between the bytes of a character"
    )
  }
  around.budget.patternSizes += patternSize(pattern)
  try {
    if (around.budget.patternSizes > filterPatternsMax) {
      throw new Error(`the patterns of a filter may have ${filterPatternsMax} steps together`)
    }
    // The same compiler that the predicate uses, with its limits.
    void new Pattern(pattern)
  } catch (error) {
    throw new FilterRefusal(
      argument,
      `the pattern is not valid RE2: ${error instanceof Error ? error.message : String(error)}`
    )
  }
  return { op: "matches", text, pattern }
}

/** all() is that there is none for which the condition does not hold. */
const comprehensionFrom = (
  ast: ASTNode,
  name: "exists" | "all",
  receiver: ASTNode,
  args: ReadonlyArray<ASTNode>,
  around: Surroundings
): FilterExpression => {
  const [variable, body, ...more] = args
  if (variable?.op !== "id" || body === undefined || more.length > 0) {
    throw new FilterRefusal(
      ast,
      `${name}() takes a name and a condition, such as user.groups.${name}(g, g == 'admins')`
    )
  }
  const depth = around.items.length
  if (depth === itemDepthMax) throw new FilterRefusal(ast, `${name}() may be nested ${itemDepthMax} deep`)
  const of = valueFrom(receiver, around)
  const type = typeOf(of)
  if (!isOpen(type)) {
    throw new FilterRefusal(receiver, `${name}() takes a list or a map, ${shown(receiver)} is a ${typeNames[type]}`)
  }
  // Over anything else, the work of one inside another would be the product of their sizes.
  if (depth > 0 && !around.items.includes(chainOf(receiver).root)) {
    throw new FilterRefusal(receiver, `inside of exists() or all(), ${name}() goes over what their items hold`)
  }
  const inside = { ...around, items: [...around.items, variable.args] }
  charge(ast, inside)
  const inner = condition(body, inside)
  return name === "exists"
    ? { op: "exists", of, depth, condition: inner }
    : { op: "not", operand: { op: "exists", of, depth, condition: { op: "not", operand: inner } } }
}
