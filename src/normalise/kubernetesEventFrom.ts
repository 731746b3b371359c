/**
 * Both API versions of a Kubernetes Event become one shape: events.k8s.io/v1 with the deprecated fields kept, its JSON
 * canonical (the same bytes from either version of the same Event).
 *
 * `metadata.managedFields` and absent values (null, "", 0, zero times) are dropped: the API server adds and leaves them
 * out at will; but not labels and annotations without a value. Normalising the result again changes nothing.
 */
import { Result } from "effect"
import { isJsonObject, type Json, type JsonObject, objectAt, textAt } from "../domain/AuditRecord.ts"
import { kubernetesEventKey, kubernetesEventVersion } from "../domain/identity.ts"
import { isFactInstant, microsecondsFrom, timestampText } from "../domain/instant.ts"
import type { KubernetesEvent, ObjectReference } from "../domain/KubernetesEvent.ts"
import type { Tenant } from "../domain/Tenant.ts"
import { jsonObjectFrom } from "./jsonObjectFrom.ts"
import { sightingsOf } from "./sightingsOf.ts"
import { unreadable, type Unreadable } from "./Unreadable.ts"

export interface KubernetesEventOrigin {
  readonly cluster: string
  /** Resolved once, at the Event's first observation, and carried with the message since. */
  readonly tenant: Tenant
  /** As the message carries it; absent or "" where nobody has counted but the API server: its resourceVersion. */
  readonly order?: string
}

/** @returns the Event, or which field made it unreadable */
export const kubernetesEventFrom = (
  source: JsonObject,
  { cluster, order = "", tenant }: KubernetesEventOrigin
): Result.Result<KubernetesEvent, Unreadable> => {
  const kind = textAt(source, "kind")
  if (kind !== "" && kind !== "Event") return Result.fail(unreadable("kind", "it is not an Event"))
  const apiVersion = textAt(source, "apiVersion")
  if (apiVersion !== "" && apiVersion !== "v1" && !apiVersion.startsWith("events.k8s.io/")) {
    return Result.fail(unreadable("apiVersion", "it is neither v1 nor of the group events.k8s.io"))
  }
  const metadata = objectAt(source, "metadata")
  const uid = textAt(metadata, "uid")
  if (uid === "") return Result.fail(unreadable("metadata.uid", "it is missing"))
  const sightings = sightingsOf(source)
  if (sightings === undefined)
    return Result.fail(unreadable("metadata.creationTimestamp", "the Event holds no valid time"))
  const body = normalised(source)
  const resourceVersion = textAt(metadata, "resourceVersion")
  const created = microsecondsFrom(textAt(metadata, "creationTimestamp")) ?? sightings.firstSeen
  const creationTimestamp = timestampText(created)
  // Most were seen once, when they were created, and printing a time takes longer than most of this.
  const printed = (instant: bigint) => (instant === created ? creationTimestamp : timestampText(instant))
  for (const [field, instant] of [
    ["metadata.creationTimestamp", created],
    ["firstTimestamp", sightings.firstSeen],
    ["lastTimestamp", sightings.lastSeen]
  ] as const) {
    if (!isFactInstant(instant)) return Result.fail(unreadable(field, "it is not of the years 1970 to 2105"))
  }
  return Result.succeed({
    key: kubernetesEventKey(cluster, uid),
    version: kubernetesEventVersion(cluster, uid, resourceVersion),
    cluster,
    tenant,
    uid,
    resourceVersion,
    order: orderFrom(order === "" ? resourceVersion : order),
    namespace: textAt(metadata, "namespace"),
    name: textAt(metadata, "name"),
    creationTimestamp,
    firstSeen: printed(sightings.firstSeen),
    lastSeen: printed(sightings.lastSeen),
    count: sightings.count,
    regarding: referenceFrom(objectAt(body, "regarding")),
    related: referenceFrom(objectAt(body, "related")),
    reason: textAt(body, "reason"),
    type: textAt(body, "type"),
    action: textAt(body, "action"),
    note: textAt(body, "note"),
    reportingController: textAt(body, "reportingController"),
    reportingInstance: textAt(body, "reportingInstance"),
    json: JSON.stringify(body),
    body
  })
}

