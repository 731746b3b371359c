/** Which facts a query selects: its filter, its field selector, its words, its namespace. */
import { Result } from "effect"
import { type Expression, filterFor } from "../../cel/Filter.ts"
import { searchLengthMax, searchWords } from "../../store/searchWords.ts"
import type { FieldFault } from "../ApiFailure.ts"
import { eventFieldSelector } from "../events/eventSelectors.ts"
import type { FactKind } from "./factKinds.ts"

/** As the body says it. What a kind of fact does not have, its schema keeps away. */
export interface SelectionSpec {
  readonly filter: string
  readonly fieldSelector: string
  readonly search: string
  readonly namespace: string
}

export interface Selection {
  readonly filter: Expression | undefined
  readonly selectors: Expression | undefined
  readonly search: string
  readonly namespace: string | undefined
  /** The one API group that the selection leaves, where it says so. */
  readonly apiGroup: string | undefined
}

export const querySelection = (
  { fieldSelector = "", filter = "", namespace = "", search = "" }: Partial<SelectionSpec>,
  facts: FactKind
): Result.Result<Selection, ReadonlyArray<FieldFault>> => {
  const faults: Array<FieldFault> = []
  const refuse = (field: string, value: string, why: string): undefined => {
    faults.push({
      field,
      reason: "FieldValueInvalid",
      message: `Invalid value: ${JSON.stringify(value.slice(0, shownLengthMax))}: ${why}`
    })
  }
  const expression =
    filter === ""
      ? undefined
      : Result.match(filterFor(facts.kind)(filter), {
          onSuccess: (read) => read.expression,
          onFailure: ({ column, line, message }) =>
            refuse("spec.filter", filter, `line ${line}, column ${column}: ${message}`)
        })
  const selectors =
    fieldSelector === ""
      ? undefined
      : Result.match(eventFieldSelector(fieldSelector), {
          onSuccess: (selector) => selector,
          onFailure: (sentence) => refuse("spec.fieldSelector", fieldSelector, sentence)
        })
  if (search.length > searchLengthMax) {
    refuse("spec.search", search, `it is longer than ${searchLengthMax} characters`)
  }
  // Without words it would find everything, which nobody asks for so.
  if (search !== "" && searchWords(search).length === 0) {
    refuse("spec.search", search, "it has no words: a word is of letters and digits")
  }
  const apiGroup = requiredText(expression, facts.apiGroup.path) ?? requiredText(selectors, facts.apiGroup.path)
  return faults.length > 0
    ? Result.fail(faults)
    : Result.succeed({
        filter: expression,
        selectors,
        search,
        namespace: namespace === "" ? undefined : namespace,
        apiGroup: apiGroup === undefined ? undefined : facts.apiGroup.of(apiGroup)
      })
}

const shownLengthMax = 200

/** The one text that the field must have for the expression to hold, where the expression says so plainly. */
const requiredText = (expression: Expression | undefined, path: string): string | undefined => {
  if (expression?.op === "and") {
    for (const operand of expression.operands) {
      const found = requiredText(operand, path)
      if (found !== undefined) return found
    }
  }
  if (expression?.op !== "compare" || expression.operator !== "==") return undefined
  const { left, right } = expression
  const [named, constant] = left.op === "constant" ? [right, left] : [left, right]
  return named.op === "field" && named.field.path === path && constant.op === "constant"
    ? String(constant.value)
    : undefined
}
