/**
 * Key-value buckets as NATS lays them out (`KV_<name>`, `$KV.<name>.<key>`), so that its tools read them; made here
 * because revisions must start at microseconds since 1970 and never go back.
 *
 * @source https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-8.md
 */
import { DeliverPolicy, DiscardPolicy, RetentionPolicy, StorageType, type StoredMsg } from "@nats-io/jetstream"
import { nanos } from "@nats-io/transport-node"
import { Clock, Effect, Option, Stream } from "effect"
import type { Connection } from "./Connection.ts"
import { type Bucket, type BucketEntry, NatsError, RevisionMismatch, type StoredMessage } from "./Nats.ts"
import { isPublished, type PublishQueue } from "./PublishQueue.ts"
import { apiCodes, refusalCode, refused, unavailable } from "./sortFailure.ts"
import { openEphemeral, tail } from "./tail.ts"

export interface BucketOptions {
  /** Values kept per key, 1 to 64. */
  readonly history: number
  readonly sizeBytesMax: number
}

const duplicateWindowMillis = 120_000
const keyPattern = /^[-/_=A-Za-z0-9]+(\.[-/_=A-Za-z0-9]+)*$/
/** As names of Kubernetes. A subject that is much longer would cost the connection. */
const keyBytesMax = 253
/** What is not a key has no entry: it is never asked for, as `*` and `>` would find another's. */
const isKey = (key: string): boolean => key.length <= keyBytesMax && keyPattern.test(key)
const empty = new Uint8Array(0)
const isTombstone = (operation: string): boolean => operation === "DEL" || operation === "PURGE"

/** @see Nats.bucket */
export const openBucket = (
  connection: Connection,
  queue: PublishQueue,
  now: () => number,
  name: string,
  options: BucketOptions
): Effect.Effect<Bucket, NatsError> =>
  Effect.gen(function* () {
    const stream = `KV_${name}`
    const prefix = `$KV.${name}.`
    yield* ensureBucketStream(connection, stream, prefix, options)

    const entryFrom = (message: StoredMessage): BucketEntry => ({
      key: message.subject.slice(prefix.length),
      value: message.body,
      revision: message.sequence,
      deleted: isTombstone(message.header("KV-Operation"))
    })

    const last = (key: string): Effect.Effect<BucketEntry | undefined, NatsError> =>
      connection
        .request("bucket.get", stream, (manager) =>
          manager.direct.getMessage(stream, { last_by_subj: prefix + key }).catch((cause: unknown) => {
            if (refusalCode(cause) === apiCodes.messageNotFound) return null
            throw cause
          })
        )
        .pipe(Effect.map((found) => (found === null ? undefined : entryOf(found, prefix))))

    const write = (key: string, value: Uint8Array, expected: number | undefined, operation?: "PURGE") =>
      Effect.gen(function* () {
        if (!isKey(key)) return yield* refused("bucket.write", 400, `not a key: ${key.slice(0, keyBytesMax)}`)
        const [outcome] = yield* queue.publish([
          {
            subject: prefix + key,
            // An id of its own: a write whose answer was lost is not mistaken for somebody else's.
            id: "",
            body: value,
            headers: {
              ...(expected === undefined ? {} : { "Nats-Expected-Last-Subject-Sequence": String(expected) }),
              ...(operation === undefined ? {} : { "KV-Operation": operation, "Nats-Rollup": "sub" })
            }
          }
        ])
        if (outcome === undefined) return yield* unavailable("bucket.write", new Error("no answer"))
        if (isPublished(outcome)) return outcome.sequence
        return yield* refusalCode(outcome) === apiCodes.wrongLastSequence
          ? new NatsError({ reason: new RevisionMismatch({ bucket: name, key }) })
          : outcome
      })

    /** A write over what was read. What is not a key was never written, as if somebody else had removed it. */
    const overwrite = (key: string, value: Uint8Array, revision: number | undefined, operation?: "PURGE") =>
      isKey(key)
        ? write(key, value, revision, operation)
        : Effect.fail(new NatsError({ reason: new RevisionMismatch({ bucket: name, key }) }))

    const create = (key: string, value: Uint8Array) =>
      write(key, value, 0).pipe(
        Effect.catch((error) =>
          error.reason._tag !== "RevisionMismatch"
            ? Effect.fail(error)
            : last(key).pipe(
                // A deleted key may be created again, behind its tombstone.
                Effect.flatMap((found) =>
                  found?.deleted === true ? write(key, value, found.revision) : Effect.fail(error)
                )
              )
        )
      )

    const state = connection
      .request("bucket.state", stream, (manager) => manager.streams.info(stream))
      .pipe(Effect.map((info) => info.state))

    const list = Effect.scoped(
      Effect.gen(function* () {
        const before = yield* state
        if (before.messages === 0) return { entries: [], revision: before.last_seq }
        const session = yield* openEphemeral(
          connection,
          now,
          stream,
          async () => ({
            deliver_policy: DeliverPolicy.LastPerSubject,
            filter_subject: `${prefix}>`
          }),
          () => {}
        )
        let entries = new Map<string, BucketEntry>()
        let epoch = 0
        for (;;) {
          for (const item of yield* session.take(1_024, 0)) {
            if (item.epoch !== epoch) entries = new Map()
            epoch = item.epoch
            const entry = entryFrom(item.message)
            entries.set(entry.key, entry)
            // Nothing is left behind it, so everything up to it was seen or has been replaced by something seen.
            if (item.pending === 0) {
              return {
                entries: [...entries.values()].filter((found) => !found.deleted),
                revision: Math.max(before.last_seq, entry.revision)
              }
            }
          }
        }
      })
    )

    const watchFrom = (revision: number): Stream.Stream<BucketEntry, NatsError> =>
      tail(connection, now, { stream, from: revision + 1, strict: true }).pipe(Stream.map(entryFrom))

    return {
      get: (key) =>
        isKey(key)
          ? Effect.map(last(key), (found) =>
              found === undefined || found.deleted ? Option.none() : Option.some(found)
            )
          : Effect.succeedNone,
      list,
      create,
      update: (key, value, revision) => overwrite(key, value, revision),
      put: (key, value) => write(key, value, undefined),
      delete: (key, revision) => overwrite(key, empty, revision, "PURGE"),
      watch: (revision) =>
        revision !== undefined
          ? watchFrom(revision)
          : Stream.unwrap(
              Effect.map(list, (found) => Stream.concat(Stream.fromIterable(found.entries), watchFrom(found.revision)))
            ),
      firstRevision: Effect.map(state, (found) => found.first_seq),
      sizeBytes: Effect.map(state, (found) => found.bytes)
    }
  })

