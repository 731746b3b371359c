/** Questions: they are created, answered at once, and never stored. Their plurals are as existing clients spell them. */
import type { JsonSchema } from "./JsonSchema.ts"
import {
  activityFacetQuerySchemas,
  activityQuerySchemas,
  auditLogFacetsQuerySchemas,
  auditLogQuerySchemas,
  eventFacetQuerySchemas,
  eventQuerySchemas
} from "./querySchemas.ts"
import type { Resource } from "./resources.ts"

/** Said of questions that find facts. */
const exported =
  "With Accept: application/jsonl or text/csv the answer is all that it finds, as lines; that takes create on its export too."

const question = (
  plural: string,
  kind: string,
  description: string,
  properties: Readonly<Record<"spec" | "status", JsonSchema>>
): Resource => ({
  plural,
  singular: kind.toLowerCase(),
  kind,
  shortNames: [],
  categories: [],
  namespaced: false,
  verbs: ["create"],
  subresources: {},
  description: `${description} The answer to its creation is its status: kubectl create -f FILE -o yaml. Nothing is stored.`,
  properties
})

export const activityQueriesResource = question(
  "activityqueries",
  "ActivityQuery",
  `ActivityQuery finds activities of a time, by a filter and by words. ${exported}`,
  activityQuerySchemas
)

export const auditLogQueriesResource = question(
  "auditlogqueries",
  "AuditLogQuery",
  `AuditLogQuery finds audit records of a time, by a filter. ${exported}`,
  auditLogQuerySchemas
)

export const eventQueriesResource = question(
  "eventqueries",
  "EventQuery",
  `EventQuery finds Kubernetes Events of a time, by a filter and by a field selector. ${exported}`,
  eventQuerySchemas
)

export const activityFacetQueriesResource = question(
  "activityfacetqueries",
  "ActivityFacetQuery",
  "ActivityFacetQuery counts activities by the values of their fields, and over time.",
  activityFacetQuerySchemas
)

export const auditLogFacetsQueriesResource = question(
  "auditlogfacetsqueries",
  "AuditLogFacetsQuery",
  "AuditLogFacetsQuery counts audit records by the values of their fields, and over time.",
  auditLogFacetsQuerySchemas
)

export const eventFacetQueriesResource = question(
  "eventfacetqueries",
  "EventFacetQuery",
  "EventFacetQuery counts Kubernetes Events by the values of their fields, and over time.",
  eventFacetQuerySchemas
)
