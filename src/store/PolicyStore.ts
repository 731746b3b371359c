/**
 * Where ActivityPolicies are read from. It has two drivers: the records of a cluster ({@link policyRecordsLayer}), and a
 * NATS KV bucket ({@link policyBucketLayer}). The resourceVersions are those of whoever keeps them.
 *
 * While they are away, reads and watches are answered from what was followed until then.
 *
 * @decision 0005-policy-storage
 */
import { Context, type Effect, Schema, type Stream } from "effect"
import type { ActivityPolicy, PolicyMetadata } from "../domain/ActivityPolicy.ts"

/** What is kept as policies are: policies, and ReindexJobs. */
export interface KeptObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: PolicyMetadata
  readonly status?: unknown
}

/** There is a policy of that name. */
export class PolicyExists extends Schema.TaggedError<PolicyExists>()("PolicyExists", { name: Schema.String }) {
  readonly retryable = false
}

/** There is no policy of that name. */
export class PolicyMissing extends Schema.TaggedError<PolicyMissing>()("PolicyMissing", { name: Schema.String }) {
  readonly retryable = false
}

/** The policy has another resourceVersion by now. */
export class PolicyChanged extends Schema.TaggedError<PolicyChanged>()("PolicyChanged", { name: Schema.String }) {
  readonly retryable = false
}

/** Changes after that resourceVersion are not known any more: list again. */
export class PolicyVersionExpired extends Schema.TaggedError<PolicyVersionExpired>()("PolicyVersionExpired", {
  resourceVersion: Schema.Number,
  oldest: Schema.Number
}) {
  readonly retryable = false
}

/** The list that the page belongs to is not held any more: list again. */
export class PolicyPageExpired extends Schema.TaggedError<PolicyPageExpired>()("PolicyPageExpired", {}) {
  readonly retryable = false
}

/** Nobody has come to that resourceVersion yet: it is from a store that was lost. List again. */
export class PolicyVersionAhead extends Schema.TaggedError<PolicyVersionAhead>()("PolicyVersionAhead", {
  resourceVersion: Schema.Number,
  newest: Schema.Number
}) {
  readonly retryable = false
}

export class PolicyStoreUnavailable extends Schema.TaggedError<PolicyStoreUnavailable>()("PolicyStoreUnavailable", {
  cause: Schema.Defect()
}) {
  readonly retryable = true
}

export class PolicyStoreError extends Schema.TaggedError<PolicyStoreError>()("PolicyStoreError", {
  reason: Schema.Union([
    PolicyExists,
    PolicyMissing,
    PolicyChanged,
    PolicyVersionExpired,
    PolicyPageExpired,
    PolicyVersionAhead,
    PolicyStoreUnavailable
  ])
}) {
  get retryable(): boolean {
    return this.reason.retryable
  }
}

/** A policy with `metadata.resourceVersion`, as it was after the change; a deleted one as it was before. */
export interface PolicyEvent<A = ActivityPolicy> {
  readonly type: "ADDED" | "MODIFIED" | "DELETED"
  readonly policy: A
  /** As it was before; absent for ADDED. */
  readonly previous?: A
  readonly resourceVersion: number
}

export interface PolicyList<A = ActivityPolicy> {
  /** By name. */
  readonly policies: ReadonlyArray<A>
  readonly resourceVersion: number
}

/** A part of a list, all of whose pages have one resourceVersion. */
export interface PolicyPage<A = ActivityPolicy> extends PolicyList<A> {
  /** Of the next page; "" on the last. */
  readonly continue: string
  /** How many come after it, where that is known. */
  readonly remaining: number | undefined
}

export interface PolicyBatch<A = ActivityPolicy> {
  readonly events: ReadonlyArray<PolicyEvent<A>>
  /** The resourceVersion up to which the reader now knows everything. */
  readonly position: number
}

/** What a reader of all policies needs: the whole list first, and again after a gap; then each change. */
export type PolicyUpdate<A = ActivityPolicy> =
  | { readonly _tag: "Listed"; readonly policies: ReadonlyArray<A> }
  | { readonly _tag: "Changed"; readonly name: string; readonly policy: A | undefined }

/** Of one kind of objects. */
export interface KeptObjects<A> {
  /** @fails PolicyStoreError PolicyMissing */
  readonly get: (name: string) => Effect.Effect<A, PolicyStoreError>
  /** All of them, not older than any write that was answered here, unless the store is away. */
  readonly list: Effect.Effect<PolicyList<A>, PolicyStoreError>
  /**
   * At most so many as the limit says, or all where the store does not cut lists.
   *
   * @param from the page before's `continue`, "" for the first
   * @fails PolicyStoreError PolicyPageExpired
   */
  readonly page: (limit: number, from: string) => Effect.Effect<PolicyPage<A>, PolicyStoreError>
  /** @fails PolicyStoreError PolicyVersionExpired when changes after it are not held any more, PolicyVersionAhead */
  readonly known: (resourceVersion: number) => Effect.Effect<void, PolicyStoreError>
  /** Waits for changes after `position`. @fails PolicyStoreError PolicyVersionExpired */
  readonly after: (position: number) => Effect.Effect<PolicyBatch<A>, PolicyStoreError>
  /** Never fails and never ends. */
  readonly updates: Stream.Stream<PolicyUpdate<A>>
  /** A sentence while there is nowhere to keep them; undefined when there is, also when it does not answer now. */
  readonly absence: () => string | undefined
}

export class PolicyStore extends Context.Service<PolicyStore, KeptObjects<ActivityPolicy>>()(
  "activity/store/PolicyStore"
) {}
