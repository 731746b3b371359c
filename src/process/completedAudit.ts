/** What rules see of an audit record: the record, its gaps filled in memory, its stored form untouched. */
import {
  type AuditRecord,
  type AuditRequest,
  type Json,
  type JsonObject,
  objectAt,
  textAt
} from "../domain/AuditRecord.ts"

/** The record's object after completion. Absent texts are "". */
export interface CompletedReference {
  readonly name: string
  readonly namespace: string
  readonly uid: string
}

export interface CompletedAudit {
  readonly audit: JsonObject
  readonly reference: CompletedReference
}

const empty: JsonObject = {}

/**
 * Missing `objectRef.name`, `namespace` and `uid` come from `responseObject.metadata`, then `requestObject.metadata`; a
 * deleted object's uid from the Status that answered. A create that was refused before it got a name shows its
 * `generateName`. Missing objectRef, user, responseStatus and bodies read as `{}`.
 */
export const completedAudit = (record: AuditRecord): CompletedAudit => {
  const { body, objectRef } = record
  const response = objectAt(body, "responseObject")
  const request = objectAt(body, "requestObject")
  const isStatus = textAt(response, "kind") === "Status"
  const responseMetadata = isStatus ? undefined : objectAt(response, "metadata")
  const requestMetadata = objectAt(request, "metadata")
  const details = isStatus ? objectAt(response, "details") : undefined
  const either = (name: string): string => textAt(responseMetadata, name) || textAt(requestMetadata, name)
  const reference = {
    name: objectRef.name || either("name") || either("generateName"),
    namespace: objectRef.namespace || either("namespace"),
    uid: objectRef.uid || textAt(responseMetadata, "uid") || textAt(details, "uid") || textAt(requestMetadata, "uid")
  }
  const completed: Record<string, Json | undefined> = { ...objectAt(body, "objectRef") }
  if (reference.name !== "") completed["name"] = reference.name
  if (reference.namespace !== "") completed["namespace"] = reference.namespace
  if (reference.uid !== "") completed["uid"] = reference.uid
  // A spread copies own keys as own keys, `__proto__` among them.
  const audit: JsonObject = {
    ...body,
    objectRef: completed,
    user: objectAt(body, "user") ?? empty,
    responseStatus: objectAt(body, "responseStatus") ?? empty,
    responseObject: response ?? empty,
    // A patch's request may be a list of operations.
    requestObject: body["requestObject"] ?? empty
  }
  return { audit, reference }
}

export type RequestOutcome = "Success" | "Failure" | "Unknown"

/**
 * 2xx succeeded, and so did 101, a switched protocol (exec, port-forward). A record without a code says nothing about
 * how its request ended: only rules for any outcome see it.
 */
export const outcomeOf = ({ stage, statusCode }: AuditRequest): RequestOutcome => {
  if (stage === "Panic") return "Failure"
  if (statusCode === 0) return "Unknown"
  return statusCode === 101 || (statusCode >= 200 && statusCode < 300) ? "Success" : "Failure"
}

const singleObjectVerbs = new Set(["create", "update", "patch", "delete", "get"])

/**
 * The kind that the record's own body names, when it is the object itself: a main resource's, of the group that was
 * asked, no Status, and no other shape of it (a list, metadata only, a table).
 */
export const bodyKind = (record: AuditRecord): string | undefined => {
  const { objectRef, verb, body } = record
  if (objectRef.subresource !== "" || !singleObjectVerbs.has(verb)) return undefined
  const candidates = [
    objectAt(body, "responseObject"),
    verb === "create" || verb === "update" ? objectAt(body, "requestObject") : undefined
  ]
  for (const candidate of candidates) {
    const kind = textAt(candidate, "kind")
    const apiVersion = textAt(candidate, "apiVersion")
    const slash = apiVersion.indexOf("/")
    if (kind === "" || kind === "Status" || apiVersion === "" || Array.isArray(candidate?.["items"])) continue
    if ((slash < 0 ? "" : apiVersion.slice(0, slash)) === objectRef.apiGroup) return kind
  }
  return undefined
}
