/**
 * How far each durable consumer has come, kept outside of it: one entry per durable in a bucket, only ever raised.
 *
 * JetStream's own floor jumps over what was purged without a word, and goes with the consumer when it is deleted. A
 * stream that begins beyond entry + 1 has lost messages that nobody acknowledged.
 */
import { Effect, Option } from "effect"
import type { Connection } from "./Connection.ts"
import type { Bucket, LostPosition, NatsError } from "./Nats.ts"
import { apiCodes, refusalCode } from "./sortFailure.ts"

export const floorsBucket = { name: "activity_floors", history: 1, sizeBytesMax: 1024 * 1024 } as const
/** Lost positions that are remembered for whoever asks. */
const lostPositionsMax = 1_000

/** What one look at a stream and its consumers saw. Undefined floors are consumers that are missing. */
export interface FloorsSeen {
  readonly firstSequence: number
  readonly lastSequence: number
  readonly messages: number
  readonly sizeBytes: number
  readonly sizeBytesMax: number
  readonly firstTime: string
  readonly floors: ReadonlyMap<string, number | undefined>
}

interface Entry {
  floor: number
  revision: number
}

export interface AckFloors {
  /** Looks at the stream and its durables, and raises their entries. */
  readonly sample: (stream: string, durables: ReadonlyArray<string>) => Effect.Effect<FloorsSeen, NatsError>
  /** The entry; undefined when there is none. */
  readonly known: (stream: string, durable: string) => Effect.Effect<number | undefined, NatsError>
  readonly lostPositions: () => ReadonlyArray<LostPosition>
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export const makeAckFloors = (connection: Connection, openBucket: Effect.Effect<Bucket, NatsError>): AckFloors => {
  const entries = new Map<string, Entry>()
  const lost: Array<LostPosition> = []
  let opened: Bucket | undefined

  const bucket = Effect.suspend(() =>
    opened !== undefined
      ? Effect.succeed(opened)
      : Effect.tap(openBucket, (found) => Effect.sync(() => void (opened = found)))
  )
  // A bucket that does not answer may be gone with the server's data: the next use makes it again.
  const withBucket = <A>(use: (found: Bucket) => Effect.Effect<A, NatsError>) =>
    bucket.pipe(
      Effect.flatMap(use),
      Effect.tapError((error) =>
        Effect.sync(() => {
          if (error.reason._tag === "NatsUnavailable") opened = undefined
        })
      )
    )

  const read = (key: string): Effect.Effect<Entry | undefined, NatsError> =>
    withBucket((found) => found.get(key)).pipe(
      Effect.map((found) => {
        if (Option.isNone(found)) {
          entries.delete(key)
          return undefined
        }
        const entry = { floor: Number(decoder.decode(found.value.value)), revision: found.value.revision }
        entries.set(key, entry)
        return entry
      })
    )

  const write = (key: string, floor: number, entry: Entry | undefined) =>
    withBucket((found) => {
      const value = encoder.encode(String(floor))
      return entry === undefined ? found.create(key, value) : found.update(key, value, entry.revision)
    }).pipe(
      Effect.map((revision) => {
        entries.set(key, { floor, revision })
        return true
      }),
      // Another replica was faster; what it wrote is as true.
      Effect.catchIf(
        (error) => error.reason._tag === "RevisionMismatch",
        () => Effect.as(read(key), false)
      )
    )

  const raise = (stream: string, durable: string, floor: number, first: number) =>
    Effect.gen(function* () {
      const key = `${stream}.${durable}`
      let entry = entries.get(key) ?? (yield* read(key))
      // Another replica may have raised it, and trimmed, since it was read.
      if (entry !== undefined && first > entry.floor + 1) entry = yield* read(key)
      const value = Math.max(floor, first - 1)
      if (entry !== undefined && value <= entry.floor) return entry.floor
      const written = yield* write(key, value, entry)
      if (written && entry !== undefined && first > entry.floor + 1) {
        const position: LostPosition = { stream, durable, from: entry.floor + 1, to: first - 1 }
        if (lost.push(position) > lostPositionsMax) lost.shift()
        yield* Effect.logError("messages were removed before they were acknowledged").pipe(
          Effect.annotateLogs({ ...position })
        )
      }
      return entries.get(key)?.floor ?? entry?.floor ?? first - 1
    })

  return {
    sample: (stream, durables) =>
      Effect.gen(function* () {
        // The consumers first: what was purged before their floors were read shows in the stream's first sequence after.
        const acknowledged = yield* Effect.forEach(durables, (durable) => consumerFloor(connection, stream, durable), {
          concurrency: "unbounded"
        })
        const info = yield* connection.request("streams.info", stream, (manager) => manager.streams.info(stream))
        const first = info.state.first_seq
        const floors = new Map<string, number | undefined>()
        for (const [index, durable] of durables.entries()) {
          const floor = acknowledged[index]
          floors.set(durable, floor === undefined ? undefined : yield* raise(stream, durable, floor, first))
        }
        return {
          firstSequence: first,
          lastSequence: info.state.last_seq,
          messages: info.state.messages,
          sizeBytes: info.state.bytes,
          sizeBytesMax: info.config.max_bytes,
          firstTime: info.state.first_ts,
          floors
        }
      }),
    known: (stream, durable) => Effect.map(read(`${stream}.${durable}`), (entry) => entry?.floor),
    lostPositions: () => [...lost]
  }
}

/** JetStream's own floor; undefined when there is no such consumer. */
export const consumerFloor = (
  connection: Connection,
  stream: string,
  durable: string
): Effect.Effect<number | undefined, NatsError> =>
  connection.request("consumers.info", stream, (manager) =>
    manager.consumers.info(stream, durable).then(
      (info) => info.ack_floor.stream_seq,
      (cause: unknown) => {
        if (refusalCode(cause) === apiCodes.consumerNotFound) return undefined
        throw cause
      }
    )
  )