/** The same from text, as the message body of MILO_EVENTS. */
export const kubernetesEventFromText = (
  text: string,
  origin: KubernetesEventOrigin
): Result.Result<KubernetesEvent, Unreadable> => {
  const parsed = jsonObjectFrom(text)
  return Result.isFailure(parsed) ? Result.fail(parsed.failure) : kubernetesEventFrom(parsed.success, origin)
}

/** Of `apps/v1` it is `apps`; of `v1` it is the core group, "". */
export const apiGroupFrom = (apiVersion: string): string => {
  const slash = apiVersion.indexOf("/")
  return slash < 0 ? "" : apiVersion.slice(0, slash)
}

const normalised = (source: JsonObject): JsonObject => {
  const deprecatedSource = objectAt(source, "deprecatedSource") ?? objectAt(source, "source")
  const body: Record<string, Json> = { apiVersion: "events.k8s.io/v1", kind: "Event" }
  const put = (name: string, value: Json | undefined): void => {
    if (value !== undefined && !isAbsent(value)) body[name] = value
  }
  put("metadata", sorted(objectAt(source, "metadata"), "managedFields"))
  put("eventTime", time(source["eventTime"]))
  put("series", sorted(objectAt(source, "series")))
  put(
    "reportingController",
    firstNonEmpty(
      textAt(source, "reportingController"),
      textAt(source, "reportingComponent"),
      textAt(deprecatedSource, "component")
    )
  )
  put("reportingInstance", firstNonEmpty(textAt(source, "reportingInstance"), textAt(deprecatedSource, "host")))
  put("action", source["action"])
  put("reason", source["reason"])
  put("regarding", sorted(objectAt(source, "regarding") ?? objectAt(source, "involvedObject")))
  put("related", sorted(objectAt(source, "related")))
  put("note", firstNonEmpty(textAt(source, "note"), textAt(source, "message")))
  put("type", source["type"])
  put("deprecatedSource", sorted(deprecatedSource))
  put("deprecatedFirstTimestamp", time(source["deprecatedFirstTimestamp"] ?? source["firstTimestamp"]))
  put("deprecatedLastTimestamp", time(source["deprecatedLastTimestamp"] ?? source["lastTimestamp"]))
  put("deprecatedCount", source["deprecatedCount"] ?? source["count"])
  return body
}

const isAbsent = (value: Json | undefined): boolean =>
  value === undefined ||
  value === null ||
  value === "" ||
  value === 0 ||
  (isJsonObject(value) && Object.keys(value).length === 0)

const time = (value: Json | undefined): Json | undefined =>
  typeof value === "string" && microsecondsFrom(value) !== undefined ? value : undefined

const firstNonEmpty = (...texts: ReadonlyArray<string>): string => texts.find((text) => text !== "") ?? ""

const orderFrom = (text: string): bigint => (/^\d{1,19}$/.test(text) ? BigInt(text) : 0n)

/** Keys in alphabetical order, at every depth; absent values are left out. */
const sorted = (object: JsonObject | undefined, leftOut?: string): JsonObject | undefined => {
  if (object === undefined) return undefined
  const result: Record<string, Json> = {}
  for (const name of Object.keys(object).sort()) {
    const value = object[name]!
    if (name === leftOut || isAbsent(value)) continue
    const kept = isJsonObject(value) ? (textMaps.has(name) ? sortedTexts(value) : sorted(value)!) : value
    if (name !== "__proto__") result[name] = kept
    // To set it would change the prototype.
    else Object.defineProperty(result, name, { value: kept, enumerable: true, configurable: true, writable: true })
  }
  return result
}

/** Of metadata: a label without a value is a label. */
const textMaps: ReadonlySet<string> = new Set(["labels", "annotations"])

const sortedTexts = (texts: JsonObject): JsonObject =>
  Object.fromEntries(
    Object.keys(texts)
      .sort()
      .map((name) => [name, texts[name]])
  )

const referenceFrom = (reference: JsonObject | undefined): ObjectReference => {
  const apiVersion = textAt(reference, "apiVersion")
  return {
    apiGroup: apiGroupFrom(apiVersion),
    apiVersion: apiVersion.slice(apiVersion.indexOf("/") + 1),
    kind: textAt(reference, "kind"),
    namespace: textAt(reference, "namespace"),
    name: textAt(reference, "name"),
    uid: textAt(reference, "uid")
  }
}
