/**
 * One CEL expression of a rule: parsed, checked and compiled once, evaluated for every record.
 *
 * This is the only place that knows cel-js; what it cannot do, or does differently from CEL, is mended or refused here.
 * Evaluation never throws: what goes wrong is an {@link EvaluationFailed}, returned.
 *
 * @decision 0008-cel-room
 */
import {
  type ASTNode,
  type Environment,
  EvaluationError,
  ParseError,
  TypeError as CheckError
} from "@marcbachmann/cel-js"
import { Result } from "effect"
import {
  budgetExceeded,
  chargeBuilt,
  chargeSteps,
  comprehensionNestingMax,
  expressionLengthMax,
  startBudget
} from "./budget.ts"
import { patternMethods, replacedMethods } from "./functions.ts"
import { Pattern } from "./regularExpression.ts"

/** Why an expression was refused, and where: line and column count from 1. */
export interface ExpressionProblem {
  readonly message: string
  readonly line: number
  readonly column: number
}

/** An expression that failed for one record. A value: a stack trace would cost more than the evaluation. */
export class EvaluationFailed {
  readonly _tag = "EvaluationFailed"
  readonly message: string
  /** Offset in the expression's text, 0 when unknown. */
  readonly offset: number
  readonly overBudget: boolean
  constructor(message: string, offset: number, overBudget: boolean) {
    this.message = message
    this.offset = offset
    this.overBudget = overBudget
  }
}

export interface Expression {
  readonly source: string
  /** cel-js's name of the static type: `bool`, `string`, `dyn`, `list<string>`. */
  readonly type: string
  /** True when the expression reads a field of this name, anywhere. */
  readonly mentions: (field: string) => boolean
  /**
   * The texts that `variable.field` must be one of for the expression to be true, or undefined when that cannot be told.
   * For any other text the expression is false, whatever else it asks.
   */
  readonly requiredTexts: (variable: string, field: string) => ReadonlySet<string> | undefined
  readonly evaluate: (variables: Readonly<Record<string, unknown>>) => unknown
}

/** @returns the compiled expression, or its first problem */
export const compileExpression = (
  environment: Environment,
  source: string
): Result.Result<Expression, ExpressionProblem> => {
  if (source.length > expressionLengthMax) {
    return Result.fail(problemAt(source, 0, `the expression is longer than ${expressionLengthMax} characters`))
  }
  if (source.trim() === "") return Result.fail(problemAt(source, 0, "the expression is empty"))
  try {
    const parsed = environment.parse(source)
    const fields = new Set<string>()
    prepare(parsed.ast, 0, fields)
    const checked = parsed.check()
    if (!checked.valid) return Result.fail(problemFrom(checked.error, source))
    guard(parsed.ast, new Set())
    return Result.succeed({
      source,
      type: checked.type ?? "dyn",
      mentions: (field) => fields.has(field),
      requiredTexts: (variable, field) => requiredTexts(parsed.ast, variable, field),
      evaluate: (variables) => run(parsed, variables)
    })
  } catch (error) {
    return Result.fail(problemFrom(error, source))
  }
}

/** Line and column, from 1, of an offset. */
export const positionOf = (source: string, offset: number): { readonly line: number; readonly column: number } => {
  const before = source.slice(0, offset)
  const lineStart = before.lastIndexOf("\n") + 1
  return { line: before.split("\n").length, column: offset - lineStart + 1 }
}

export const problemAt = (source: string, offset: number, message: string): ExpressionProblem => ({
  message,
  ...positionOf(source, offset)
})

