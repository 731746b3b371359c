import { field, fieldTable, type FilterFields } from "./FilterField.ts"

const texts = [
  "metadata.name",
  "metadata.namespace",
  "metadata.uid",
  "spec.summary",
  "spec.changeSource",
  "spec.cluster",
  "spec.actor.type",
  "spec.actor.name",
  "spec.actor.uid",
  "spec.actor.email",
  "spec.resource.apiGroup",
  "spec.resource.apiVersion",
  "spec.resource.kind",
  "spec.resource.name",
  "spec.resource.namespace",
  "spec.resource.uid",
  "spec.tenant.type",
  "spec.tenant.name",
  "spec.outcome",
  "spec.sourceIP",
  "spec.verb",
  "spec.reason",
  "spec.origin.type",
  "spec.origin.id",
  "spec.policy.name",
  "spec.policy.rule"
] as const

/** What a filter over activities may name. */
export const activityFilterFields: FilterFields = fieldTable([
  ...texts.map((path) => field(path, "string")),
  field("metadata.labels", "map"),
  field("spec.statusCode", "number", { max: 0xffff }),
  field("spec.count", "number"),
  field("spec.policy.generation", "number", { max: Number.MAX_SAFE_INTEGER }),
  field("spec.timestamp", "timestamp"),
  field("metadata.creationTimestamp", "timestamp"),
  // Left out of an activity that was seen once: its last sight is its first.
  field("spec.lastTimestamp", "timestamp", { absentAs: [["spec", "timestamp"]] }),
  /** Each is an object with `marker`, `start`, `end` and `resource`. */
  field("spec.links", "list")
])

/** What the API tells of an activity besides: worked out when it is read, so that no filter can ask for it. */
export const unstoredFields = ["spec.changes", "spec.changesLeftOut"] as const
