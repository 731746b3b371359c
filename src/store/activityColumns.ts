/** The fields of an Activity that filters and selectors may name, and what holds them in the table `activities`. */
import { labelNames } from "../domain/Activity.ts"
import type { FilterColumn, FilterColumns } from "./filterSql.ts"

const string = (sql: string): FilterColumn => ({ type: "string", sql })
const number = (sql: string): FilterColumn => ({ type: "number", sql })
const timestamp = (sql: string): FilterColumn => ({ type: "timestamp", sql })

/** Fields that are too rarely asked for to have a column of their own. */
const fromJson = (...path: ReadonlyArray<string>): string =>
  `JSONExtractString(json, ${path.map((name) => `'${name}'`).join(", ")})`

/** A label's path is `metadata.labels.` and its whole key. */
export const labelPath = (key: string): string => `metadata.labels.${key}`

export const activityColumns: FilterColumns = new Map<string, FilterColumn>([
  ["metadata.name", string("concat('act-', replaceAll(toString(id), '-', ''))")],
  ["metadata.namespace", string("resource_namespace")],
  ["metadata.uid", string("toString(id)")],
  [labelPath(labelNames.originType), string("origin_type")],
  [labelPath(labelNames.changeSource), string("change_source")],
  [labelPath(labelNames.apiGroup), string("api_group")],
  [labelPath(labelNames.resourceKind), string("resource_kind")],
  [labelPath(labelNames.eventReason), string("event_reason")],
  [labelPath(labelNames.policyName), string("policy")],
  ["spec.summary", string("summary")],
  ["spec.changeSource", string("change_source")],
  ["spec.timestamp", timestamp("ts")],
  ["spec.lastTimestamp", timestamp("last_ts")],
  ["spec.count", number("JSONExtractUInt(json, 'spec', 'count')")],
  ["spec.cluster", string("cluster")],
  ["spec.actor.type", string("actor_type")],
  ["spec.actor.name", string("actor_name")],
  ["spec.actor.uid", string("actor_uid")],
  ["spec.actor.email", string("actor_email")],
  ["spec.resource.apiGroup", string("api_group")],
  ["spec.resource.apiVersion", string(fromJson("spec", "resource", "apiVersion"))],
  ["spec.resource.kind", string("resource_kind")],
  ["spec.resource.name", string("resource_name")],
  ["spec.resource.namespace", string("resource_namespace")],
  ["spec.resource.uid", string("resource_uid")],
  ["spec.tenant.type", string("tenant_type")],
  ["spec.tenant.name", string("tenant_name")],
  ["spec.outcome", string("outcome")],
  ["spec.statusCode", number("status_code")],
  ["spec.sourceIP", string(fromJson("spec", "sourceIP"))],
  ["spec.verb", string(fromJson("spec", "verb"))],
  ["spec.reason", string("event_reason")],
  ["spec.origin.type", string("origin_type")],
  ["spec.origin.id", string("origin_id")],
  ["spec.policy.name", string("policy")],
  ["spec.policy.generation", number("policy_generation")],
  ["spec.policy.rule", string("rule")]
])
