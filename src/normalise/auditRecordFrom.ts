/**
 * An audit record as kube-apiserver sent it becomes an {@link AuditRecord}: its envelope checked and decoded, its JSON
 * kept byte for byte.
 *
 * A record needs what identifies it: auditID, stage, verb, requestURI and a time. Times in the future are kept, up to 2105.
 */
import { Result } from "effect"
import {
  type AuditRecord,
  type AuditRequest,
  type Json,
  type JsonObject,
  objectAt,
  textAt
} from "../domain/AuditRecord.ts"
import { auditRecordKey } from "../domain/identity.ts"
import { isFactInstant, microsecondsFrom, timestampTextOf } from "../domain/instant.ts"
import { type Tenant, tenantTypeFrom } from "../domain/Tenant.ts"
import { withoutBodies } from "./bodies.ts"
import { jsonObjectFrom } from "./jsonObjectFrom.ts"
import { unreadable, type Unreadable } from "./Unreadable.ts"

/** A client may choose its audit ID: what is longer is cut before it becomes part of the key. */
export const auditIDBytesMax = 1024

export interface AuditRecordOrigin {
  readonly cluster: string
  /** For records that name no tenant themselves. */
  readonly defaultTenant: Tenant
}

const stages = new Set(["RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"])

/** @returns the record, or which field made it unreadable */
export const auditRecordFrom = (text: string, origin: AuditRecordOrigin): Result.Result<AuditRecord, Unreadable> => {
  const parsed = jsonObjectFrom(text)
  return Result.isFailure(parsed) ? Result.fail(parsed.failure) : auditRecordFromBody(text, parsed.success, origin)
}

/**
 * The request of a record, its bodies unread: most records match no rule, whatever was sent and answered.
 *
 * Refuses what {@link auditRecordFrom} refuses, but for one thing: it cannot see that a body is no JSON.
 *
 * @decision 0014-bodies-unread
 */
export const auditRequestFrom = (text: string): Result.Result<AuditRequest, Unreadable> => {
  const parsed = jsonObjectFrom(withoutBodies(text))
  return Result.isFailure(parsed) ? Result.fail(parsed.failure) : envelopeFrom(parsed.success)
}

/** The same as {@link auditRecordFrom} for a record that was parsed already, as an item of a webhook's list is; `json` is the text of `body`. */
export const auditRecordFromBody = (
  json: string,
  body: JsonObject,
  { cluster, defaultTenant }: AuditRecordOrigin
): Result.Result<AuditRecord, Unreadable> => {
  const read = envelopeFrom(body)
  if (Result.isFailure(read)) return Result.fail(read.failure)
  const { auditID, hasObjectRef, objectRef, requestURI, stage, statusCode, time, verb } = read.success
  const userObject = objectAt(body, "user")
  const user = { username: textAt(userObject, "username"), uid: textAt(userObject, "uid") }
  return Result.succeed({
    key: auditRecordKey({
      cluster,
      auditID,
      stage,
      // As it was sent: the key of a stored record must never change.
      requestReceivedTimestamp: time.text,
      username: user.username,
      verb,
      requestURI
    }),
    cluster,
    tenant: tenantOf(body, userObject) ?? defaultTenant,
    auditID,
    stage,
    level: textAt(body, "level"),
    verb,
    requestURI,
    requestReceivedTimestamp: timestampTextOf(time.text, time.microseconds),
    user,
    userAgent: textAt(body, "userAgent"),
    sourceIP: firstText(body["sourceIPs"]),
    objectRef,
    hasObjectRef,
    statusCode,
    dryRun: isDryRun(requestURI, body),
    json,
    body
  })
}

/** What a record cannot be without, and its request. */
interface Envelope extends AuditRequest {
  readonly auditID: string
  readonly requestURI: string
  readonly time: SentTime
}

