/** What is known of all policies, or ReindexJobs, and the changes that a watch may still ask for: what all drivers answer from. */
import { Deferred, Effect, Option, Stream } from "effect"
import type { ActivityPolicy } from "../domain/ActivityPolicy.ts"
import {
  type KeptObject,
  type PolicyBatch,
  type PolicyEvent,
  type PolicyList,
  PolicyStoreError,
  PolicyStoreUnavailable,
  type PolicyUpdate,
  PolicyVersionExpired
} from "./PolicyStore.ts"

/** Changes held for watches; a watch further behind lists again. */
const heldEventsMax = 4_096

export class PolicyHistory<A extends KeptObject = ActivityPolicy> {
  #known = new Map<string, A>()
  #events: Array<PolicyEvent<A>> = []
  /** Changes up to it are not held. Undefined until the first list. */
  #forgotten: number | undefined
  #position = 0
  #epoch = 0
  /** How often resourceVersions went back: what was asked for before means nothing any more. */
  #setbacks = 0
  #changed = Deferred.makeUnsafe<void>()

  get position(): number {
    return this.#position
  }

  /** At least one list has arrived. */
  get listed(): boolean {
    return this.#forgotten !== undefined
  }

  get policies(): ReadonlyArray<A> {
    return sorted([...this.#known.values()])
  }

  get(name: string): A | undefined {
    return this.#known.get(name)
  }

  /** Everything at once: readers that are behind it list again. */
  replace(policies: ReadonlyArray<A>, resourceVersion: number): void {
    if (resourceVersion < this.#position) this.#setbacks++
    this.#known = new Map(policies.map((policy) => [policy.metadata.name, policy] as const))
    this.#events = []
    this.#position = resourceVersion
    this.#forgotten = resourceVersion
    this.#epoch++
    this.#notify()
  }

  /**
   * A whole list after changes were missed: what differs is told as changes, so that watches go on. Of several changes to
   * one policy only the last is known.
   */
  catchUp(policies: ReadonlyArray<A>, resourceVersion: number): void {
    if (!this.listed || resourceVersion < this.#position) return this.replace(policies, resourceVersion)
    const versionOf = ({ metadata }: A) => Number(metadata.resourceVersion)
    const there = new Map(policies.map((policy) => [policy.metadata.name, policy] as const))
    const missed = policies.filter((policy) => versionOf(policy) > this.#position)
    for (const policy of missed.toSorted((one, other) => versionOf(one) - versionOf(other))) {
      this.take(policy.metadata.name, policy, versionOf(policy))
    }
    const gone = [...this.#known.keys()].filter((name) => !there.has(name))
    // All of them happened at some moment up to the list's; a watch takes them in one batch.
    for (const name of gone) this.#deleted(name, resourceVersion)
    this.advance(resourceVersion)
  }

  /** One change; what is known already changes nothing. `policy` is undefined when it was deleted. */
  take(name: string, policy: A | undefined, resourceVersion: number): void {
    if (resourceVersion <= this.#position) return
    this.#position = resourceVersion
    const known = this.#known.get(name)
    // One of another uid is another policy of that name.
    if (policy === undefined || known?.metadata.uid !== policy.metadata.uid) this.#deleted(name, resourceVersion)
    const previous = this.#known.get(name)
    if (policy !== undefined) {
      this.#known.set(name, policy)
      this.#events.push({
        type: previous === undefined ? "ADDED" : "MODIFIED",
        policy,
        ...(previous === undefined ? {} : { previous }),
        resourceVersion
      })
    }
    if (this.#events.length > heldEventsMax) {
      const gone = this.#events.splice(0, heldEventsMax / 4)
      this.#forgotten = gone.at(-1)?.resourceVersion ?? this.#forgotten
    }
    this.#notify()
  }

  #deleted(name: string, resourceVersion: number): void {
    const previous = this.#known.get(name)
    if (previous === undefined) return
    this.#known.delete(name)
    this.#events.push({ type: "DELETED", policy: withVersion(previous, resourceVersion), previous, resourceVersion })
  }

  /** Nothing has changed up to there. */
  advance(resourceVersion: number): void {
    if (resourceVersion <= this.#position) return
    this.#position = resourceVersion
    this.#notify()
  }

  /** @fails PolicyStoreError PolicyStoreUnavailable before the first list */
  readonly list: Effect.Effect<PolicyList<A>, PolicyStoreError> = Effect.suspend(() =>
    this.listed
      ? Effect.succeed({ policies: this.policies, resourceVersion: this.#position })
      : Effect.fail(unavailable(new Error("the policies were never read")))
  )

  /** @fails PolicyStoreError PolicyVersionExpired */
  known(from: number): Effect.Effect<void, PolicyStoreError> {
    return Effect.suspend(() =>
      this.#forgotten !== undefined && from < this.#forgotten
        ? Effect.fail(expired(from, this.#forgotten))
        : Effect.void
    )
  }

  /** Waits. @fails PolicyStoreError PolicyVersionExpired */
  after(from: number): Effect.Effect<PolicyBatch<A>, PolicyStoreError> {
    return Effect.suspend(() => this.#after(from, this.#setbacks))
  }

  #after(from: number, setbacks: number): Effect.Effect<PolicyBatch<A>, PolicyStoreError> {
    return Effect.suspend(() => {
      if (setbacks !== this.#setbacks) return Effect.fail(expired(from, this.#position))
      return Effect.andThen(
        this.known(from),
        Effect.suspend(() =>
          this.#forgotten !== undefined && from < this.#position
            ? Effect.succeed({
                events: this.#events.filter((event) => event.resourceVersion > from),
                position: this.#position
              })
            : Effect.andThen(Deferred.await(this.#changed), this.#after(from, setbacks))
        )
      )
    })
  }

  /** Never fails and never ends. */
  readonly updates: Stream.Stream<PolicyUpdate<A>> = Stream.unfold({ epoch: -1, position: 0 }, (seen) =>
    Effect.gen({ self: this }, function* () {
      yield* this.#listed
      const relisted = (): readonly [ReadonlyArray<PolicyUpdate<A>>, typeof seen] => [
        [{ _tag: "Listed", policies: this.policies }],
        { epoch: this.#epoch, position: this.#position }
      ]
      if (seen.epoch !== this.#epoch) return relisted()
      const batch = yield* this.after(seen.position).pipe(Effect.option)
      if (Option.isNone(batch) || seen.epoch !== this.#epoch) return relisted()
      return [
        batch.value.events.map((event): PolicyUpdate<A> => ({
          _tag: "Changed",
          name: event.policy.metadata.name,
          policy: event.type === "DELETED" ? undefined : event.policy
        })),
        { epoch: this.#epoch, position: batch.value.position }
      ] as const
    })
  ).pipe(Stream.flattenIterable)

  readonly #listed: Effect.Effect<void> = Effect.suspend(() =>
    this.listed ? Effect.void : Effect.andThen(Deferred.await(this.#changed), this.#listed)
  )

  #notify(): void {
    const waiting = this.#changed
    this.#changed = Deferred.makeUnsafe<void>()
    Deferred.doneUnsafe(waiting, Effect.void)
  }
}

export const unavailable = (cause: unknown): PolicyStoreError =>
  new PolicyStoreError({ reason: new PolicyStoreUnavailable({ cause }) })

const expired = (resourceVersion: number, oldest: number): PolicyStoreError =>
  new PolicyStoreError({ reason: new PolicyVersionExpired({ resourceVersion, oldest }) })

export const sorted = <A extends KeptObject>(policies: ReadonlyArray<A>): ReadonlyArray<A> =>
  policies.toSorted((one, other) => (one.metadata.name < other.metadata.name ? -1 : 1))

export const withVersion = <A extends KeptObject>(policy: A, resourceVersion: number): A => ({
  ...policy,
  metadata: { ...policy.metadata, resourceVersion: String(resourceVersion) }
})
