/** The fields of an Activity that filters and selectors may name, and what holds them in the table `activities`. */
import { activityKeyFromName } from "../domain/identity.ts"
import type { FilterColumn, FilterColumns } from "./filterSql.ts"

const string = (sql: string): FilterColumn => ({ type: "string", sql })
const number = (sql: string): FilterColumn => ({ type: "number", sql })
const timestamp = (sql: string): FilterColumn => ({ type: "timestamp", sql })

export const activityColumns: FilterColumns = new Map<string, FilterColumn>([
  ["metadata.name", { ...string("concat('act-', replaceAll(toString(id), '-', ''))"), keyFrom: activityKeyFromName }],
  ["metadata.namespace", string("resource_namespace")],
  ["metadata.uid", string("toString(id)")],
  ["spec.summary", string("summary")],
  ["spec.changeSource", string("change_source")],
  ["spec.timestamp", timestamp("ts")],
  ["spec.lastTimestamp", timestamp("last_ts")],
  ["spec.cluster", string("cluster")],
  ["spec.actor.type", string("actor_type")],
  ["spec.actor.name", string("actor_name")],
  ["spec.actor.uid", string("actor_uid")],
  ["spec.actor.email", string("actor_email")],
  ["spec.resource.apiGroup", string("api_group")],
  ["spec.resource.kind", string("resource_kind")],
  ["spec.resource.name", string("resource_name")],
  ["spec.resource.namespace", string("resource_namespace")],
  ["spec.resource.uid", string("resource_uid")],
  ["spec.tenant.type", string("tenant_type")],
  ["spec.tenant.name", string("tenant_name")],
  ["spec.outcome", string("outcome")],
  ["spec.statusCode", number("status_code")],
  ["spec.reason", string("event_reason")],
  ["spec.origin.type", string("origin_type")],
  ["spec.origin.id", string("origin_id")],
  ["spec.policy.name", string("policy")],
  ["spec.policy.generation", number("policy_generation")],
  ["spec.policy.rule", string("rule")]
])
