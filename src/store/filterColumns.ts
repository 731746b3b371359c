/** What holds the fields that filters, selectors and facets name. A field without a column is read out of `json`. */
import type { FilterKind } from "../cel/Filter.ts"
import { activityColumns } from "./activityColumns.ts"
import type { FilterColumn, FilterColumns } from "./filterSql.ts"

const columns = (sql: Readonly<Record<string, string>>, type: FilterColumn["type"] = "string") =>
  Object.entries(sql).map(([path, expression]) => [path, { type, sql: expression }] as const)

const recordColumns: FilterColumns = new Map([
  ...columns({
    stage: "stage",
    level: "level",
    verb: "verb",
    userAgent: "user_agent",
    "user.username": "user",
    "user.uid": "user_uid",
    "objectRef.apiGroup": "api_group",
    "objectRef.resource": "resource",
    "objectRef.subresource": "subresource",
    "objectRef.namespace": "namespace",
    "objectRef.name": "resource_name",
    "objectRef.uid": "object_uid",
    // Cut to 1 KiB there.
    auditID: "audit_id"
  }),
  ...columns({ "responseStatus.code": "status_code" }, "number"),
  ...columns({ requestReceivedTimestamp: "ts" }, "timestamp")
])

const eventColumns: FilterColumns = new Map([
  ...columns({
    "metadata.name": "name",
    "metadata.namespace": "namespace",
    "metadata.uid": "uid",
    "metadata.resourceVersion": "resource_version",
    "regarding.kind": "regarding_kind",
    "regarding.namespace": "regarding_namespace",
    "regarding.name": "regarding_name",
    "regarding.uid": "regarding_uid",
    "related.kind": "related_kind",
    "related.namespace": "related_namespace",
    "related.name": "related_name",
    reason: "reason",
    type: "type",
    action: "action",
    note: "note",
    reportingController: "reporting_controller",
    reportingInstance: "reporting_instance"
  }),
  ...columns({ "metadata.creationTimestamp": "ts" }, "timestamp")
])

export const filterColumns: Readonly<Record<FilterKind, FilterColumns>> = {
  activity: activityColumns,
  record: recordColumns,
  event: eventColumns
}
