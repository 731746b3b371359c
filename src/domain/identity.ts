/**
 * Keys and versions of facts. Both are made only from the source, so that sending, evaluating or storing a fact again
 * finds the same key, and an unchanged sight of it the same version.
 *
 * @decision 0007-identity
 */
import { hash } from "node:crypto"

/** The namespace of every UUIDv5 of this product. It must never change: every stored key depends on it. */
const namespaceBytes = Buffer.from("9d1f0c9e5b1e4f6cb1d6a3c7f0e2d844", "hex")

/** UUIDv5 of the parts. They are joined as a JSON array, so no two lists of parts meet. */
export const uuidFrom = (...parts: ReadonlyArray<string>): string => {
  const name = Buffer.from(JSON.stringify(parts))
  const hex = hash("sha1", Buffer.concat([namespaceBytes, name]))
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-${variantOf(hex)}${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

/** The two upper bits say that it is a UUID of RFC 9562. */
const variantOf = (hex: string): string => ((Number.parseInt(hex.charAt(16), 16) & 0x3) | 0x8).toString(16)

export interface AuditRecordIdentity {
  readonly cluster: string
  readonly auditID: string
  readonly stage: string
  readonly requestReceivedTimestamp: string
  readonly username: string
  readonly verb: string
  readonly requestURI: string
}

/** The key, and the version, of an audit record: a client may choose and repeat the audit ID, hence the other parts. */
export const auditRecordKey = (record: AuditRecordIdentity): string =>
  uuidFrom(
    "audit",
    record.cluster,
    record.auditID,
    record.stage,
    record.requestReceivedTimestamp,
    record.username,
    record.verb,
    record.requestURI
  )

/** The key of a Kubernetes Event: one row, whatever happens to it. */
export const kubernetesEventKey = (cluster: string, uid: string): string => uuidFrom("event", cluster, uid)

/** One sight of a Kubernetes Event. */
export const kubernetesEventVersion = (cluster: string, uid: string, resourceVersion: string): string =>
  uuidFrom("event", cluster, uid, resourceVersion)

export type OriginType = "audit" | "event"

/** The key of the activity that a fact became. `originKey` is {@link auditRecordKey}, or the Event's uid. */
export const activityKey = (cluster: string, originType: OriginType, originKey: string): string =>
  uuidFrom("activity", cluster, originType, originKey)

/** `act-` and the 32 hex digits of the key. */
export const activityName = (key: string): string => `act-${key.replaceAll("-", "")}`

/** The key in an activity's name, or undefined when the text is not such a name. */
export const activityKeyFromName = (name: string): string | undefined => {
  const match = /^act-([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})$/.exec(name)
  return match === null ? undefined : match.slice(1).join("-")
}

/**
 * The version of an activity: evaluating the same input again by the same policy gives the same one, a changed text
 * another.
 *
 * @param sourceVersion the audit record's key, or {@link kubernetesEventVersion}
 * @param reindexUid the uid of the reindex job that evaluated it, empty when live
 */
export const activityVersion = (
  key: string,
  state: "live" | "deleted",
  sourceVersion: string,
  reindexUid: string,
  json: string
): string => `${key}-${hash("sha256", JSON.stringify([state, sourceVersion, reindexUid, json])).slice(0, 16)}`
