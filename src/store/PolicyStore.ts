/**
 * Where ActivityPolicies are kept. This driver keeps them in a NATS KV bucket: its revisions are resourceVersions.
 *
 * Reads and watches are answered from a follower of the bucket while NATS is away; writes then fail.
 */
import { Cause, Context, Deferred, Effect, Layer, Option, Schedule, Schema, Stream } from "effect"
import { type Bucket, type BucketEntry, Nats, type NatsError } from "../clients/nats/Nats.ts"
import type { ActivityPolicy } from "../domain/ActivityPolicy.ts"

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

export class PolicyStoreUnavailable extends Schema.TaggedError<PolicyStoreUnavailable>()("PolicyStoreUnavailable", {
  cause: Schema.Defect()
}) {
  readonly retryable = true
}

export class PolicyStoreError extends Schema.TaggedError<PolicyStoreError>()("PolicyStoreError", {
  reason: Schema.Union([PolicyExists, PolicyMissing, PolicyChanged, PolicyVersionExpired, PolicyStoreUnavailable])
}) {
  get retryable(): boolean {
    return this.reason.retryable
  }
}

/** A policy with `metadata.resourceVersion`, as it was after the change; a deleted one as it was before. */
export interface PolicyEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED"
  readonly policy: ActivityPolicy
  /** As it was before; absent for ADDED. */
  readonly previous?: ActivityPolicy
  readonly resourceVersion: number
}

export interface PolicyList {
  /** By name. */
  readonly policies: ReadonlyArray<ActivityPolicy>
  readonly resourceVersion: number
}

export interface PolicyBatch {
  readonly events: ReadonlyArray<PolicyEvent>
  /** The resourceVersion up to which the reader now knows everything. */
  readonly position: number
}

/** What a reader of all policies needs: the whole list first, and again after a gap; then each change. */
export type PolicyUpdate =
  | { readonly _tag: "Listed"; readonly policies: ReadonlyArray<ActivityPolicy> }
  | { readonly _tag: "Changed"; readonly name: string; readonly policy: ActivityPolicy | undefined }

export class PolicyStore extends Context.Service<
  PolicyStore,
  {
    /** @fails PolicyStoreError PolicyMissing */
    readonly get: (name: string) => Effect.Effect<ActivityPolicy, PolicyStoreError>
    /** All policies, not older than any write that was answered here. */
    readonly list: Effect.Effect<PolicyList, PolicyStoreError>
    /** The policy with its resourceVersion. The caller has filled in uid, generation and time. */
    readonly create: (policy: ActivityPolicy) => Effect.Effect<ActivityPolicy, PolicyStoreError>
    /** Only while the stored one has the resourceVersion of `policy`. */
    readonly update: (policy: ActivityPolicy) => Effect.Effect<ActivityPolicy, PolicyStoreError>
    /** Only while the stored one has that resourceVersion. Returns the deletion's own. */
    readonly delete: (name: string, resourceVersion: string) => Effect.Effect<number, PolicyStoreError>
    /** @fails PolicyStoreError PolicyVersionExpired when changes after it are not held any more */
    readonly known: (resourceVersion: number) => Effect.Effect<void, PolicyStoreError>
    /** Waits for changes after `position`. @fails PolicyStoreError PolicyVersionExpired */
    readonly after: (position: number) => Effect.Effect<PolicyBatch, PolicyStoreError>
    /** Never fails and never ends. */
    readonly updates: Stream.Stream<PolicyUpdate>
  }
>()("activity/store/PolicyStore") {
  static readonly layer = Layer.effect(
    PolicyStore,
    Effect.suspend(() => makePolicyStore)
  )
}

const bucketName = "activity_policies"
/** Reserved when it is made: some thousand policies with their history, and little of a small disk. */
const bucketOptions = { history: 8, sizeBytesMax: 16 * 1024 * 1024 }

/** Changes held for watches; a watch further behind lists again. */
const heldEventsMax = 4_096

const encoder = new TextEncoder()
const decoder = new TextDecoder()

