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
import { headOf } from "./bodies.ts"
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
 * The request of a record, as it stands before its bodies: most records match no rule, whatever was sent and answered.
 * Undefined where that does not tell all of it; then {@link auditRecordFrom} does, or why it cannot be read.
 *
 * What stands behind the bodies is not looked at, so that a record that is broken there has a request too.
 *
 * @decision 0014-bodies-unread
 */
export const auditRequestFrom = (bytes: Uint8Array): AuditRequest | undefined => {
  const { isWhole, text } = headOf(bytes)
  const parsed = jsonObjectFrom(text)
  if (Result.isFailure(parsed)) return undefined
  const request = requestFrom(parsed.success)
  if (Result.isFailure(request)) return undefined
  // What is not in the head may stand behind the bodies.
  const isTold = isWhole || (request.success.hasObjectRef && request.success.statusCode !== 0)
  return isTold ? request.success : undefined
}

/** The same as {@link auditRecordFrom} for a record that was parsed already, as an item of a webhook's list is; `json` is the text of `body`. */
export const auditRecordFromBody = (
  json: string,
  body: JsonObject,
  { cluster, defaultTenant }: AuditRecordOrigin
): Result.Result<AuditRecord, Unreadable> => {
  const request = requestFrom(body)
  if (Result.isFailure(request)) return Result.fail(request.failure)
  const read = timeFrom(body)
  if (Result.isFailure(read)) return Result.fail(read.failure)
  const { auditID, hasObjectRef, objectRef, requestURI, stage, statusCode, verb } = request.success
  const time = read.success
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
interface Request extends AuditRequest {
  readonly auditID: string
  readonly requestURI: string
}

const requestFrom = (body: JsonObject): Result.Result<Request, Unreadable> => {
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
  const reference = objectAt(body, "objectRef")
  const code = objectAt(body, "responseStatus")?.["code"]
  return Result.succeed({
    auditID,
    stage,
    verb,
    requestURI,
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

const timeFrom = (body: JsonObject): Result.Result<SentTime, Unreadable> => {
  const time = firstTime(body, ["requestReceivedTimestamp", "stageTimestamp"])
  if (time === undefined) {
    return Result.fail(unreadable("requestReceivedTimestamp", "neither it nor stageTimestamp is an RFC 3339 time"))
  }
  return isFactInstant(time.microseconds)
    ? Result.succeed(time)
    : Result.fail(unreadable(time.name, "it is not of the years 1970 to 2105"))
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
