/** Selectors over Events, as expressions that the store and watches understand. */
import { Result } from "effect"
import { allOf, type Expression, field, fieldOf, isText, not } from "../../cel/Filter.ts"
import { fieldSelectorFrom, type LabelRequirement, labelSelectorFrom } from "../Selector.ts"

/** The failure is a sentence for a 400. An empty selector is no expression. */
export const eventSelectors = (
  fieldSelector: string,
  labelSelector: string
): Result.Result<ReadonlyArray<Expression>, string> =>
  Result.flatMap(fieldSelector === "" ? none : Result.map(eventFieldSelector(fieldSelector), one), (fields) =>
    Result.map(labelSelectorFrom(labelSelector), (labels) => [...fields, ...labels.map(labelExpression)])
  )

const none = Result.succeed<ReadonlyArray<Expression>>([])

const one = (expression: Expression): ReadonlyArray<Expression> => [expression]

/** The normalised Event has what core/v1 calls its source as the one that reported it. */
const spellings: Readonly<Record<string, string>> = {
  source: "reportingController",
  "source.component": "reportingController",
  "source.host": "reportingInstance"
}

/** Field selectors, in the spellings of both API versions of Events. The failure is a sentence. */
export const eventFieldSelector = (text: string): Result.Result<Expression, string> =>
  Result.flatMap(fieldSelectorFrom(text), (requirements) => {
    const conditions: Array<Expression> = []
    for (const { equal, field: name, value } of requirements) {
      const named = fieldOf("event", Object.hasOwn(spellings, name) ? String(spellings[name]) : name)
      if (named?.type !== "string") {
        return Result.fail(
          `field label not supported: ${name}; supported are the fields of an Event that are texts, such as regarding.kind, reason or type`
        )
      }
      // Clients write a space behind a comma or an operator; no text of an Event's fields has one at its ends.
      const condition = isText(named, value.trim())
      conditions.push(equal ? condition : not(condition))
    }
    return Result.succeed(allOf(conditions))
  })

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
