/** What `kubectl get activitypolicies` shows. */
import type { ActivityPolicy } from "../../domain/ActivityPolicy.ts"
import { microsecondsFrom } from "../../domain/instant.ts"
import { ageText, type Column } from "../Table.ts"

/** @param nowMillis asked for each row: a watch is long */
export const policyColumns = (nowMillis: () => number): ReadonlyArray<Column<ActivityPolicy>> => [
  {
    name: "Name",
    type: "string",
    format: "name",
    description: "Name of the policy.",
    priority: 0,
    cell: (one) => one.metadata.name
  },
  {
    name: "API Group",
    type: "string",
    description: "API group of the kind that the policy is for.",
    priority: 0,
    cell: (one) => one.spec.resource.apiGroup || "(core)"
  },
  {
    name: "Kind",
    type: "string",
    description: "The kind that the policy is for.",
    priority: 0,
    cell: (one) => one.spec.resource.kind
  },
  {
    name: "Audit Rules",
    type: "integer",
    description: "How many rules tell audit records.",
    priority: 0,
    cell: (one) => one.spec.auditRules?.length ?? 0
  },
  {
    name: "Event Rules",
    type: "integer",
    description: "How many rules tell Kubernetes Events.",
    priority: 0,
    cell: (one) => one.spec.eventRules?.length ?? 0
  },
  {
    name: "Ready",
    type: "string",
    description: "Whether the rules are in effect.",
    priority: 0,
    cell: (one) => one.status?.conditions?.find(({ type }) => type === "Ready")?.status ?? "Unknown"
  },
  {
    name: "Age",
    type: "string",
    description: "How long ago the policy was created.",
    priority: 0,
    cell: (one) => {
      const created = microsecondsFrom(one.metadata.creationTimestamp ?? "")
      return created === undefined ? "<unknown>" : ageText(nowMillis() - Number(created / 1000n))
    }
  }
]
