/**
 * What is done to a checked syntax tree: the nodes that can multiply work count it against the budget.
 *
 * cel-js keeps what a node does in its `handle`; the counting is put around that, so the evaluator stays as it is.
 */
import { chargeBuilt, chargeScanned, chargeSteps, chargeWork, failureWork } from "./budget.ts"
import type { Node } from "./syntaxTree.ts"

/** Nodes that read their operands through. */
const scanningNodes = new Set(["call", "rcall", "==", "!=", "<", "<=", ">", ">=", "in"])

/** Nodes that compare their operands, however deep they are. */
const comparingNodes = new Set(["==", "!=", "in"])

/**
 * @param root the root of a checked tree
 * @returns the units of work of one evaluation: its nodes, without the bodies of comprehensions, which count themselves
 */
export const guard = (root: unknown): number => guardNode(root, new Map())

/** `seen` has the work of each node: macros share nodes with the calls that they stand for. */
const guardNode = (value: unknown, seen: Map<unknown, number>): number => {
  if (typeof value !== "object" || value === null) return 0
  if (Array.isArray(value)) return value.reduce<number>((sum, item) => sum + guardNode(item, seen), 0)
  if (!("op" in value && "meta" in value)) return 0
  const known = seen.get(value)
  if (known !== undefined) return known
  seen.set(value, 0)
  // Every object with op and meta is a syntax node.
  const node = value as Node
  const { handle } = node
  const { alternate } = node.meta
  let stepWork = 0
  let work = 1
  if (node.op === "comprehension") {
    // Its parts are the range, the first value, and the step that is done for each item.
    const { step, ...others } = node.args as Record<string, unknown>
    stepWork = 1 + guardNode(step, seen)
    for (const part of Object.values(others)) work += guardNode(part, seen)
  } else if (alternate === undefined) work += guardNode(node.args, seen)
  else {
    work += guardNode(alternate, seen)
    guardNode(node.args, seen)
  }
  if (handle !== undefined) node.handle = failing(counting(node, handle, stepWork))
  seen.set(value, work)
  return work
}

type Handle = NonNullable<Node["handle"]>

/** A failure costs far more than a value, and `||`, `&&` and `exists` go on after it. */
const failing =
  (handle: Handle): Handle =>
  (...operands) => {
    try {
      return handle(...operands)
    } catch (error) {
      chargeWork(failureWork)
      throw error
    }
  }

const counting = (node: Node, handle: Handle, stepWork: number): Handle => {
  if (node.op === "comprehension") {
    return (items, ...rest) => {
      chargeSteps(sizeOf(items), stepWork)
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
  if (!scanningNodes.has(node.op)) return handle
  if (comparingNodes.has(node.op)) {
    return (...operands) => {
      chargeCompared(operands[0])
      chargeCompared(operands[1])
      return handle(...operands)
    }
  }
  return (...operands) => {
    // A call's operands come as one list, an operator's as the first two.
    for (const operand of Array.isArray(operands[0]) ? operands[0] : operands.slice(0, 2)) {
      if (typeof operand === "string" || Array.isArray(operand)) chargeScanned(operand.length)
    }
    return handle(...operands)
  }
}

/** Walks as far as a comparison may; the budget ends it. */
const chargeCompared = (operand: unknown): void => {
  if (typeof operand === "string") return chargeScanned(operand.length)
  if (typeof operand !== "object" || operand === null) return
  const waiting: Array<unknown> = [operand]
  while (waiting.length > 0) {
    const value = waiting.pop()
    if (typeof value === "string") chargeScanned(value.length)
    else if (typeof value === "object" && value !== null) {
      const items = Array.isArray(value) ? value : value instanceof Map ? [...value.values()] : Object.values(value)
      chargeWork(1 + items.length)
      // Not spread: a list may be longer than a call may have arguments.
      for (const item of items) waiting.push(item)
    }
  }
}

const sizeOf = (items: unknown): number => {
  if (Array.isArray(items)) return items.length
  if (items instanceof Map) return items.size
  return typeof items === "object" && items !== null ? Object.keys(items).length : 0
}
