/** Finds what the paths of a filter name: fields, and what lies inside of maps, lists and bodies. */
import type { ASTNode } from "@marcbachmann/cel-js"
import { type FilterExpression, typeOf } from "./FilterExpression.ts"
import { unstoredFields } from "./activityFilterFields.ts"
import type { FilterFields } from "./FilterField.ts"
import { chainOf, type FilterBudget, FilterRefusal } from "./filterSyntax.ts"

/**
 * Reads of maps, bodies and their times in one filter. Each is up to half a kilobyte of SQL, of which the engine takes 256,
 * and costs it a millisecond before it has looked at a row.
 */
const jsonReadsMax = 400

/** What any read inside of exists() or all() counts, and they themselves: the engine plans them several times over. */
const itemReads = 4

/** What is known where an expression stands. */
export interface Surroundings {
  readonly fields: FilterFields
  /** The names that the comprehensions around it gave their items, outermost first. */
  readonly items: ReadonlyArray<string>
  readonly budget: FilterBudget
}

/** A path of names and indexes: to an item, to a field, or into its JSON. */
export const resolved = (ast: ASTNode, around: Surroundings): FilterExpression => {
  const { root, steps } = chainOf(ast)
  if (around.items.length > 0) charge(ast, around)
  const item = around.items.lastIndexOf(root)
  if (item >= 0) return into({ op: "item", depth: item }, steps, around)
  // A key with a dot in it is one of a map: it names no field.
  const dotted = steps.findIndex(({ key }) => typeof key === "number" || key.includes("."))
  const names = [root, ...steps.slice(0, dotted < 0 ? undefined : dotted).map(({ key }) => String(key))]
  for (let length = names.length; length > 0; length--) {
    const field = around.fields.get(names.slice(0, length).join("."))
    if (field === undefined) continue
    const rest = steps.slice(length - 1)
    if (rest.length > 0 && !isOpen(field.type)) break
    if (field.type === "timestamp") charge(ast, around)
    return into({ op: "field", field }, rest, around)
  }
  throw noField(ast, [root, ...steps.map(({ key }) => String(key))].join("."), around)
}

export const isOpen = (type: string): boolean => type === "any" || type === "map" || type === "list"

const into = (
  start: FilterExpression,
  steps: ReturnType<typeof chainOf>["steps"],
  around: Surroundings
): FilterExpression => {
  let expression = start
  for (const { key, node } of steps) {
    const type = typeOf(expression)
    if (type === "list" && typeof key === "string") {
      throw new FilterRefusal(node, "a list has no fields; take an item by its number, or ask with exists()")
    }
    if (type === "map" && typeof key === "number") throw new FilterRefusal(node, "the keys of a map are texts")
    charge(node, around)
    expression = { op: "at", of: expression, key }
  }
  return expression
}

export const charge = (node: ASTNode, { budget, items }: Surroundings): void => {
  budget.jsonReads += items.length > 0 ? itemReads : 1
  if (budget.jsonReads > jsonReadsMax) {
    throw new FilterRefusal(
      node,
      `a filter reads maps, bodies and times at most ${jsonReadsMax} times, and inside of exists() and all() ${jsonReadsMax / itemReads} times`
    )
  }
}

export const noField = (ast: ASTNode, path: string, { fields, items }: Surroundings): FilterRefusal => {
  const unstored = unstoredFields.find((name) => `${path}.`.startsWith(`${name}.`))
  if (unstored !== undefined) {
    return new FilterRefusal(
      ast,
      `${unstored} is not stored, but worked out when a single activity is read: ask for audit records instead, by paths into requestObject and responseObject`
    )
  }
  const known = new Set([...fields.values()].filter(({ type }) => type !== "object").map((field) => field.path))
  return new FilterRefusal(ast, `there is no field ${path}; fields are ${[...items, ...known].join(", ")}`)
}
