/**
 * Where ActivityPolicies and ReindexJobs are read from. Each kind has two drivers: the records of a cluster
 * ({@link keptInCluster}), and a NATS KV bucket ({@link keptInBucket}). The resourceVersions are those of whoever keeps them.
 *
 * While they are away, reads and watches are answered from what was followed until then.
 *
 * @decision 0005-policy-storage
 */
import { type Effect, Schema, type Stream } from "effect"

/** There is an object of that name. */
export class ObjectExists extends Schema.TaggedError<ObjectExists>()("ObjectExists", { name: Schema.String }) {
  readonly retryable = false
}

/** There is none of that name. */
export class ObjectMissing extends Schema.TaggedError<ObjectMissing>()("ObjectMissing", { name: Schema.String }) {
  readonly retryable = false
}

/** It has another resourceVersion by now. */
export class ObjectChanged extends Schema.TaggedError<ObjectChanged>()("ObjectChanged", { name: Schema.String }) {
  readonly retryable = false
}

/** Changes after that resourceVersion are not known any more: list again. */
export class ObjectVersionExpired extends Schema.TaggedError<ObjectVersionExpired>()("ObjectVersionExpired", {
  resourceVersion: Schema.Number,
  oldest: Schema.Number
}) {
  readonly retryable = false
}

/** The list that the page belongs to is not held any more: list again. */
export class ObjectPageExpired extends Schema.TaggedError<ObjectPageExpired>()("ObjectPageExpired", {}) {
  readonly retryable = false
}

/** Nobody has come to that resourceVersion yet: it is from a store that was lost. List again. */
export class ObjectVersionAhead extends Schema.TaggedError<ObjectVersionAhead>()("ObjectVersionAhead", {
  resourceVersion: Schema.Number,
  newest: Schema.Number
}) {
  readonly retryable = false
}

/** Nothing more is created until something is deleted; what there is can be changed and deleted. */
export class KeptObjectsFull extends Schema.TaggedError<KeptObjectsFull>()("KeptObjectsFull", {
  sizeBytes: Schema.Number
}) {
  readonly retryable = false
}

/** Whoever keeps them answered, and does not take it: rights are missing, or what is written is not as it wants it. */
export class ObjectRefused extends Schema.TaggedError<ObjectRefused>()("ObjectRefused", {
  name: Schema.String,
  sentence: Schema.String
}) {
  readonly retryable = false
}

export class KeptObjectsUnavailable extends Schema.TaggedError<KeptObjectsUnavailable>()("KeptObjectsUnavailable", {
  cause: Schema.Defect()
}) {
  readonly retryable = true
}

export class KeptObjectsError extends Schema.TaggedError<KeptObjectsError>()("KeptObjectsError", {
  reason: Schema.Union([
    ObjectExists,
    ObjectMissing,
    ObjectChanged,
    ObjectVersionExpired,
    ObjectPageExpired,
    ObjectVersionAhead,
    KeptObjectsFull,
    ObjectRefused,
    KeptObjectsUnavailable
  ])
}) {
  get retryable(): boolean {
    return this.reason.retryable
  }
}

/** An object with `metadata.resourceVersion`, as it was after the change; a deleted one as it was before. */
export interface KeptEvent<A> {
  readonly type: "ADDED" | "MODIFIED" | "DELETED"
  readonly object: A
  /** As it was before; absent for ADDED. */
  readonly previous?: A
  readonly resourceVersion: number
}

export interface KeptList<A> {
  /** By name. */
  readonly objects: ReadonlyArray<A>
  readonly resourceVersion: number
}

/** A part of a list, all of whose pages have one resourceVersion. */
export interface KeptPage<A> extends KeptList<A> {
  /** Of the next page; "" on the last. */
  readonly continue: string
  /** How many come after it, where that is known. */
  readonly remaining: number | undefined
}

export interface KeptBatch<A> {
  readonly events: ReadonlyArray<KeptEvent<A>>
  /** The resourceVersion up to which the reader now knows everything. */
  readonly position: number
}

/** What a reader of all objects needs: the whole list first, and again after a gap; then each change. */
export type KeptUpdate<A> =
  | { readonly _tag: "Listed"; readonly objects: ReadonlyArray<A> }
  | { readonly _tag: "Changed"; readonly name: string; readonly object: A | undefined }

/** Of one kind of objects. */
export interface KeptObjects<A> {
  /** @fails KeptObjectsError ObjectMissing */
  readonly get: (name: string) => Effect.Effect<A, KeptObjectsError>
  /** All of them, not older than any write that was answered here, unless the store is away. */
  readonly list: Effect.Effect<KeptList<A>, KeptObjectsError>
  /**
   * At most so many as the limit says, or all where the store does not cut lists.
   *
   * @param from the page before's `continue`, "" for the first
   * @fails KeptObjectsError ObjectPageExpired
   */
  readonly page: (limit: number, from: string) => Effect.Effect<KeptPage<A>, KeptObjectsError>
  /** @fails KeptObjectsError ObjectVersionExpired when changes after it are not held any more, ObjectVersionAhead */
  readonly known: (resourceVersion: number) => Effect.Effect<void, KeptObjectsError>
  /** Waits for changes after `position`. @fails KeptObjectsError ObjectVersionExpired */
  readonly after: (position: number) => Effect.Effect<KeptBatch<A>, KeptObjectsError>
  /** Never fails and never ends. */
  readonly updates: Stream.Stream<KeptUpdate<A>>
  /** A sentence while there is nowhere to keep them; undefined when there is, also when it does not answer now. */
  readonly absence: () => string | undefined
}

/** What the controller changes of them: what it has found out, and that they go. */
export interface KeptUpkeep<A> {
  /**
   * The status alone, only while the stored object is the one of `object`'s uid and resourceVersion.
   *
   * @fails KeptObjectsError ObjectChanged, ObjectMissing, ObjectRefused
   */
  readonly writeStatus: (object: A) => Effect.Effect<A, KeptObjectsError>
  /** Only while it is the one of `object`'s uid and resourceVersion; finalizers hold it. @fails KeptObjectsError ObjectChanged, ObjectMissing, ObjectRefused */
  readonly delete: (object: A) => Effect.Effect<void, KeptObjectsError>
}
