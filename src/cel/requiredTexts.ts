import type { ASTNode } from "@marcbachmann/cel-js"

/**
 * The texts that `variable.field` must be one of for the expression to be true, undefined when that cannot be told.
 *
 * `&&` is false when either side is, even where the other fails; `||` needs both sides to say.
 */
export const requiredTexts = (ast: ASTNode, variable: string, field: string): ReadonlySet<string> | undefined => {
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
