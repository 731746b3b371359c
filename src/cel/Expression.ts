/**
 * One CEL expression of a rule: parsed, checked and compiled once, evaluated for every record.
 *
 * This is the only place that knows cel-js; what it cannot do, or does differently from CEL, is mended or refused here.
 * Evaluation never throws: what goes wrong is an {@link EvaluationFailed}, returned.
 *
 * @decision 0008-cel-room
 */
import { type Environment, EvaluationError, ParseError, TypeError as CheckError } from "@marcbachmann/cel-js"
import { Result } from "effect"
import { budgetExceeded, chargeWork, expressionLengthMax, startBudget } from "./budget.ts"
import { fieldsRead } from "./fieldsRead.ts"
import { replacedMethods } from "./functions.ts"
import { guard } from "./guard.ts"
import { positionOf } from "./position.ts"
import { type FieldPath, requiredTexts, requiresField } from "./requiredTexts.ts"
import { prepare, Refused } from "./syntaxTree.ts"

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
   * The texts that the field must be one of for the expression to be true, or undefined when that cannot be told.
   * For any other text the expression is false, whatever else it asks.
   */
  readonly requiredTexts: (path: FieldPath) => ReadonlySet<string> | undefined
  /** True when it is known to be false for a record without the field. */
  readonly requiresField: (path: FieldPath) => boolean
  /** The fields of a variable that it may look at, other than to link to them; undefined when it may look at all. */
  readonly fieldsRead: (variable: string) => ReadonlySet<string> | undefined
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
    const work = guard(parsed.ast)
    return Result.succeed({
      source,
      type: checked.type ?? "dyn",
      mentions: (field) => fields.has(field),
      requiredTexts: (path) => requiredTexts(parsed.ast, path),
      requiresField: (path) => requiresField(parsed.ast, path),
      fieldsRead: (variable) => fieldsRead(parsed.ast, variable),
      evaluate: (variables) => run(parsed, work, variables)
    })
  } catch (error) {
    return Result.fail(problemFrom(error, source))
  }
}

export const problemAt = (source: string, offset: number, message: string): ExpressionProblem => ({
  message,
  ...positionOf(source, offset)
})

/** Capturing stacks makes failing four times as slow. Nothing else runs between set and reset. */
const run = (
  parsed: (variables: Record<string, unknown>) => unknown,
  work: number,
  variables: Readonly<Record<string, unknown>>
) => {
  const stackTraceLimit = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  startBudget()
  try {
    chargeWork(work)
    const value = parsed(variables)
    const over = budgetExceeded()
    return over === undefined ? value : new EvaluationFailed(over.message, 0, true)
  } catch (error) {
    const over = budgetExceeded()
    if (over !== undefined) return new EvaluationFailed(over.message, 0, true)
    if (error instanceof RangeError)
      return new EvaluationFailed("evaluation budget exceeded: too deep, or too large", 0, true)
    return new EvaluationFailed(messageOf(error), offsetOf(error) ?? 0, false)
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

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
