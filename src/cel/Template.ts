/**
 * Summary templates: text with CEL expressions between `{{` and `}}`.
 *
 * The end of a block is the first `}}` that leaves a whole expression, so map literals and texts with braces work.
 * There is no way to write a literal `{{`.
 */
import type { Environment } from "@marcbachmann/cel-js"
import { Result } from "effect"
import { expressionLengthMax } from "./budget.ts"
import { compileExpression, type Expression, type ExpressionProblem, problemAt } from "./Expression.ts"
import { positionOf } from "./position.ts"

/** Tries at one block's end: map literals nest no deeper than that in a summary. */
const endsMax = 16

/** Blocks of one template: admission compiles each. */
const blocksMax = 64

export interface TemplateBlock {
  readonly expression: Expression
  /** Where the expression's text starts in the template. */
  readonly offset: number
}

export type TemplatePart = string | TemplateBlock

export interface Template {
  readonly source: string
  readonly parts: ReadonlyArray<TemplatePart>
}

/** @returns the compiled template, or its first problem, with line and column in the whole template */
export const compileTemplate = (
  environment: Environment,
  source: string
): Result.Result<Template, ExpressionProblem> => {
  if (source.length > expressionLengthMax) {
    return Result.fail(problemAt(source, 0, `the summary is longer than ${expressionLengthMax} characters`))
  }
  const parts: Array<TemplatePart> = []
  let position = 0
  while (position < source.length) {
    const open = source.indexOf("{{", position)
    const text = source.slice(position, open < 0 ? source.length : open)
    const stray = text.indexOf("}}")
    if (stray >= 0) return Result.fail(problemAt(source, position + stray, "`}}` without `{{` before it"))
    if (text !== "") parts.push(text)
    if (open < 0) break
    if (parts.filter((part) => typeof part !== "string").length >= blocksMax) {
      return Result.fail(problemAt(source, open, `the summary has more than ${blocksMax} blocks`))
    }
    const block = blockFrom(environment, source, open + 2)
    if (Result.isFailure(block)) return Result.fail(block.failure)
    parts.push(block.success.block)
    position = block.success.end
  }
  return Result.succeed({ source, parts })
}

const blockFrom = (
  environment: Environment,
  source: string,
  start: number
): Result.Result<{ readonly block: TemplateBlock; readonly end: number }, ExpressionProblem> => {
  let problem: ExpressionProblem | undefined
  let close = source.indexOf("}}", start)
  if (close < 0) return Result.fail(problemAt(source, start - 2, "`{{` without `}}` after it"))
  for (let tries = 0; tries < endsMax && close >= 0; tries++) {
    const text = source.slice(start, close)
    if (text.trim() === "") return Result.fail(problemAt(source, start - 2, "the block is empty"))
    const compiled = compileExpression(environment, text)
    if (Result.isSuccess(compiled)) {
      const { type } = compiled.success
      if (type !== "string" && type !== "dyn") {
        const expressionStart = start + text.length - text.trimStart().length
        return Result.fail(
          problemAt(source, expressionStart, `the block must be a string, it is ${type}; use string(...)`)
        )
      }
      return Result.succeed({ block: { expression: compiled.success, offset: start }, end: close + 2 })
    }
    // The first end is what its author meant when no end gives a whole expression.
    problem ??= inTemplate(source, start, text, compiled.failure)
    close = source.indexOf("}}", close + 1)
  }
  return Result.fail(problem ?? problemAt(source, start, "the block is not valid"))
}

/** The same problem, counted from the template's start. */
const inTemplate = (
  source: string,
  start: number,
  text: string,
  { message, line, column }: ExpressionProblem
): ExpressionProblem => {
  const lines = text.split("\n")
  const offset = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0) + column - 1
  return { message, ...positionOf(source, start + offset) }
}
