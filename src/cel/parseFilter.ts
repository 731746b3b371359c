/** Reads filters: what the tree of a filter cannot hold is refused here, with its place. */
import { Environment, ParseError } from "@marcbachmann/cel-js"
import { Result } from "effect"
import { conditionFrom } from "./checkFilter.ts"
import type { Filter } from "./Filter.ts"
import type { FilterFields } from "./FilterField.ts"
import { FilterRefusal } from "./filterSyntax.ts"
import { positionOf } from "./position.ts"

/** Characters of one filter. */
export const filterLengthMax = 16_384

const limits = { maxAstNodes: 2_000, maxDepth: 50, maxListElements: 500, maxMapEntries: 100, maxCallArguments: 4 }

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

export const parseFilter = (source: string, fields: FilterFields): Result.Result<Filter, FilterRefused> => {
  if (source.length > filterLengthMax) {
    return Result.fail(new FilterRefused(`the filter is longer than ${filterLengthMax} characters`, 1, 1))
  }
  const stackTraceLimit = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  try {
    // Half of a surrogate pair is no character: the store would keep and compare another one.
    const { ast } = new Environment({ limits, unlistedVariablesAreDyn: true }).parse(source.toWellFormed())
    return Result.succeed({ source, expression: conditionFrom(ast, fields) })
  } catch (error) {
    const { message, offset } = refusalFrom(error)
    const { line, column } = positionOf(source, offset)
    return Result.fail(new FilterRefused(message, line, column))
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

const refusalFrom = (error: unknown): { readonly message: string; readonly offset: number } => {
  if (error instanceof FilterRefusal) return { message: error.message, offset: error.offset }
  if (error instanceof ParseError) return { message: error.summary, offset: error.range?.start ?? 0 }
  if (error instanceof RangeError) return { message: "the filter is nested too deeply", offset: 0 }
  return { message: error instanceof Error ? error.message : String(error), offset: 0 }
}