const makePolicyStore = Effect.gen(function* () {
  const nats = yield* Nats
  let opened: Bucket | undefined
  let known = new Map<string, ActivityPolicy>()
  let events: Array<PolicyEvent> = []
  /** Changes up to it are not held. Undefined until the first list. */
  let forgotten: number | undefined
  let position = 0
  let epoch = 0
  let changed = Deferred.makeUnsafe<void>()

  const notify = (): void => {
    const waiting = changed
    changed = Deferred.makeUnsafe<void>()
    Deferred.doneUnsafe(waiting, Effect.void)
  }

  // A bucket may be gone with the server's data: after a failure it is opened, and made, again.
  const withBucket = <A>(use: (bucket: Bucket) => Effect.Effect<A, NatsError>): Effect.Effect<A, NatsError> =>
    Effect.suspend(() =>
      opened === undefined
        ? nats.bucket(bucketName, bucketOptions).pipe(Effect.tap((bucket) => Effect.sync(() => void (opened = bucket))))
        : Effect.succeed(opened)
    ).pipe(
      Effect.flatMap(use),
      Effect.tapError((error) =>
        Effect.sync(() => {
          if (error.reason._tag !== "RevisionMismatch") opened = undefined
        })
      )
    )

  const take = (entry: BucketEntry): void => {
    if (entry.revision <= position) return
    position = entry.revision
    const before = known.get(entry.key)
    const policy = entry.deleted ? undefined : policyFrom(entry)
    if (policy !== undefined) {
      known.set(entry.key, policy)
      events.push({
        type: before === undefined ? "ADDED" : "MODIFIED",
        policy,
        ...(before === undefined ? {} : { previous: before }),
        resourceVersion: entry.revision
      })
    } else if (before !== undefined) {
      known.delete(entry.key)
      events.push({
        type: "DELETED",
        policy: withVersion(before, entry.revision),
        previous: before,
        resourceVersion: entry.revision
      })
    }
    if (events.length > heldEventsMax) {
      const gone = events.splice(0, heldEventsMax / 4)
      forgotten = gone.at(-1)?.resourceVersion ?? forgotten
    }
    notify()
  }

  /** Everything at once: readers that are behind it list again. */
  const replace = (list: { readonly entries: ReadonlyArray<BucketEntry>; readonly revision: number }): void => {
    known = new Map(
      list.entries.flatMap((entry) => {
        const policy = policyFrom(entry)
        return policy === undefined ? [] : [[entry.key, policy] as const]
      })
    )
    events = []
    position = list.revision
    forgotten = list.revision
    epoch++
    notify()
  }

  /**
   * A bucket without any revision was made anew: the server has lost its data, policies included. What is known here goes
   * back, so that no record passes without them; another process may be faster.
   */
  const putBack = (bucket: Bucket, first: number) =>
    Effect.gen(function* () {
      const { revision } = yield* bucket.list
      if (revision >= first || known.size === 0) return
      yield* Effect.logWarning("the stored policies are gone; those that are known are put back", {
        policies: known.size
      })
      yield* Effect.forEach(
        [...known.values()],
        (policy) =>
          bucket.create(policy.metadata.name, bytesOf(policy)).pipe(
            Effect.catchIf(
              (error) => error.reason._tag === "RevisionMismatch",
              () => Effect.void
            )
          ),
        { discard: true }
      )
    })

  const follow = Effect.gen(function* () {
    const bucket = yield* withBucket(Effect.succeed)
    const first = yield* bucket.firstRevision
    // After a lost connection it goes on where it was, unless what follows was removed, or the bucket made anew.
    if (forgotten !== undefined && first > position + 1) yield* putBack(bucket, first)
    if (forgotten === undefined || first > position + 1) replace(yield* bucket.list)
    yield* bucket.watch(position).pipe(Stream.runForEach((entry) => Effect.sync(() => take(entry))))
  }).pipe(
    Effect.tapError(() => Effect.sync(() => void (opened = undefined))),
    // A follower that died would leave an API that looks alive and hears nothing.
    Effect.catchCauseIf(
      (cause) => !Cause.hasInterrupts(cause),
      (cause) => Effect.logDebug("policies are followed again", cause)
    ),
    Effect.repeat(Schedule.spaced("1 second"))
  )
  yield* Effect.forkScoped(follow)

  const unavailable = (cause: unknown) => new PolicyStoreError({ reason: new PolicyStoreUnavailable({ cause }) })

  const writing = <A>(name: string, effect: Effect.Effect<A, NatsError>, mismatch: PolicyExists | PolicyChanged) =>
    effect.pipe(
      Effect.timeout("10 seconds"),
      Effect.mapError((error) =>
        error._tag === "NatsError" && error.reason._tag === "RevisionMismatch"
          ? new PolicyStoreError({ reason: mismatch })
          : unavailable(error)
      ),
      Effect.annotateLogs({ policy: name })
    )

  const listed: Effect.Effect<void> = Effect.suspend(() =>
    forgotten === undefined ? Deferred.await(changed).pipe(Effect.andThen(listed)) : Effect.void
  )

  const fromFollower = Effect.suspend(() =>
    forgotten === undefined
      ? Effect.fail(unavailable(new Error("the policies were never read")))
      : Effect.succeed({ policies: sorted([...known.values()]), resourceVersion: position })
  )

  const list = Effect.suspend(() =>
    nats.connected()
      ? withBucket((bucket) => bucket.list).pipe(
          Effect.timeout("5 seconds"),
          Effect.map(({ entries, revision }) => ({
            policies: sorted(entries.flatMap((entry) => policyFrom(entry) ?? [])),
            resourceVersion: revision
          })),
          Effect.catch(() => fromFollower)
        )
      : fromFollower
  )

  const get = (name: string): Effect.Effect<ActivityPolicy, PolicyStoreError> =>
    (nats.connected()
      ? withBucket((bucket) => bucket.get(name)).pipe(
          Effect.timeout("5 seconds"),
          Effect.map((entry) => (Option.isNone(entry) ? undefined : policyFrom(entry.value))),
          Effect.catch(() => Effect.map(fromFollower, () => known.get(name)))
        )
      : Effect.map(fromFollower, () => known.get(name))
    ).pipe(
      Effect.flatMap((policy) =>
        policy === undefined
          ? Effect.fail(new PolicyStoreError({ reason: new PolicyMissing({ name }) }))
          : Effect.succeed(policy)
      )
    )

  const isKnown = (from: number): Effect.Effect<void, PolicyStoreError> =>
    Effect.suspend(() =>
      forgotten !== undefined && from < forgotten
        ? Effect.fail(
            new PolicyStoreError({ reason: new PolicyVersionExpired({ resourceVersion: from, oldest: forgotten }) })
          )
        : Effect.void
    )

  const after = (from: number): Effect.Effect<PolicyBatch, PolicyStoreError> =>
    Effect.andThen(
      isKnown(from),
      Effect.suspend(() =>
        forgotten !== undefined && from < position
          ? Effect.succeed({ events: events.filter((event) => event.resourceVersion > from), position })
          : Deferred.await(changed).pipe(Effect.andThen(after(from)))
      )
    )

  const updates: Stream.Stream<PolicyUpdate> = Stream.unfold({ epoch: -1, position: 0 }, (seen) =>
    Effect.gen(function* () {
      yield* listed
      const relisted = (): readonly [ReadonlyArray<PolicyUpdate>, typeof seen] => [
        [{ _tag: "Listed", policies: sorted([...known.values()]) }],
        { epoch, position }
      ]
      if (seen.epoch !== epoch) return relisted()
      const batch = yield* after(seen.position).pipe(Effect.option)
      if (Option.isNone(batch) || seen.epoch !== epoch) return relisted()
      return [
        batch.value.events.map((event): PolicyUpdate => ({
          _tag: "Changed",
          name: event.policy.metadata.name,
          policy: event.type === "DELETED" ? undefined : event.policy
        })),
        { epoch, position: batch.value.position }
      ] as const
    })
  ).pipe(Stream.flattenIterable)

  return PolicyStore.of({
    get,
    list,
    create: (policy) =>
      writing(
        policy.metadata.name,
        withBucket((bucket) => bucket.create(policy.metadata.name, bytesOf(policy))),
        new PolicyExists({ name: policy.metadata.name })
      ).pipe(Effect.map((revision) => withVersion(policy, revision))),
    update: (policy) =>
      writing(
        policy.metadata.name,
        withBucket((bucket) =>
          bucket.update(policy.metadata.name, bytesOf(policy), Number(policy.metadata.resourceVersion ?? 0))
        ),
        new PolicyChanged({ name: policy.metadata.name })
      ).pipe(Effect.map((revision) => withVersion(policy, revision))),
    delete: (name, resourceVersion) =>
      writing(
        name,
        withBucket((bucket) => bucket.delete(name, Number(resourceVersion))),
        new PolicyChanged({ name })
      ),
    known: isKnown,
    after,
    updates
  })
})

const sorted = (policies: ReadonlyArray<ActivityPolicy>): ReadonlyArray<ActivityPolicy> =>
  policies.toSorted((one, other) => (one.metadata.name < other.metadata.name ? -1 : 1))

const withVersion = (policy: ActivityPolicy, revision: number): ActivityPolicy => ({
  ...policy,
  metadata: { ...policy.metadata, resourceVersion: String(revision) }
})

/** The revision is the resourceVersion: it is not stored beside itself. */
const bytesOf = ({ metadata: { resourceVersion: _, ...metadata }, ...policy }: ActivityPolicy): Uint8Array =>
  encoder.encode(JSON.stringify({ ...policy, metadata }))

/** Undefined: somebody wrote something else into the bucket. */
const policyFrom = (entry: BucketEntry): ActivityPolicy | undefined => {
  try {
    const parsed: unknown = JSON.parse(decoder.decode(entry.value))
    if (typeof parsed !== "object" || parsed === null || !("metadata" in parsed) || !("spec" in parsed))
      return undefined
    // Only this module writes here, and it writes policies.
    return withVersion(parsed as ActivityPolicy, entry.revision)
  } catch {
    return undefined
  }
}
