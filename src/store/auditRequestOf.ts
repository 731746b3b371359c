/** A record's request, as the columns of audit_logs tell it: as far as rules are chosen by it. */
import type { Row } from "../clients/clickhouse/ClickHouse.ts"
import type { AuditRequest } from "../domain/AuditRecord.ts"

/** @param row of a resource's records: what has none is no policy's. Columns that were not read are "". */
export const auditRequestOf = (row: Row): AuditRequest => ({
  stage: textIn(row, "stage"),
  verb: textIn(row, "verb"),
  objectRef: {
    apiGroup: textIn(row, "api_group"),
    // No rule is chosen by it.
    apiVersion: "",
    resource: textIn(row, "resource"),
    subresource: textIn(row, "subresource"),
    namespace: textIn(row, "namespace"),
    name: textIn(row, "resource_name"),
    uid: textIn(row, "object_uid")
  },
  hasObjectRef: true,
  statusCode: Number(row["status_code"])
})

const textIn = (row: Row, column: string): string => String(row[column] ?? "")
