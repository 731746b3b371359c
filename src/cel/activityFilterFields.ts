import type { FilterField } from "./Filter.ts"

const texts = [
  "metadata.name",
  "metadata.namespace",
  "spec.summary",
  "spec.changeSource",
  "spec.cluster",
  "spec.actor.type",
  "spec.actor.name",
  "spec.actor.uid",
  "spec.actor.email",
  "spec.resource.apiGroup",
  "spec.resource.kind",
  "spec.resource.name",
  "spec.resource.namespace",
  "spec.resource.uid",
  "spec.tenant.type",
  "spec.tenant.name",
  "spec.outcome",
  "spec.reason",
  "spec.origin.type",
  "spec.origin.id",
  "spec.policy.name",
  "spec.policy.rule"
] as const

/** What a filter over activities may name. Every one of them is a column of the store. */
export const activityFilterFields: ReadonlyArray<FilterField> = [
  ...texts.map((path) => ({ path, type: "string" }) as const),
  { path: "spec.statusCode", type: "number" },
  { path: "spec.timestamp", type: "timestamp" },
  // Left out of an activity that was seen once: its last sight is its first.
  { path: "spec.lastTimestamp", type: "timestamp", absentAs: "spec.timestamp" }
]
