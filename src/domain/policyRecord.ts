/** How a cluster keeps an ActivityPolicy. */
import type { ActivityPolicy, ActivityPolicySpec, PolicyRule } from "./ActivityPolicy.ts"
import { recordKind } from "./keptRecord.ts"

/**
 * Every rule with a name, because a record's rules are told apart by it: `audit-0`, `event-3`, counted as they stand in
 * the list that was sent; where another rule has that name, the next number that is free.
 */
export const withRuleNames = (spec: ActivityPolicySpec): ActivityPolicySpec => ({
  ...spec,
  ...(spec.auditRules === undefined ? {} : { auditRules: named(spec.auditRules, "audit") }),
  ...(spec.eventRules === undefined ? {} : { eventRules: named(spec.eventRules, "event") })
})

export const policyRecords = recordKind<ActivityPolicy>({
  kind: "ActivityPolicy",
  specOtherwise: { resource: { apiGroup: "", kind: "" } },
  specKept: withRuleNames
})

const named = (rules: ReadonlyArray<PolicyRule>, prefix: string): ReadonlyArray<PolicyRule> => {
  const taken = new Set(rules.flatMap(({ name }) => (name === undefined || name === "" ? [] : [name])))
  return rules.map((rule, index) => {
    if (rule.name !== undefined && rule.name !== "") return rule
    let number = index
    while (taken.has(`${prefix}-${number}`)) number++
    taken.add(`${prefix}-${number}`)
    return { ...rule, name: `${prefix}-${number}` }
  })
}
