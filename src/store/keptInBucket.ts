/**
 * Objects of one kind in a NATS KV bucket: its revisions are resourceVersions.
 *
 * Writes fail while NATS is away.
 */
import { Cause, Clock, Effect, Option, Schedule, Stream } from "effect"
import { type Bucket, type BucketEntry, Nats, type NatsError } from "../clients/nats/Nats.ts"
import { secondsTimestampText } from "../domain/instant.ts"
import type { KeptObject } from "../domain/KeptObject.ts"
import { KeptHistory, sorted, unavailable, withVersion } from "./KeptHistory.ts"
import {
  type KeptObjects,
  KeptObjectsError,
  KeptObjectsFull,
  type KeptUpkeep,
  ObjectChanged,
  ObjectExists,
  ObjectMissing,
  ObjectPageExpired,
  ObjectVersionAhead
} from "./KeptObjects.ts"

/** Writes each object as it is given: who may write what was decided before. */
export interface KeptBucket<A> {
  /** The object with its resourceVersion. The caller has filled in uid, generation and time. */
  readonly create: (object: A) => Effect.Effect<A, KeptObjectsError>
  /** Only while the stored one has the resourceVersion of `object`. */
  readonly update: (object: A) => Effect.Effect<A, KeptObjectsError>
  /** Only while the stored one has that resourceVersion. Returns the deletion's own. */
  readonly delete: (name: string, resourceVersion: string) => Effect.Effect<number, KeptObjectsError>
}

/** Reserved when it is made: some thousand objects, and little of a small disk. */
const sizeBytesMax = 16 * 1024 * 1024

/** A full bucket takes no deletion either: the rest is for changes and deletions of what there is. */
const createdBytesMax = (sizeBytesMax / 8) * 7

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/**
 * @param bucketName holds objects of this kind only, by their names
 * @param versionsKept how many of an object's last versions take room in it
 */
