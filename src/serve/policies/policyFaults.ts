/** What is wrong with an ActivityPolicy: whether every expression compiles. */
import type { ActivityPolicy } from "../../domain/ActivityPolicy.ts"
import { type PolicyProblem, policyProblems } from "../../process/Preview.ts"
import type { FieldFault } from "../ApiFailure.ts"

export const ruleFaults = (policy: ActivityPolicy): ReadonlyArray<FieldFault> =>
  policyProblems(policy).map((problem) => faultFrom(problem, policy))

/** Another kind is another policy. */
export const immutableFaults = (policy: ActivityPolicy, stored: ActivityPolicy): ReadonlyArray<FieldFault> =>
  (["apiGroup", "kind"] as const).flatMap((field) => {
    const now = policy.spec.resource?.[field] ?? ""
    return now === (stored.spec.resource[field] ?? "")
      ? []
      : [
          {
            field: `spec.resource.${field}`,
            reason: "FieldValueInvalid",
            message: `Invalid value: ${JSON.stringify(now)}: field is immutable`
          } as const
        ]
  })

const faultFrom = (problem: PolicyProblem, policy: ActivityPolicy): FieldFault => {
  const place = [
    ...(problem.rule === undefined || problem.rule === "" ? [] : [`rule ${JSON.stringify(problem.rule)}`]),
    ...(problem.line === undefined ? [] : [`line ${problem.line}, column ${problem.column ?? 1}`])
  ].join(", ")
  const value = valueAt(policy, problem.field)
  const shown = typeof value === "string" && value.length > 300 ? `${value.slice(0, 300)}…` : value
  return value === undefined || value === ""
    ? {
        field: problem.field,
        reason: "FieldValueRequired",
        message: `Required value: ${place === "" ? "" : `${place}: `}${problem.message}`
      }
    : {
        field: problem.field,
        reason: "FieldValueInvalid",
        message: `Invalid value: ${JSON.stringify(shown)}: ${place === "" ? "" : `${place}: `}${problem.message}`
      }
}

/** What stands at `spec.auditRules[0].match`. */
const valueAt = (policy: ActivityPolicy, path: string): unknown =>
  path
    .split(/[.[\]]+/)
    .filter((part) => part !== "")
    .reduce<unknown>(
      (value, part) =>
        typeof value === "object" && value !== null && Object.hasOwn(value, part)
          ? // The line above says that it has it.
            (value as Readonly<Record<string, unknown>>)[part]
          : undefined,
      policy
    )
