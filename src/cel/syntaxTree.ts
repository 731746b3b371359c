/**
 * What is done to an expression's syntax tree before it is checked: calls are renamed to ours, literal patterns compiled,
 * and what would cost too much refused.
 */
import type { ASTNode } from "@marcbachmann/cel-js"
import { comprehensionNestingMax } from "./budget.ts"
import { patternMethods, replacedMethods } from "./functions.ts"
import { Pattern } from "./regularExpression.ts"

interface Positioned {
  readonly start: number
}

/** An expression that we refuse although cel-js would take it. */
export class Refused extends Error {
  readonly offset: number
  constructor(message: string, node: Positioned) {
    super(message)
    this.offset = node.start
  }
}

/** The parts of cel-js's syntax nodes that its types leave out; the version is pinned, and tests notice a change. */
export interface Node extends Positioned {
  readonly op: string
  args: unknown
  readonly meta: { readonly alternate?: Node }
  handle?: (...args: ReadonlyArray<unknown>) => unknown
}

const comprehensions = new Set(["all", "exists", "exists_one", "map", "filter", "bind"])

const lostKeys: ReadonlySet<unknown> = new Set(["constructor", "prototype", "__proto__"])

/** Before the check: renames what we replace, compiles literal patterns, collects fields, refuses deep nesting. */
export const prepare = (ast: ASTNode, nesting: number, fields: Set<string>): void => {
  if (ast.op === ".") fields.add(ast.args[1])
  if (ast.op === "[]") {
    const [, key] = ast.args
    if (key.op === "value" && typeof key.args === "string") fields.add(key.args)
  }
  if (ast.op === "map") {
    // cel-js would leave them out without a word.
    const lost = ast.args.find(([key]) => key.op === "value" && lostKeys.has(key.args))
    if (lost !== undefined) throw new Refused(`a map may not have the key ${String(lost[0].args)} here`, lost[0])
  }
  if (ast.op === "rcall") {
    const call = ast.args
    call[0] = replacedMethods.get(call[0]) ?? call[0]
    if (patternMethods.has(call[0])) compilePattern(call[2][0])
    if (comprehensions.has(call[0]) && call[2].length > 1) {
      // A chain such as a.map(..).map(..) multiplies like nesting does, so the receiver counts as inside.
      if (nesting + 1 > comprehensionNestingMax) {
        throw new Refused(`comprehensions may be nested ${comprehensionNestingMax} deep`, ast)
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

export const childrenOf = (ast: ASTNode): ReadonlyArray<ASTNode> => {
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
