/**
 * What clients write and we keep: ActivityPolicies and ReindexJobs. A cluster keeps them as records of its API server, a
 * standalone server in NATS.
 */
export interface KeptObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: ObjectMetadata
  readonly spec?: unknown
  readonly status?: unknown
}

export interface ObjectMetadata {
  readonly name: string
  readonly uid?: string
  readonly resourceVersion?: string
  readonly generation?: number
  readonly creationTimestamp?: string
  readonly deletionTimestamp?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly finalizers?: ReadonlyArray<string>
  readonly managedFields?: ReadonlyArray<unknown>
  readonly ownerReferences?: ReadonlyArray<unknown>
}

/** One aspect of an object's state. */
export interface StatusCondition {
  readonly type: string
  readonly status: "True" | "False" | "Unknown"
  readonly reason: string
  readonly message: string
  readonly lastTransitionTime: string
  readonly observedGeneration?: number
}
