import type { JsonObject } from "./AuditRecord.ts"
import type { Tenant } from "./Tenant.ts"

/**
 * One sight of a Kubernetes Event, whatever API version it was read in: events.k8s.io/v1 with the deprecated fields
 * kept.
 *
 * Times are RFC 3339 text with up to six fractional digits, UTC. Absent texts are "".
 */
export interface KubernetesEvent {
  /** UUIDv5 of cluster and uid. */
  readonly key: string
  /** UUIDv5 of cluster, uid and resourceVersion. */
  readonly version: string
  readonly cluster: string
  readonly tenant: Tenant
  readonly uid: string
  readonly resourceVersion: string
  /**
   * The order at the source: `resourceVersion` as a number, 0 when it is none, and what an exporter adds to it where
   * resourceVersions went back.
   */
  readonly order: bigint
  readonly namespace: string
  readonly name: string
  readonly creationTimestamp: string
  readonly firstSeen: string
  readonly lastSeen: string
  readonly count: number
  readonly regarding: ObjectReference
  readonly related: ObjectReference
  readonly reason: string
  readonly type: string
  readonly action: string
  readonly note: string
  readonly reportingController: string
  readonly reportingInstance: string
  /** The normalised Event, as it is stored and shown to rules. */
  readonly json: string
  readonly body: JsonObject
}

export interface ObjectReference {
  readonly apiGroup: string
  readonly apiVersion: string
  readonly kind: string
  readonly namespace: string
  readonly name: string
  readonly uid: string
}
