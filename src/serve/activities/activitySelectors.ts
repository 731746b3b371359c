/** Selectors over activities, as expressions that the store and watches understand. */
import { Result } from "effect"
import { always, type Expression, field, type FilterField, isOneOf, isText, not } from "../../cel/Filter.ts"
import { labelNames } from "../../domain/Activity.ts"
import { fieldSelectorFrom, labelSelectorFrom, type LabelRequirement } from "../Selector.ts"

/** Fields that a fieldSelector may name. */
const selectableFields = [
  "metadata.name",
  "metadata.namespace",
  "spec.changeSource",
  "spec.resource.apiGroup",
  "spec.resource.kind",
  "spec.resource.name",
  "spec.resource.namespace",
  "spec.resource.uid",
  "spec.actor.name",
  "spec.actor.type",
  "spec.actor.uid",
  "spec.actor.email"
] as const

/** Labels are written from fields: a selector on the label is one on the field. */
const labelFields: ReadonlyMap<string, { readonly path: string; readonly always: boolean }> = new Map([
  [labelNames.originType, { path: "spec.origin.type", always: true }],
  [labelNames.changeSource, { path: "spec.changeSource", always: true }],
  [labelNames.apiGroup, { path: "spec.resource.apiGroup", always: true }],
  [labelNames.resourceKind, { path: "spec.resource.kind", always: true }],
  [labelNames.eventReason, { path: "spec.reason", always: false }],
  [labelNames.policyName, { path: "spec.policy.name", always: true }]
])

/** The failure is a sentence for a 400. An empty selector is no expression. */
export const selectorExpressions = (
  fieldSelector: string,
  labelSelector: string
): Result.Result<ReadonlyArray<Expression>, string> =>
  Result.flatMap(fieldExpressions(fieldSelector), (fields) =>
    Result.map(labelExpressions(labelSelector), (labels) => [...fields, ...labels])
  )

const fieldExpressions = (text: string): Result.Result<ReadonlyArray<Expression>, string> =>
  Result.flatMap(fieldSelectorFrom(text), (requirements) => {
    const known: ReadonlyArray<string> = selectableFields
    const unknown = requirements.find(({ field }) => !known.includes(field))
    return unknown === undefined
      ? Result.succeed(requirements.map(({ equal, field, value }) => compare(field, equal, value)))
      : Result.fail(`field label not supported: ${unknown.field}; supported are ${selectableFields.join(", ")}`)
  })

const labelExpressions = (text: string): Result.Result<ReadonlyArray<Expression>, string> =>
  Result.flatMap(labelSelectorFrom(text), (requirements) => {
    const unknown = requirements.find(({ key }) => !labelFields.has(key))
    return unknown === undefined
      ? Result.succeed(requirements.map(labelExpression))
      : Result.fail(`label not supported: ${unknown.key}; supported are ${[...labelFields.keys()].join(", ")}`)
  })

const labelExpression = ({ key, operator, values }: LabelRequirement): Expression => {
  const { always: isAlwaysThere, path } = labelFields.get(key) ?? { path: key, always: false }
  switch (operator) {
    case "in":
      return isOneOf(text(path), values)
    case "notin":
      return not(isOneOf(text(path), values))
    case "exists":
      return isAlwaysThere ? always(true) : compare(path, false, "")
    case "absent":
      return isAlwaysThere ? always(false) : compare(path, true, "")
  }
}

const text = (path: string): FilterField => field(path, "string")

const compare = (path: string, equal: boolean, value: string): Expression => {
  const expression = isText(text(path), value)
  return equal ? expression : not(expression)
}
