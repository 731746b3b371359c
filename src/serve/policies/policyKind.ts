/** What the server does to ActivityPolicies, and how it shows them. */
import { activityPolicySpecSchema, activityPolicyStatusSchema } from "../../contracts/activityPolicySchema.ts"
import { groupName } from "../../contracts/resources.ts"
import type { ActivityPolicy } from "../../domain/ActivityPolicy.ts"
import { policyRecords } from "../../domain/policyRecord.ts"
import { type KeptKind, keptKind } from "../kept/KeptKind.ts"
import { policyColumns } from "./policyColumns.ts"
import { immutableFaults, ruleFaults } from "./policyFaults.ts"
import { readyCondition } from "./readyCondition.ts"

/** It compiled, or it would not be here. */
const withReady = (policy: ActivityPolicy, now: string): ActivityPolicy => {
  const observedGeneration = policy.metadata.generation ?? 1
  const others = policy.status?.conditions ?? []
  const before = others.find(({ type }) => type === "Ready")
  return {
    ...policy,
    status: {
      conditions: [
        ...others.filter(({ type }) => type !== "Ready"),
        readyCondition(before?.status === "True" ? before.lastTransitionTime : now, observedGeneration)
      ],
      observedGeneration
    }
  }
}

export const policyKind: KeptKind<ActivityPolicy> = keptKind({
  names: { group: groupName, plural: "activitypolicies", kind: "ActivityPolicy" },
  records: policyRecords,
  columns: policyColumns,
  spec: activityPolicySpecSchema,
  status: activityPolicyStatusSchema,
  wholeSpec: (spec) => spec ?? { resource: { apiGroup: "", kind: "" } },
  admitted: withReady,
  unchangeableFaults: immutableFaults,
  specFaults: ruleFaults
})