const envelopeFrom = (body: JsonObject): Result.Result<Envelope, Unreadable> => {
  const kind = textAt(body, "kind")
  if (kind !== "" && kind !== "Event") return Result.fail(unreadable("kind", "it is not an audit Event"))
  const apiVersion = textAt(body, "apiVersion")
  if (apiVersion !== "" && !apiVersion.startsWith("audit.k8s.io/")) {
    return Result.fail(unreadable("apiVersion", "it is not of the group audit.k8s.io"))
  }
  const auditID = cutToBytes(textAt(body, "auditID"), auditIDBytesMax)
  if (auditID === "") return Result.fail(unreadable("auditID", "it is missing"))
  const stage = textAt(body, "stage")
  if (!stages.has(stage)) return Result.fail(unreadable("stage", `it is none of ${[...stages].join(", ")}`))
  const verb = textAt(body, "verb")
  if (verb === "") return Result.fail(unreadable("verb", "it is missing"))
  const requestURI = textAt(body, "requestURI")
  if (requestURI === "") return Result.fail(unreadable("requestURI", "it is missing"))
  const time = firstTime(body, ["requestReceivedTimestamp", "stageTimestamp"])
  if (time === undefined) {
    return Result.fail(unreadable("requestReceivedTimestamp", "neither it nor stageTimestamp is an RFC 3339 time"))
  }
  if (!isFactInstant(time.microseconds))
    return Result.fail(unreadable(time.name, "it is not of the years 1970 to 2105"))
  const reference = objectAt(body, "objectRef")
  const code = objectAt(body, "responseStatus")?.["code"]
  return Result.succeed({
    auditID,
    stage,
    verb,
    requestURI,
    time,
    objectRef: {
      apiGroup: textAt(reference, "apiGroup"),
      apiVersion: textAt(reference, "apiVersion"),
      resource: textAt(reference, "resource"),
      subresource: textAt(reference, "subresource"),
      namespace: textAt(reference, "namespace"),
      name: textAt(reference, "name"),
      uid: textAt(reference, "uid")
    },
    hasObjectRef: reference !== undefined,
    statusCode: typeof code === "number" && Number.isInteger(code) && code > 0 ? code : 0
  })
}

/** `user.extra` first: the authenticator wrote it. Then the record's annotations. Half of a pair counts as none. */
const tenantOf = (body: JsonObject, user: JsonObject | undefined): Tenant | undefined => {
  const extra = objectAt(user, "extra")
  const annotations = objectAt(body, "annotations")
  return (
    tenantFromPair(
      firstTextAt(extra, "iam.miloapis.com/parent-type"),
      firstTextAt(extra, "iam.miloapis.com/parent-name")
    ) ??
    tenantFromPair(
      textAt(annotations, "platform.miloapis.com/scope.type"),
      textAt(annotations, "platform.miloapis.com/scope.name")
    )
  )
}

/** Undefined when either half is missing. */
export const tenantFromPair = (type: string, name: string): Tenant | undefined =>
  type === "" || name === "" ? undefined : { type: tenantTypeFrom(type), name }

/** Asked for in the query, or in the DeleteOptions that a delete or an eviction carries. */
const isDryRun = (requestURI: string, body: JsonObject): boolean => {
  const query = requestURI.indexOf("?")
  if (query >= 0 && requestURI.includes("dryRun", query)) {
    if (new URLSearchParams(requestURI.slice(query + 1)).getAll("dryRun").some((value) => value !== "")) return true
  }
  const request = objectAt(body, "requestObject")
  if (request === undefined) return false
  const options = textAt(request, "kind") === "DeleteOptions" ? request : objectAt(request, "deleteOptions")
  const dryRun = options !== undefined && Object.hasOwn(options, "dryRun") ? options["dryRun"] : undefined
  return Array.isArray(dryRun) ? dryRun.length > 0 : typeof dryRun === "string" && dryRun !== ""
}

interface SentTime {
  readonly name: string
  readonly text: string
  readonly microseconds: bigint
}

const firstTime = (body: JsonObject, names: ReadonlyArray<string>): SentTime | undefined => {
  for (const name of names) {
    const text = textAt(body, name)
    const microseconds = microsecondsFrom(text)
    if (microseconds !== undefined) return { name, text, microseconds }
  }
  return undefined
}

const firstText = (value: Json | undefined): string => {
  const first: Json | undefined = Array.isArray(value) ? value[0] : value
  return typeof first === "string" ? first : ""
}

const firstTextAt = (object: JsonObject | undefined, name: string): string =>
  object !== undefined && Object.hasOwn(object, name) ? firstText(object[name]) : ""

/** Cuts at a whole character, so that the text stays valid UTF-8. */
const cutToBytes = (text: string, bytesMax: number): string => {
  if (text.length * 3 <= bytesMax) return text
  const bytes = Buffer.from(text)
  if (bytes.length <= bytesMax) return text
  let end = bytesMax
  while ((bytes[end]! & 0xc0) === 0x80) end--
  return bytes.toString("utf8", 0, end)
}
