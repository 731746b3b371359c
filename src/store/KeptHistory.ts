/** What is known of all objects of a kind, and the changes that a watch may still ask for: what all drivers answer from. */
import { Deferred, Effect, Option, Stream } from "effect"
import type { KeptObject } from "../domain/KeptObject.ts"
import {
  type KeptBatch,
  type KeptEvent,
  type KeptList,
  KeptObjectsError,
  KeptObjectsUnavailable,
  type KeptUpdate,
  ObjectVersionExpired
} from "./KeptObjects.ts"

/** Changes held for watches; a watch further behind lists again. */
const heldEventsMax = 4_096

export class KeptHistory<A extends KeptObject> {
  #known = new Map<string, A>()
  #events: Array<KeptEvent<A>> = []
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

  get objects(): ReadonlyArray<A> {
    return sorted([...this.#known.values()])
  }

  get(name: string): A | undefined {
    return this.#known.get(name)
  }

  /** Everything at once: readers that are behind it list again. */
  replace(objects: ReadonlyArray<A>, resourceVersion: number): void {
    if (resourceVersion < this.#position) this.#setbacks++
    this.#known = new Map(objects.map((object) => [object.metadata.name, object] as const))
    this.#events = []
    this.#position = resourceVersion
    this.#forgotten = resourceVersion
    this.#epoch++
    this.#notify()
  }

  /**
   * A whole list after changes were missed: what differs is told as changes, so that watches go on. Of several changes to
   * one object only the last is known.
   */
  catchUp(objects: ReadonlyArray<A>, resourceVersion: number): void {
    if (!this.listed || resourceVersion < this.#position) return this.replace(objects, resourceVersion)
    const versionOf = ({ metadata }: A) => Number(metadata.resourceVersion)
    const there = new Map(objects.map((object) => [object.metadata.name, object] as const))
    const missed = objects.filter((object) => versionOf(object) > this.#position)
    for (const object of missed.toSorted((one, other) => versionOf(one) - versionOf(other))) {
      this.take(object.metadata.name, object, versionOf(object))
    }
    const gone = [...this.#known.keys()].filter((name) => !there.has(name))
    // All of them happened at some moment up to the list's; a watch takes them in one batch.
    for (const name of gone) this.#deleted(name, resourceVersion)
    this.advance(resourceVersion)
  }

  /** One change; what is known already changes nothing. `object` is undefined when it was deleted. */
  take(name: string, object: A | undefined, resourceVersion: number): void {
    if (resourceVersion <= this.#position) return
    this.#position = resourceVersion
    const known = this.#known.get(name)
    // One of another uid is another object of that name.
    if (object === undefined || known?.metadata.uid !== object.metadata.uid) this.#deleted(name, resourceVersion)
    const previous = this.#known.get(name)
    if (object !== undefined) {
      this.#known.set(name, object)
      this.#events.push({
        type: previous === undefined ? "ADDED" : "MODIFIED",
        object,
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
    this.#events.push({ type: "DELETED", object: withVersion(previous, resourceVersion), previous, resourceVersion })
  }

  /** Nothing has changed up to there. */
  advance(resourceVersion: number): void {
    if (resourceVersion <= this.#position) return
    this.#position = resourceVersion
    this.#notify()
  }

  /** @fails KeptObjectsError KeptObjectsUnavailable before the first list */
  readonly list: Effect.Effect<KeptList<A>, KeptObjectsError> = Effect.suspend(() =>
    this.listed
      ? Effect.succeed({ objects: this.objects, resourceVersion: this.#position })
      : Effect.fail(unavailable(new Error("they were never read")))
  )

  /** @fails KeptObjectsError ObjectVersionExpired */
  known(from: number): Effect.Effect<void, KeptObjectsError> {
    return Effect.suspend(() =>
      this.#forgotten !== undefined && from < this.#forgotten
        ? Effect.fail(expired(from, this.#forgotten))
        : Effect.void
    )
  }

  /** Waits. @fails KeptObjectsError ObjectVersionExpired */
  after(from: number): Effect.Effect<KeptBatch<A>, KeptObjectsError> {
    return Effect.suspend(() => this.#after(from, this.#setbacks))
  }

  #after(from: number, setbacks: number): Effect.Effect<KeptBatch<A>, KeptObjectsError> {
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
  readonly updates: Stream.Stream<KeptUpdate<A>> = Stream.unfold({ epoch: -1, position: 0 }, (seen) =>
    Effect.gen({ self: this }, function* () {
      yield* this.#listed
      const relisted = (): readonly [ReadonlyArray<KeptUpdate<A>>, typeof seen] => [
        [{ _tag: "Listed", objects: this.objects }],
        { epoch: this.#epoch, position: this.#position }
      ]
      if (seen.epoch !== this.#epoch) return relisted()
      const batch = yield* this.after(seen.position).pipe(Effect.option)
      if (Option.isNone(batch) || seen.epoch !== this.#epoch) return relisted()
      return [
        batch.value.events.map((event): KeptUpdate<A> => ({
          _tag: "Changed",
          name: event.object.metadata.name,
          object: event.type === "DELETED" ? undefined : event.object
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

export const unavailable = (cause: unknown): KeptObjectsError =>
  new KeptObjectsError({ reason: new KeptObjectsUnavailable({ cause }) })

const expired = (resourceVersion: number, oldest: number): KeptObjectsError =>
  new KeptObjectsError({ reason: new ObjectVersionExpired({ resourceVersion, oldest }) })

export const sorted = <A extends KeptObject>(objects: ReadonlyArray<A>): ReadonlyArray<A> =>
  objects.toSorted((one, other) => (one.metadata.name < other.metadata.name ? -1 : 1))

export const withVersion = <A extends KeptObject>(object: A, resourceVersion: number): A => ({
  ...object,
  metadata: { ...object.metadata, resourceVersion: String(resourceVersion) }
})
