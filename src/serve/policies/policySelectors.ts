/** Selectors over policies: their names and their labels. */
import { Result } from "effect"
import type { ActivityPolicy } from "../../domain/ActivityPolicy.ts"
import { fieldSelectorFrom, labelSelectorFrom, type LabelRequirement } from "../Selector.ts"

/** The failure is a sentence for a 400. */
export const policySelector = (query: URLSearchParams): Result.Result<(policy: ActivityPolicy) => boolean, string> =>
  Result.flatMap(fieldSelectorFrom(query.get("fieldSelector") ?? ""), (fields) => {
    const unknown = fields.find(({ field }) => field !== "metadata.name" && field !== "metadata.namespace")
    if (unknown !== undefined) {
      return Result.fail(`field label not supported: ${unknown.field}; supported are metadata.name, metadata.namespace`)
    }
    return Result.map(
      labelSelectorFrom(query.get("labelSelector") ?? ""),
      (labels) => (policy) =>
        fields.every(
          ({ equal, field, value }) => ((field === "metadata.name" ? policy.metadata.name : "") === value) === equal
        ) && labels.every((requirement) => matches(requirement, policy.metadata.labels ?? {}))
    )
  })

const matches = ({ key, operator, values }: LabelRequirement, labels: Readonly<Record<string, string>>): boolean => {
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined
  switch (operator) {
    case "exists":
      return value !== undefined
    case "absent":
      return value === undefined
    case "in":
      return value !== undefined && values.includes(value)
    case "notin":
      return value === undefined || !values.includes(value)
  }
}
