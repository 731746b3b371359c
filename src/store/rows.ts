/**
 * The rows of the tables, as lines of JSON: pure, and the same line for the same fact and sequence.
 *
 * `ver` orders the sights of one fact: the upper half is the order at its source, the lower half the sequence of the
 * stream that fed the row; so redelivery, several writers and reindex may come in any order.
 */
import { createHash } from "node:crypto"
import { Result } from "effect"
import { type AuditRecord, isJsonObject, type Json, objectAt, textAt } from "../domain/AuditRecord.ts"
import type { KubernetesEvent } from "../domain/KubernetesEvent.ts"
import type { Mark } from "../domain/streams.ts"

export type StoredTable = "audit_logs" | "k8s_events" | "activities"

/** One row, ready to be inserted. */
export interface StoredLine {
  /** UUID: the fact's key. */
  readonly id: string
  /** UInt128 as decimal text. */
  readonly ver: string
  readonly line: string
}

/** `order << 64 | seq` as decimal text. A negative order (no source has one) counts as 0. */
export const versionOf = (order: bigint, sequence: number): string =>
  ((((order < 0n ? 0n : order) & 0xffff_ffff_ffff_ffffn) << 64n) | BigInt(sequence)).toString()

/** The row of an audit record that AUDIT_EVENTS holds at `sequence`. */
export const auditLogLine = (record: AuditRecord, sequence: number): StoredLine =>
  storedLine(record.key, versionOf(0n, sequence), record.json, {
    ts: record.requestReceivedTimestamp,
    seq: String(sequence),
    cluster: record.cluster,
    tenant_type: record.tenant.type,
    tenant_name: record.tenant.name,
    audit_id: record.auditID,
    stage: record.stage,
    level: record.level,
    user: record.user.username,
    user_uid: record.user.uid,
    verb: record.verb,
    api_group: record.objectRef.apiGroup,
    resource: record.objectRef.resource,
    subresource: record.objectRef.subresource,
    namespace: record.objectRef.namespace,
    resource_name: record.objectRef.name,
    object_uid: record.objectRef.uid,
    status_code: smallNumber(record.statusCode),
    dry_run: record.dryRun ? 1 : 0,
    user_agent: record.userAgent,
    source_ip: record.sourceIP
  })

/** The row of a Kubernetes Event, as the sight at `sequence` of MILO_EVENTS shows it; deleted, it is no longer read. */
export const kubernetesEventLine = (event: KubernetesEvent, sequence: number, mark: Mark = "added"): StoredLine =>
  storedLine(event.key, versionOf(event.order, sequence), event.json, {
    ts: event.creationTimestamp,
    first_ts: event.firstSeen,
    last_ts: event.lastSeen,
    seq: String(sequence),
    ...(mark === "deleted" ? { is_deleted: 1 } : {}),
    cluster: event.cluster,
    uid: event.uid,
    resource_version: event.resourceVersion,
    tenant_type: event.tenant.type,
    tenant_name: event.tenant.name,
    namespace: event.namespace,
    name: event.name,
    regarding_api_group: event.regarding.apiGroup,
    regarding_kind: event.regarding.kind,
    regarding_namespace: event.regarding.namespace,
    regarding_name: event.regarding.name,
    regarding_uid: event.regarding.uid,
    related_kind: event.related.kind,
    related_namespace: event.related.namespace,
    related_name: event.related.name,
    reason: event.reason,
    type: event.type,
    action: event.action,
    reporting_controller: event.reportingController,
    reporting_instance: event.reportingInstance,
    series_count: Math.min(Math.max(Math.trunc(event.count), 0), 0xffff_ffff),
    note: event.note
  })

/** A message of ACTIVITIES. */
export interface ActivityMessage {
  /** The body: the canonical JSON of an Activity, stored and served as it is. */
  readonly json: string
  readonly mark: Mark
  readonly order: bigint
  readonly sequence: number
}

