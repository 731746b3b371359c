import type { ASTNode } from "@marcbachmann/cel-js"
import { childrenOf } from "./syntaxTree.ts"

/**
 * The fields of a variable that an expression may look at, undefined when it may look at all of them: it hands the
 * variable on as a whole, or names a field by a value.
 *
 * What link() points at is not looked at: it is only asked which object it is.
 */
export const fieldsRead = (ast: ASTNode, variable: string): ReadonlySet<string> | undefined => {
  const fields = new Set<string>()
  return collect(ast, variable, fields) ? fields : undefined
}

/** False where the variable stands otherwise than before a field's name. A variable of the same name counts as it. */
const collect = (node: ASTNode, variable: string, fields: Set<string>): boolean => {
  if (node.op === "id") return node.args !== variable
  const field = fieldOf(node, variable)
  if (field !== undefined) {
    fields.add(field)
    return true
  }
  if (node.op === "call" && node.args[0] === "link") {
    const [text, reference, ...more] = node.args[1]
    const isLinked = reference !== undefined && fieldOf(reference, variable) !== undefined
    return [text, isLinked ? undefined : reference, ...more].every(
      (child) => child === undefined || collect(child, variable, fields)
    )
  }
  return childrenOf(node).every((child) => collect(child, variable, fields))
}

const fieldOf = (node: ASTNode, variable: string): string | undefined => {
  if (node.op !== ".") return undefined
  const [object, field] = node.args
  return object.op === "id" && object.args === variable ? field : undefined
}