/** Capturing stacks makes failing four times as slow. Nothing else runs between set and reset. */
const run = (parsed: (variables: Record<string, unknown>) => unknown, variables: Readonly<Record<string, unknown>>) => {
  const stackTraceLimit = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  startBudget()
  try {
    const value = parsed(variables)
    const over = budgetExceeded()
    return over === undefined ? value : new EvaluationFailed(over.message, 0, true)
  } catch (error) {
    const over = budgetExceeded()
    if (over !== undefined) return new EvaluationFailed(over.message, 0, true)
    if (error instanceof RangeError) return new EvaluationFailed("the expression costs too much", 0, true)
    return new EvaluationFailed(messageOf(error), offsetOf(error) ?? 0, false)
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

interface Positioned {
  readonly start: number
}

class Refused extends Error {
  readonly offset: number
  constructor(message: string, node: Positioned) {
    super(message)
    this.offset = node.start
  }
}

/** The parts of cel-js's syntax nodes that its types leave out; the version is pinned, and tests notice a change. */
interface Node extends Positioned {
  readonly op: string
  args: unknown
  readonly meta: { readonly alternate?: Node }
  handle?: (...args: ReadonlyArray<unknown>) => unknown
}

const comprehensions = new Set(["all", "exists", "exists_one", "map", "filter", "bind"])

/** Before the check: renames what we replace, compiles literal patterns, collects fields, refuses deep nesting. */
const prepare = (ast: ASTNode, nesting: number, fields: Set<string>): void => {
  // Node names what ASTNode leaves out.
  const node = ast as unknown as Node
  if (node.op === "." || node.op === "[]") {
    const [, field] = node.args as [ASTNode, string | ASTNode]
    if (typeof field === "string") fields.add(field)
    else if (field.op === "value" && typeof field.args === "string") fields.add(field.args)
  }
  if (node.op === "rcall") {
    const call = node.args as [string, ASTNode, Array<ASTNode>]
    call[0] = replacedMethods.get(call[0]) ?? call[0]
    if (patternMethods.has(call[0])) compilePattern(call[2][0])
    if (comprehensions.has(call[0]) && call[2].length > 1) {
      // A chain such as a.map(..).map(..) multiplies like nesting does, so the receiver counts as inside.
      if (nesting + 1 > comprehensionNestingMax) {
        throw new Refused(`comprehensions may be nested ${comprehensionNestingMax} deep`, node)
      }
      for (const child of [call[1], ...call[2]]) prepare(child, nesting + 1, fields)
      return
    }
  }
  for (const child of childrenOf(ast)) prepare(child, nesting, fields)
}

const compilePattern = (argument: ASTNode | undefined): void => {
  if (argument === undefined || argument.op !== "value" || typeof argument.args !== "string") return
  try {
    // A literal node holds any value of a registered type.
    ;(argument as unknown as Node).args = new Pattern(argument.args)
  } catch (error) {
    throw new Refused(
      `the pattern is not valid RE2: ${error instanceof Error ? error.message : String(error)}`,
      argument
    )
  }
}

const childrenOf = (ast: ASTNode): ReadonlyArray<ASTNode> => {
  switch (ast.op) {
    case "value":
    case "id":
      return []
    case ".":
    case ".?":
      return [ast.args[0]]
    case "call":
      return ast.args[1]
    case "rcall":
      return [ast.args[1], ...ast.args[2]]
    case "map":
      return ast.args.flat()
    case "!_":
    case "-_":
      return [ast.args]
    default:
      return ast.args
  }
}

/** `&&` is false when either side is, even where the other fails; `||` needs both sides to say. */
const requiredTexts = (ast: ASTNode, variable: string, field: string): ReadonlySet<string> | undefined => {
  const isField = (node: ASTNode): boolean =>
    node.op === "." && node.args[1] === field && node.args[0].op === "id" && node.args[0].args === variable
  switch (ast.op) {
    case "&&":
    case "||": {
      const one = requiredTexts(ast.args[0], variable, field)
      const other = requiredTexts(ast.args[1], variable, field)
      if (ast.op === "||") return one === undefined || other === undefined ? undefined : new Set([...one, ...other])
      return one === undefined || other === undefined
        ? (one ?? other)
        : new Set([...one].filter((text) => other.has(text)))
    }
    case "==": {
      const [left, right] = ast.args
      const literal = isField(left) ? right : isField(right) ? left : undefined
      return literal?.op === "value" && typeof literal.args === "string" ? new Set([literal.args]) : undefined
    }
    case "in": {
      const [left, right] = ast.args
      if (!isField(left) || right.op !== "list") return undefined
      const texts = right.args.flatMap((item) =>
        item.op === "value" && typeof item.args === "string" ? [item.args] : []
      )
      return texts.length === right.args.length ? new Set(texts) : undefined
    }
    default:
      return undefined
  }
}

/** After the check: the nodes that multiply work count it. */
const guard = (value: unknown, seen: Set<unknown>): void => {
  if (typeof value !== "object" || value === null || seen.has(value)) return
  if (Array.isArray(value)) {
    for (const item of value) guard(item, seen)
    return
  }
  if (!("op" in value && "meta" in value)) return
  seen.add(value)
  // Every object with op and meta is a syntax node.
  const node = value as Node
  const handle = node.handle
  if (handle !== undefined && node.op === "comprehension") {
    node.handle = (items, ...rest) => {
      chargeSteps(sizeOf(items))
      return handle(items, ...rest)
    }
  }
  if (handle !== undefined && node.op === "+") {
    node.handle = (...args) => {
      const sum = handle(...args)
      if (typeof sum === "string" || Array.isArray(sum)) chargeBuilt(sum.length)
      return sum
    }
  }
  if (node.meta.alternate !== undefined) guard(node.meta.alternate, seen)
  if (node.op === "comprehension") {
    // Its parts are the iterable, the first value and the step.
    for (const part of Object.values(node.args as Record<string, unknown>)) guard(part, seen)
    return
  }
  guard(node.args, seen)
}

const sizeOf = (items: unknown): number =>
  Array.isArray(items) ? items.length : typeof items === "object" && items !== null ? Object.keys(items).length : 0

const problemFrom = (error: unknown, source: string): ExpressionProblem =>
  problemAt(source, offsetOf(error) ?? 0, messageOf(error))

const isCelError = (error: unknown): error is ParseError | CheckError | EvaluationError =>
  error instanceof ParseError || error instanceof CheckError || error instanceof EvaluationError

const offsetOf = (error: unknown): number | undefined =>
  error instanceof Refused ? error.offset : isCelError(error) ? error.range?.start : undefined

const messageOf = (error: unknown): string => {
  if (error instanceof RangeError) return "the expression is nested too deeply"
  if (isCelError(error)) return explained(error.summary)
  return error instanceof Error ? error.message : String(error)
}

/** cel-js's words for what it does not support say little; ours say what to write instead. */
const explained = (message: string): string => {
  if (message.startsWith("has() invalid argument")) {
    return "has() takes a path of fields, as in has(audit.objectRef.name); indexes and calls inside it are not supported"
  }
  if (message === "Unexpected character: `") return "fields in backticks are not supported; write map['field']"
  if (/got QUESTION|token: QUESTION/.test(message)) {
    return "optional fields and entries ('?') are not supported; use has(...) ? ... : ..."
  }
  return replacedNames(message)
}

const replacedNames = (message: string): string =>
  message
    .replace(/activity\.Pattern/g, "string")
    .replace(
      /activity([A-Z]\w*)/g,
      (whole, name: string) =>
        ({ ...Object.fromEntries([...replacedMethods].map(([from, to]) => [to, from])) })[whole] ?? name
    )