/** The row of an activity. The failure is a sentence: the body is no activity. */
export const activityLine = (message: ActivityMessage): Result.Result<StoredLine, string> => {
  const body = parsed(message.json)
  const spec = objectAt(body, "spec")
  const id = textAt(objectAt(body, "metadata"), "uid")
  if (spec === undefined || !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id)) {
    return Result.fail("the message is not an Activity: it has no spec, or metadata.uid is no UUID")
  }
  // Whose it is says the body alone, which a watch reads too: list and watch cannot differ.
  const tenant = objectAt(spec, "tenant")
  const actor = objectAt(spec, "actor")
  const resource = objectAt(spec, "resource")
  const policy = objectAt(spec, "policy")
  const origin = objectAt(spec, "origin")
  const timestamp = textAt(spec, "timestamp")
  return Result.succeed(
    storedLine(id, versionOf(message.order, message.sequence), message.json, {
      ts: timestamp,
      last_ts: textAt(spec, "lastTimestamp") || timestamp,
      seq: String(message.sequence),
      is_deleted: message.mark === "deleted" ? 1 : 0,
      cluster: textAt(spec, "cluster"),
      tenant_type: textAt(tenant, "type"),
      tenant_name: textAt(tenant, "name"),
      origin_type: textAt(origin, "type"),
      origin_id: textAt(origin, "id"),
      change_source: textAt(spec, "changeSource"),
      outcome: textAt(spec, "outcome"),
      status_code: smallNumber(numberAt(spec, "statusCode")),
      actor_type: textAt(actor, "type"),
      actor_name: textAt(actor, "name"),
      actor_uid: textAt(actor, "uid"),
      actor_email: textAt(actor, "email"),
      api_group: textAt(resource, "apiGroup"),
      resource_kind: textAt(resource, "kind"),
      resource_namespace: textAt(resource, "namespace"),
      resource_name: textAt(resource, "name"),
      resource_uid: textAt(resource, "uid"),
      policy: textAt(policy, "name"),
      policy_generation: numberAt(policy, "generation"),
      rule: textAt(policy, "rule"),
      event_reason: textAt(spec, "reason"),
      summary: textAt(spec, "summary")
    })
  )
}

/**
 * The deduplication token of a batch: a hash of its rows' ids and versions, never of positions, so the same rows in
 * the same order have the same token whoever sends them.
 */
export const insertToken = (rows: ReadonlyArray<StoredLine>): string => {
  const hash = createHash("sha256")
  for (const row of rows) hash.update(`${row.id} ${row.ver}\n`)
  return hash.digest("hex")
}

/** @param json the fact itself, as it was sent: the last column of every table */
const storedLine = (
  id: string,
  ver: string,
  json: string,
  columns: Readonly<Record<string, string | number>>
): StoredLine => {
  const line = wellFormed({ id, ver, ...columns })
  return { id, ver, line: `${line.slice(0, -1)},"json":${isBareObject(json) ? json : wellFormed(json)}}` }
}

/**
 * An object that stands as it is in a line of JSON: the engine reads it into a column of text byte for byte (see
 * `insertSettings`), and nobody has to escape its every quote, which costs half of what a line costs. Blanks around it
 * would be lost, and of one with an empty line, behind a statement, the engine finds no end (26.7).
 */
const isBareObject = (json: string): boolean => json.startsWith("{") && json.endsWith("}") && !json.includes("\n")

/** The engine refuses half of a surrogate pair, which JSON spells `\ud8xx`; it becomes U+FFFD, as in UTF-8. */
const wellFormed = (value: string | Readonly<Record<string, string | number>>): string => {
  const text = JSON.stringify(value)
  return text.includes("\\ud")
    ? JSON.stringify(value, (_, part: unknown) => (typeof part === "string" ? part.toWellFormed() : part))
    : text
}

const parsed = (json: string): Json => {
  try {
    // JSON.parse gives JSON.
    return JSON.parse(json) as Json
  } catch {
    return null
  }
}

const numberAt = (value: Json | undefined, name: string): number => {
  const found = isJsonObject(value) && Object.hasOwn(value, name) ? value[name] : undefined
  return typeof found === "number" && Number.isSafeInteger(found) && found > 0 ? found : 0
}

/** What a UInt16 holds; a status code outside of it is none. */
const smallNumber = (value: number): number => (Number.isInteger(value) && value >= 0 && value <= 0xffff ? value : 0)
