/** Selectors over Events, as expressions that the store and watches understand. */
import { Result } from "effect"
import { allOf, type Expression, field, not } from "../../cel/Filter.ts"
import { type LabelRequirement, labelSelectorFrom } from "../Selector.ts"
import { eventSelector } from "../queries/eventSelector.ts"

/** The failure is a sentence for a 400. An empty selector is no expression. */
export const eventSelectors = (
  fieldSelector: string,
  labelSelector: string
): Result.Result<ReadonlyArray<Expression>, string> =>
  Result.flatMap(fieldSelector === "" ? none : Result.map(eventSelector(fieldSelector), one), (fields) =>
    Result.map(labelSelectorFrom(labelSelector), (labels) => [...fields, ...labels.map(labelExpression)])
  )

const none = Result.succeed<ReadonlyArray<Expression>>([])

const one = (expression: Expression): ReadonlyArray<Expression> => [expression]

const labels = field("metadata.labels", "map")

const labelExpression = ({ key, operator, values }: LabelRequirement): Expression => {
  const label = { op: "at", of: { op: "field", field: labels }, key } as const
  const isThere: Expression = { op: "has", of: label }
  const isOneOf: Expression = allOf([
    isThere,
    {
      op: "or",
      operands: values.map((value) => ({
        op: "same",
        json: label,
        value: { op: "constant", type: "string", value }
      }))
    }
  ])
  switch (operator) {
    case "in":
      return isOneOf
    case "notin":
      return not(isOneOf)
    case "exists":
      return isThere
    case "absent":
      return not(isThere)
  }
}
