/**
 * What an expression asks of a field at least, for which records it can be false at once. A path begins with the variable:
 * `["audit", "objectRef", "subresource"]`.
 */
import type { ASTNode } from "@marcbachmann/cel-js"

export type FieldPath = ReadonlyArray<string>

/**
 * The texts that the field must be one of for the expression to be true, undefined when that cannot be told.
 *
 * `&&` is false when either side is, even where the other fails; `||` needs both sides to say.
 */
export const requiredTexts = (ast: ASTNode, path: FieldPath): ReadonlySet<string> | undefined => {
  switch (ast.op) {
    case "&&":
    case "||": {
      const one = requiredTexts(ast.args[0], path)
      const other = requiredTexts(ast.args[1], path)
      if (ast.op === "||") return one === undefined || other === undefined ? undefined : new Set([...one, ...other])
      return one === undefined || other === undefined
        ? (one ?? other)
        : new Set([...one].filter((text) => other.has(text)))
    }
    case "==": {
      const [left, right] = ast.args
      const literal = isField(left, path) ? right : isField(right, path) ? left : undefined
      return literal?.op === "value" && typeof literal.args === "string" ? new Set([literal.args]) : undefined
    }
    case "in": {
      const [left, right] = ast.args
      if (!isField(left, path) || right.op !== "list") return undefined
      const texts = right.args.flatMap((item) =>
        item.op === "value" && typeof item.args === "string" ? [item.args] : []
      )
      return texts.length === right.args.length ? new Set(texts) : undefined
    }
    default:
      return undefined
  }
}

/** True when the expression is false for a record without the field: it asks with `has()` whether it is there. */
export const requiresField = (ast: ASTNode, path: FieldPath): boolean => {
  switch (ast.op) {
    case "&&":
      return ast.args.some((side) => requiresField(side, path))
    case "||":
      return ast.args.every((side) => requiresField(side, path))
    case "call": {
      const [name, [field]] = ast.args
      return name === "has" && field !== undefined && isField(field, path)
    }
    default:
      return false
  }
}

const isField = (node: ASTNode, path: FieldPath): boolean => {
  const name = path.at(-1)
  if (path.length === 1) return node.op === "id" && node.args === name
  return node.op === "." && node.args[1] === name && isField(node.args[0], path.slice(0, -1))
}
