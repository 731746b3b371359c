/** Records of one object: the one that an activity was made from, and those before it. */
import { Effect } from "effect"
import type { ClickHouse, ClickHouseError, Row } from "../clients/clickhouse/ClickHouse.ts"
import type { Scope } from "../domain/Scope.ts"
import type { Tenant } from "../domain/Tenant.ts"
import { all, type Condition, condition } from "./Condition.ts"
import { timeOrRefuse } from "./factWindow.ts"
import { scopedReadUpTo } from "./scopedRead.ts"

/** Whose record, of which cluster, and when it was received (RFC 3339, to the microsecond). */
export interface RecordStanding {
  readonly tenant: Tenant
  readonly cluster: string
  readonly received: string
}

export interface RecordObject {
  readonly apiGroup: string
  /** The plural. */
  readonly resource: string
  /** "" at the scope of the cluster. */
  readonly namespace: string
  readonly name: string
}

export interface StoredRecord {
  /** UUIDv5, see domain/identity.ts. */
  readonly key: string
  /** As it was stored. */
  readonly json: string
}

/** Of the records that one read brings, the first aside: as large as one may be that a cluster's bus takes. */
const sizeBytesMax = 8 * 2 ** 20

/** Stages of one request, and requests that chose one audit ID. */
const sameIdMax = 16

/** Scales come one after the other; anything else tells the whole object, or that nobody knows it. */
const earlierMax = 8

export const readRecordsOf = (
  scope: Scope,
  auditID: string,
  standing: RecordStanding
): Effect.Effect<ReadonlyArray<StoredRecord>, ClickHouseError, ClickHouse> =>
  Effect.gen(function* () {
    const rows = yield* scopedReadUpTo(
      scope,
      {
        table: "audit_logs",
        columns: "json, toString(id) AS key",
        where: all([
          yield* standingCondition(standing, "="),
          condition("audit_id = {audit_id:String}", { audit_id: auditID })
        ]),
        tail: `ORDER BY ts DESC, id DESC LIMIT ${sameIdMax}`,
        final: true
      },
      sizeBytesMax
    )
    return rows.map(storedRecord)
  })

/** Newest first. None for a user's scope: what was there before is what others did. */
export const readEarlierRecords = (
  scope: Scope,
  object: RecordObject,
  standing: RecordStanding
): Effect.Effect<ReadonlyArray<StoredRecord>, ClickHouseError, ClickHouse> =>
  Effect.gen(function* () {
    if (scope._tag === "User") return []
    const where = all([yield* standingCondition(standing, "<"), objectCondition(object), condition(tellsState)])
    const newest = `ORDER BY ts DESC, id DESC LIMIT ${earlierMax}`
    const rows = yield* scopedReadUpTo(
      scope,
      {
        table: "audit_logs",
        columns: "json, toString(id) AS key",
        where,
        tail: newest,
        final: true,
        // No version of a record differs from another: the newest of all versions are among the newest.
        among: { where, tail: newest }
      },
      sizeBytesMax
    )
    return rows.map(storedRecord)
  })

/**
 * Requests that were carried out, and either changed what is wanted of the object or were answered with it. Others, such as
 * `exec`, `log` or `eviction`, do neither.
 */
const tellsState =
  "stage = 'ResponseComplete' AND status_code >= 200 AND status_code < 300 AND dry_run = 0 " +
  "AND verb IN ('create', 'update', 'patch', 'get') " +
  "AND subresource IN ('', 'status', 'scale', 'resize', 'ephemeralcontainers', 'binding', 'approval', 'finalize') " +
  "AND (level = 'RequestResponse' OR (verb != 'get' AND subresource != 'status'))"

/** The tenant's column comes first in the table's order: with it a time is found at once. */
const standingCondition = (
  { cluster, received, tenant }: RecordStanding,
  when: "=" | "<"
): Effect.Effect<Condition, ClickHouseError> =>
  Effect.map(timeOrRefuse(received), (time) =>
    condition(
      "tenant_type = {record_tenant_type:String} AND tenant_name = {record_tenant_name:String} " +
        `AND cluster = {record_cluster:String} AND ts ${when} {record_ts:DateTime64(6, 'UTC')}`,
      {
        record_tenant_type: tenant.type,
        record_tenant_name: tenant.name,
        record_cluster: cluster,
        record_ts: time
      }
    )
  )

const objectCondition = ({ apiGroup, name, namespace, resource }: RecordObject): Condition =>
  condition(
    "api_group = {object_group:String} AND resource = {object_resource:String} " +
      "AND namespace = {object_namespace:String} AND resource_name = {object_name:String}",
    { object_group: apiGroup, object_resource: resource, object_namespace: namespace, object_name: name }
  )

const storedRecord = (row: Row): StoredRecord => ({ key: String(row["key"]), json: String(row["json"]) })
