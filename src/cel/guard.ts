/**
 * What is done to a checked syntax tree: the nodes that can multiply work count it against the budget.
 *
 * cel-js keeps what a node does in its `handle`; the counting is put around that, so the evaluator stays as it is.
 */
import { chargeBuilt, chargeScanned, chargeSteps } from "./budget.ts"
import type { Node } from "./syntaxTree.ts"

/** Nodes that read their operands through: in a loop, that is work times steps. */
const scanningNodes = new Set(["call", "rcall", "==", "!=", "<", "<=", ">", ">=", "in"])

/** @param root the root of a checked tree */
export const guard = (root: unknown): void => guardNode(root, false, new Set())

const guardNode = (value: unknown, inLoop: boolean, seen: Set<unknown>): void => {
  if (typeof value !== "object" || value === null || seen.has(value)) return
  if (Array.isArray(value)) {
    for (const item of value) guardNode(item, inLoop, seen)
    return
  }
  if (!("op" in value && "meta" in value)) return
  seen.add(value)
  // Every object with op and meta is a syntax node.
  const node = value as Node
  const handle = node.handle
  if (handle !== undefined) node.handle = counting(node, handle, inLoop)
  if (node.meta.alternate !== undefined) guardNode(node.meta.alternate, inLoop, seen)
  if (node.op === "comprehension") {
    // Its parts are the range, the first value, and the step that is done for each item.
    const { step, ...others } = node.args as Record<string, unknown>
    guardNode(step, true, seen)
    for (const part of Object.values(others)) guardNode(part, inLoop, seen)
  } else guardNode(node.args, inLoop, seen)
}

type Handle = NonNullable<Node["handle"]>

const counting = (node: Node, handle: Handle, inLoop: boolean): Handle => {
  if (node.op === "comprehension") {
    return (items, ...rest) => {
      chargeSteps(sizeOf(items))
      return handle(items, ...rest)
    }
  }
  if (node.op === "+") {
    return (...operands) => {
      const sum = handle(...operands)
      if (typeof sum === "string" || Array.isArray(sum)) chargeBuilt(sum.length)
      return sum
    }
  }
  if (!inLoop || !scanningNodes.has(node.op)) return handle
  return (...operands) => {
    // A call's operands come as one list, an operator's as the first two.
    for (const operand of Array.isArray(operands[0]) && node.op !== "in" ? operands[0] : operands.slice(0, 2)) {
      if (typeof operand === "string" || Array.isArray(operand)) chargeScanned(operand.length)
    }
    return handle(...operands)
  }
}

const sizeOf = (items: unknown): number =>
  Array.isArray(items) ? items.length : typeof items === "object" && items !== null ? Object.keys(items).length : 0
