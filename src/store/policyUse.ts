/** Which policies tell something, and of what there was to tell, over all tenants: for a diagnosis. */
import { Effect } from "effect"
import type { ClickHouse, ClickHouseError, Row } from "../clients/clickhouse/ClickHouse.ts"
import type { AuditRequest } from "../domain/AuditRecord.ts"
import { storageGroup } from "../domain/keptRecord.ts"
import type { Scope } from "../domain/Scope.ts"
import type { Tenant } from "../domain/Tenant.ts"
import { auditRequestOf } from "./auditRequestOf.ts"
import { all, condition } from "./Condition.ts"
import { windowCondition } from "./factWindow.ts"
import { scopedRead } from "./scopedRead.ts"

/** RFC 3339: what began from `start` to just before `end`. */
export interface UseWindow {
  readonly start: string
  readonly end: string
}

/** Records that rules are chosen for alike. */
export interface RecordGroup {
  /** Without an object: no rule is chosen by it. */
  readonly request: AuditRequest
  /** Of a user whose name says that nobody sits behind it. */
  readonly bySystem: boolean
  readonly count: number
  /** As the table shows it. */
  readonly newest: string
}

export interface EventGroup {
  /** Of the objects that they are about. */
  readonly apiGroup: string
  readonly kind: string
  readonly count: number
  readonly newest: string
}

export interface PolicyUse {
  /** Names of the policies that an activity is there of. */
  readonly telling: ReadonlySet<string>
  /** Commonest first. */
  readonly records: ReadonlyArray<RecordGroup>
  readonly events: ReadonlyArray<EventGroup>
}

/** A cluster has some hundred kinds, of each a dozen groups; what lies beyond is the rarest. */
const groupsMax = 10_000

const platform: Scope = { _tag: "Platform" }

/**
 * Three reads, each of at most 10 seconds. Dry runs, and what no rule is ever asked about, are left out.
 *
 * @param verbs of the records that are counted; reads are many
 */
export const readPolicyUse = (
  window: UseWindow,
  verbs: ReadonlyArray<string>
): Effect.Effect<PolicyUse, ClickHouseError, ClickHouse> =>
  Effect.gen(function* () {
    const told = yield* scopedRead(platform, {
      table: "activities",
      columns: "policy",
      where: yield* windowCondition({ ...window, kind: "activity", scope: platform }, "beganInWindow"),
      tail: `GROUP BY policy LIMIT ${groupsMax}`,
      final: true
    })
    const records = yield* scopedRead(platform, {
      table: "audit_logs",
      columns: `${requestColumns}, user = '' OR startsWith(user, 'system:') AS by_system, ${counted}`,
      where: yield* recordCondition(window, verbs),
      tail: `GROUP BY ${requestColumns}, by_system ORDER BY facts DESC, ${requestColumns} LIMIT ${groupsMax}`,
      final: true
    })
    const events = yield* scopedRead(platform, {
      table: "k8s_events",
      columns: `regarding_api_group, regarding_kind, ${counted}`,
      where: yield* windowCondition({ ...window, kind: "event", scope: platform }, "beganInWindow"),
      tail: `GROUP BY regarding_api_group, regarding_kind ORDER BY facts DESC LIMIT ${groupsMax}`,
      final: true
    })
    return {
      telling: new Set(told.map((row) => String(row["policy"]))),
      records: records.map((row) => ({
        request: auditRequestOf(row),
        bySystem: Number(row["by_system"]) === 1,
        ...countOf(row)
      })),
      events: events.map((row) => ({
        apiGroup: String(row["regarding_api_group"]),
        kind: String(row["regarding_kind"]),
        ...countOf(row)
      }))
    }
  })

export interface SampleRecord {
  readonly cluster: string
  readonly tenant: Tenant
  /** As it was stored. */
  readonly json: string
}

/** Some record whose body may be an object of the resource; undefined when there is none. */
export const readSampleRecord = (
  window: UseWindow,
  resource: { readonly apiGroup: string; readonly resource: string }
): Effect.Effect<SampleRecord | undefined, ClickHouseError, ClickHouse> =>
  Effect.gen(function* () {
    const [row] = yield* scopedRead(platform, {
      table: "audit_logs",
      columns: "json, cluster, tenant_type, tenant_name",
      where: all([
        yield* recordCondition(window, ["create", "update", "patch"]),
        condition(
          "api_group = {sample_group:String} AND resource = {sample_resource:String} AND subresource = '' " +
            "AND status_code >= 200 AND status_code < 300 AND level IN ('Request', 'RequestResponse')",
          { sample_group: resource.apiGroup, sample_resource: resource.resource }
        )
      ]),
      tail: "LIMIT 1",
      // Any version of a record has its body.
      final: false
    })
    return row === undefined
      ? undefined
      : {
          cluster: String(row["cluster"]),
          tenant: { type: String(row["tenant_type"]), name: String(row["tenant_name"]) },
          json: String(row["json"])
        }
  })

const requestColumns = "api_group, resource, subresource, stage, verb, status_code"

const counted = "toUInt64(count()) AS facts, toString(max(ts)) AS newest"

const recordCondition = (window: UseWindow, verbs: ReadonlyArray<string>) =>
  Effect.map(windowCondition({ ...window, kind: "record", scope: platform }), (inWindow) =>
    all([
      inWindow,
      condition(
        "stage IN ('ResponseComplete', 'Panic') AND dry_run = 0 AND resource != '' " +
          "AND api_group != {own_group:String} AND verb IN {verbs:Array(String)}",
        { own_group: storageGroup, verbs }
      )
    ])
  )

const countOf = (row: Row) => ({ count: Number(row["facts"]), newest: String(row["newest"]) })
