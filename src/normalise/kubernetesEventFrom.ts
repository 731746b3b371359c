/**
 * Both API versions of a Kubernetes Event become one shape: events.k8s.io/v1 with the deprecated fields kept, its JSON
 * canonical (the same bytes from either version of the same Event).
 *
 * `metadata.managedFields` and absent values (null, "", 0, zero times) are dropped: the API server adds and leaves them
 * out at will. Normalising the result again changes nothing.
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
    creationTimestamp: timestampText(created),
    firstSeen: timestampText(sightings.firstSeen),
    lastSeen: timestampText(sightings.lastSeen),
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

/** The part of an `apiVersion` before the slash; "" for the core group. */
export const apiGroupFrom = (apiVersion: string): string => {
  const slash = apiVersion.indexOf("/")
  return slash < 0 ? "" : apiVersion.slice(0, slash)
}

const normalised = (source: JsonObject): JsonObject => {
  const deprecatedSource = objectAt(source, "deprecatedSource") ?? objectAt(source, "source")
  const { managedFields: _, ...metadata } = objectAt(source, "metadata") ?? {}
  const fields: ReadonlyArray<readonly [string, Json | undefined]> = [
    ["metadata", sorted(metadata)],
    ["eventTime", time(source["eventTime"])],
    ["series", sorted(objectAt(source, "series"))],
    [
      "reportingController",
      firstNonEmpty(
        textAt(source, "reportingController"),
        textAt(source, "reportingComponent"),
        textAt(deprecatedSource, "component")
      )
    ],
    ["reportingInstance", firstNonEmpty(textAt(source, "reportingInstance"), textAt(deprecatedSource, "host"))],
    ["action", source["action"]],
    ["reason", source["reason"]],
    ["regarding", sorted(objectAt(source, "regarding") ?? objectAt(source, "involvedObject"))],
    ["related", sorted(objectAt(source, "related"))],
    ["note", firstNonEmpty(textAt(source, "note"), textAt(source, "message"))],
    ["type", source["type"]],
    ["deprecatedSource", sorted(deprecatedSource)],
    ["deprecatedFirstTimestamp", time(source["deprecatedFirstTimestamp"] ?? source["firstTimestamp"])],
    ["deprecatedLastTimestamp", time(source["deprecatedLastTimestamp"] ?? source["lastTimestamp"])],
    ["deprecatedCount", source["deprecatedCount"] ?? source["count"]]
  ]
  // fromEntries defines properties, so no key of the source can reach a prototype.
  return Object.fromEntries<Json | undefined>([
    ["apiVersion", "events.k8s.io/v1"],
    ["kind", "Event"],
    ...fields.filter(([, value]) => !isAbsent(value))
  ])
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

/** Keys in alphabetical order, at every depth; absent values dropped at the top. */
const sorted = (object: JsonObject | undefined): JsonObject | undefined =>
  object === undefined
    ? undefined
    : Object.fromEntries(
        Object.entries(object)
          .filter(([, value]) => !isAbsent(value))
          .sort(([one], [other]) => (one < other ? -1 : 1))
          .map(([name, value]) => [name, isJsonObject(value) ? sorted(value) : value] as const)
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