export const keptInBucket = Effect.fnUntraced(function* <A extends KeptObject>(
  bucketName: string,
  versionsKept: number
) {
  const nats = yield* Nats
  const bucketOptions = { history: versionsKept, sizeBytesMax }
  const history = new KeptHistory<A>()
  let opened: Bucket | undefined

  // A bucket may be gone with the server's data: after a failure it is opened, and made, again.
  const withBucket = <B>(use: (bucket: Bucket) => Effect.Effect<B, NatsError>): Effect.Effect<B, NatsError> =>
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

  /**
   * A bucket without any revision was made anew: the server has lost its data. What is known here goes
   * back, so that no record passes without policies; another process may be faster.
   */
  const putBack = (bucket: Bucket, first: number) =>
    Effect.gen(function* () {
      const { revision } = yield* bucket.list
      const { objects } = history
      if (revision >= first || objects.length === 0) return
      yield* Effect.logWarning("what was kept is gone; what is known of it is put back", {
        bucket: bucketName,
        objects: objects.length
      })
      yield* Effect.forEach(
        objects,
        (object) =>
          bucket.create(object.metadata.name, bytesOf(object)).pipe(
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
    if (history.listed && first > history.position + 1) yield* putBack(bucket, first)
    if (!history.listed || first > history.position + 1) {
      const { entries, revision } = yield* bucket.list
      history.replace(
        entries.flatMap((entry) => objectFrom<A>(entry) ?? []),
        revision
      )
    }
    yield* bucket
      .watch(history.position)
      .pipe(
        Stream.runForEach((entry) =>
          Effect.sync(() => history.take(entry.key, entry.deleted ? undefined : objectFrom<A>(entry), entry.revision))
        )
      )
  }).pipe(
    Effect.tapError(() => Effect.sync(() => void (opened = undefined))),
    // A follower that died would leave an API that looks alive and hears nothing.
    Effect.catchCauseIf(
      (cause) => !Cause.hasInterrupts(cause),
      (cause) => Effect.logDebug("a bucket is followed again", { bucket: bucketName, cause })
    ),
    Effect.repeat(Schedule.spaced("1 second"))
  )
  yield* Effect.forkScoped(follow)

  const writing = <B>(name: string, effect: Effect.Effect<B, NatsError>, mismatch: ObjectExists | ObjectChanged) =>
    effect.pipe(
      Effect.timeout("10 seconds"),
      Effect.mapError((error) =>
        error._tag === "NatsError" && error.reason._tag === "RevisionMismatch"
          ? new KeptObjectsError({ reason: mismatch })
          : unavailable(error)
      ),
      Effect.annotateLogs({ object: name })
    )

  const list = Effect.suspend(() =>
    nats.connected()
      ? withBucket((bucket) => bucket.list).pipe(
          Effect.timeout("5 seconds"),
          Effect.map(({ entries, revision }) => ({
            objects: sorted(entries.flatMap((entry) => objectFrom<A>(entry) ?? [])),
            resourceVersion: revision
          })),
          Effect.catch(() => history.list)
        )
      : history.list
  )

  const fromHistory = (name: string) => Effect.map(history.list, () => history.get(name))
  const get = (name: string): Effect.Effect<A, KeptObjectsError> =>
    (nats.connected()
      ? withBucket((bucket) => bucket.get(name)).pipe(
          Effect.timeout("5 seconds"),
          Effect.map((entry) => (Option.isNone(entry) ? undefined : objectFrom<A>(entry.value))),
          Effect.catch(() => fromHistory(name))
        )
      : fromHistory(name)
    ).pipe(
      Effect.flatMap((object) =>
        object === undefined
          ? Effect.fail(new KeptObjectsError({ reason: new ObjectMissing({ name }) }))
          : Effect.succeed(object)
      )
    )

  const store: KeptObjects<A> = {
    get,
    list,
    // There are hundreds at most: a list is never cut, as the API allows.
    page: (_, from) =>
      from === ""
        ? Effect.map(list, (all) => ({ ...all, continue: "", remaining: undefined }))
        : Effect.fail(new KeptObjectsError({ reason: new ObjectPageExpired() })),
    known: (from) =>
      Effect.gen(function* () {
        yield* history.known(from)
        if (from <= history.position) return
        const newest = (yield* list).resourceVersion
        if (from > newest) {
          return yield* new KeptObjectsError({ reason: new ObjectVersionAhead({ resourceVersion: from, newest }) })
        }
      }),
    after: (from) => history.after(from),
    updates: history.updates,
    absence: () => undefined
  }
  const refuseFull = withBucket((opening) => opening.sizeBytes).pipe(
    Effect.timeout("10 seconds"),
    Effect.mapError(unavailable),
    Effect.flatMap((sizeBytes) =>
      sizeBytes < createdBytesMax
        ? Effect.void
        : Effect.fail(new KeptObjectsError({ reason: new KeptObjectsFull({ sizeBytes }) }))
    )
  )
  const bucket: KeptBucket<A> = {
    create: (object) =>
      Effect.andThen(
        refuseFull,
        writing(
          object.metadata.name,
          withBucket((opening) => opening.create(object.metadata.name, bytesOf(object))),
          new ObjectExists({ name: object.metadata.name })
        )
      ).pipe(Effect.map((revision) => withVersion(object, revision))),
    update: (object) =>
      writing(
        object.metadata.name,
        withBucket((opening) =>
          opening.update(object.metadata.name, bytesOf(object), Number(object.metadata.resourceVersion ?? 0))
        ),
        new ObjectChanged({ name: object.metadata.name })
      ).pipe(Effect.map((revision) => withVersion(object, revision))),
    delete: (name, resourceVersion) =>
      writing(
        name,
        withBucket((opening) => opening.delete(name, Number(resourceVersion))),
        new ObjectChanged({ name })
      )
  }
  const upkeep: KeptUpkeep<A> = {
    // What it was made from has that revision, so nothing but the status differs.
    writeStatus: bucket.update,
    delete: (object) =>
      Effect.gen(function* () {
        const { deletionTimestamp, finalizers = [], name, resourceVersion = "0" } = object.metadata
        if (finalizers.length === 0) return yield* Effect.asVoid(bucket.delete(name, resourceVersion))
        if (deletionTimestamp !== undefined) return
        const now = secondsTimestampText(BigInt(yield* Clock.currentTimeMillis) * 1000n)
        yield* bucket.update({ ...object, metadata: { ...object.metadata, deletionTimestamp: now } })
      })
  }
  return { store, bucket, upkeep }
})

/** The revision is the resourceVersion: it is not stored beside itself. */
const bytesOf = ({ metadata: { resourceVersion: _, ...metadata }, ...object }: KeptObject): Uint8Array =>
  encoder.encode(JSON.stringify({ ...object, metadata }))

/** Undefined: somebody wrote something else into the bucket. */
export const objectFrom = <A extends KeptObject>(entry: BucketEntry): A | undefined => {
  try {
    const parsed: unknown = JSON.parse(decoder.decode(entry.value))
    if (typeof parsed !== "object" || parsed === null || !("metadata" in parsed) || !("spec" in parsed))
      return undefined
    // Only this module writes here, and it writes objects of the bucket's kind.
    return withVersion(parsed as unknown as A, entry.revision)
  } catch {
    return undefined
  }
}
