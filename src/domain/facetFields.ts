/** The fields of each fact whose values can be counted, under the names by which callers know them. */

export const activityFacetFields = [
  "spec.actor.name",
  "spec.actor.type",
  "spec.changeSource",
  "spec.cluster",
  "spec.origin.type",
  "spec.outcome",
  "spec.policy.name",
  "spec.reason",
  "spec.resource.apiGroup",
  "spec.resource.kind",
  "spec.resource.name",
  "spec.resource.namespace",
  "spec.tenant.name",
  "spec.tenant.type"
] as const
export type ActivityFacetField = (typeof activityFacetFields)[number]

export const auditLogFacetFields = [
  "level",
  "objectRef.apiGroup",
  "objectRef.name",
  "objectRef.namespace",
  "objectRef.resource",
  "objectRef.subresource",
  "responseStatus.code",
  "user.uid",
  "user.username",
  "userAgent",
  "verb"
] as const
export type AuditLogFacetField = (typeof auditLogFacetFields)[number]

export const eventFacetFields = [
  "action",
  "namespace",
  "reason",
  "regarding.kind",
  "regarding.name",
  "regarding.namespace",
  "related.kind",
  "related.namespace",
  "reportingController",
  "source.component",
  "type"
] as const
export type EventFacetField = (typeof eventFacetFields)[number]