const entryOf = (found: StoredMsg, prefix: string): BucketEntry => ({
  key: found.subject.slice(prefix.length),
  value: found.data,
  revision: found.seq,
  deleted: isTombstone(found.header?.get("KV-Operation") ?? "")
})

const ensureBucketStream = (connection: Connection, stream: string, prefix: string, options: BucketOptions) =>
  Effect.gen(function* () {
    const limits = { max_bytes: options.sizeBytesMax, max_msgs_per_subject: options.history }
    const microseconds = (yield* Clock.currentTimeMillis) * 1_000
    yield* connection.request("bucket.open", stream, async (manager) => {
      const known = await manager.streams.info(stream).catch((cause: unknown) => {
        if (refusalCode(cause) === apiCodes.streamNotFound) return undefined
        throw cause
      })
      if (known !== undefined) {
        const { max_bytes, max_msgs_per_subject } = known.config
        if (max_bytes === limits.max_bytes && max_msgs_per_subject === limits.max_msgs_per_subject) return known
        return manager.streams.update(stream, limits)
      }
      return manager.streams
        .add({
          name: stream,
          subjects: [`${prefix}>`],
          retention: RetentionPolicy.Limits,
          storage: StorageType.File,
          discard: DiscardPolicy.New,
          max_age: 0,
          ...limits,
          duplicate_window: nanos(duplicateWindowMillis),
          allow_rollup_hdrs: true,
          deny_delete: true,
          allow_direct: true,
          first_seq: microseconds
        })
        .catch((cause: unknown) => {
          // Somebody else made it in the same moment.
          if (refusalCode(cause) === apiCodes.streamNameInUse) return manager.streams.info(stream)
          throw cause
        })
    })
  })
