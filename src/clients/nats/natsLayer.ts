/**
 * The `Nats` service on a real connection.
 *
 * The layer waits for the first connect for a moment only: a program that can work without the bus (a collector with a
 * spool) starts without it. Beside the connection it keeps the ack floors, trims what it publishes to, and makes the
 * streams again when the server has lost its data.
 */
import type { StoredMsg } from "@nats-io/jetstream"
import { Clock, DateTime, Effect, Layer, Option, Schedule } from "effect"
import type { StreamDefinition } from "../../domain/streams.ts"
import { consumerFloor, floorsBucket, makeAckFloors } from "./ackFloors.ts"
import { openBucket } from "./buckets.ts"
import { Connection, type ConnectionOptions } from "./Connection.ts"
import { openConsumer } from "./durableConsumer.ts"
import { ensureStream } from "./ensureStreams.ts"
import { Nats, NatsError, RevisionMismatch, type StoredMessage } from "./Nats.ts"
import { isPublished, PublishQueue } from "./PublishQueue.ts"
import { apiCodes, refusalCode, refused, unavailable } from "./sortFailure.ts"
import { tail } from "./tail.ts"
import { lastToRemoveForAge, lastToRemoveForSize, lowestFloor, purgeUpTo } from "./trim.ts"

export interface NatsOptions extends ConnectionOptions {
  /**
   * No other process consumes on this server. What an ended process held then comes at once, where it would otherwise
   * have to wait for the ack wait, as it may still be held.
   */
  readonly alone?: boolean
}

/** How long the layer waits for the first connect before it goes on without. */
const firstConnectWait = "10 seconds"
const sweepPause = "50 millis"
const upkeepPause = "1 second"
/** Age is looked at each minute: the halving asks some 20 questions. */
const ageLookMillis = 60_000

/** The stream refuses the message when its subject's newest one is another. */
const expectedLastHeader = "Nats-Expected-Last-Subject-Sequence"
const idHeader = "Nats-Msg-Id"

interface KnownStream {
  readonly definition: StreamDefinition
  readonly sizeScale: number
  readonly firstSequenceMin: number
  lastSequence: number
  ageLookedAt: number
}

export const natsLayer = (options: NatsOptions): Layer.Layer<Nats> => Layer.effect(Nats, makeNats(options))

const makeNats = Effect.fnUntraced(function* (options: NatsOptions) {
  const clock = yield* Clock.Clock
  const context = yield* Effect.context<never>()
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  const connection = yield* Effect.acquireRelease(
    Effect.sync(() => new Connection(options)),
    (opened) => opened.close
  )
  const known = new Map<string, KnownStream>()
  /** Durables that are sampled though nobody requires them. */
  const consumed = new Map<string, Set<string>>()
  const trimStopped = new Map<string, string>()
  const highestFloors = new Map<string, number>()
  let trimmed = 0

  const queue = new PublishQueue(connection, now, (stream) => Effect.runPromiseWith(context)(trimNow(stream)))
  const floors = makeAckFloors(connection, openBucket(connection, queue, now, floorsBucket.name, floorsBucket))

  const durablesOf = (stream: string): ReadonlyArray<string> => [
    ...new Set([...(known.get(stream)?.definition.requiredConsumers ?? []), ...(consumed.get(stream) ?? [])])
  ]

  /** @returns whether anything went */
  const trimNow = (stream: string): Effect.Effect<boolean, NatsError> =>
    Effect.gen(function* () {
      const entry = known.get(stream)
      if (entry === undefined || entry.definition.requiredConsumers.length === 0) return false
      const seen = yield* floors.sample(stream, entry.definition.requiredConsumers)
      entry.lastSequence = Math.max(entry.lastSequence, seen.lastSequence)
      const missing = [...seen.floors].find(([, floor]) => floor === undefined)
      if (missing !== undefined) {
        if (!trimStopped.has(stream)) {
          yield* Effect.logWarning("trimming stopped: a required consumer is missing").pipe(
            Effect.annotateLogs({ stream, consumer: missing[0] })
          )
        }
        trimStopped.set(stream, missing[0])
        return false
      }
      trimStopped.delete(stream)
      const floor = lowestFloor(seen)
      if (floor === undefined) return false
      let last = lastToRemoveForSize(seen, floor)
      if (now() - entry.ageLookedAt > ageLookMillis) {
        entry.ageLookedAt = now()
        last = Math.max(
          last,
          yield* lastToRemoveForAge(connection, stream, seen, floor, clock.currentTimeMillisUnsafe())
        )
      }
      if (last < seen.firstSequence) return false
      const gone = yield* purgeUpTo(connection, stream, last)
      trimmed += gone
      return gone > 0
    })

  const ensureOne = (entry: KnownStream) =>
    Effect.gen(function* () {
      const { definition } = entry
      const floorEntries = new Map<string, number | undefined>()
      for (const durable of definition.requiredConsumers) {
        floorEntries.set(durable, yield* floors.known(definition.name, durable))
      }
      const microseconds = clock.currentTimeMillisUnsafe() * 1_000
      yield* connection.request("streams.ensure", definition.name, (manager) =>
        ensureStream(
          manager,
          definition,
          {
            sizeScale: entry.sizeScale,
            firstSequence: Math.max(microseconds, entry.firstSequenceMin, entry.lastSequence + 1)
          },
          async (durable) => floorEntries.get(durable)
        )
      )
    })

  /** Once a second: floors, trimming, and streams that are gone. Failures wait for the next round. */
  const upkeep = Effect.gen(function* () {
    if (!connection.connected()) return
    for (const stream of new Set([...known.keys(), ...consumed.keys()])) {
      const entry = known.get(stream)
      const work: Effect.Effect<unknown, NatsError> =
        entry !== undefined && (queue.streams.has(stream) || consumed.has(stream))
          ? trimNow(stream)
          : floors.sample(stream, durablesOf(stream))
      yield* work.pipe(Effect.catch(() => (entry === undefined ? Effect.void : Effect.ignore(ensureOne(entry)))))
    }
  })

  yield* Effect.acquireRelease(
    Effect.sync(() => connection.register({ up: (client) => queue.up(client), down: () => queue.down() })),
    (end) =>
      Effect.sync(() => {
        end()
        queue.close()
      })
  )
  yield* Effect.forkScoped(connection.run)
  yield* Effect.sync(() => queue.sweep()).pipe(Effect.repeat(Schedule.spaced(sweepPause)), Effect.forkScoped)
  yield* upkeep.pipe(Effect.repeat(Schedule.spaced(upkeepPause)), Effect.forkScoped)
  yield* connection.whenConnected("connect").pipe(Effect.timeout(firstConnectWait), Effect.ignore)

  /** Not directly: another replica than the leader may not know the newest one yet. */
  const newestOn = (stream: string, subject: string): Effect.Effect<StoredMsg | null, NatsError> =>
    connection.request("streams.getMessage", stream, (manager) =>
      manager.streams.getMessage(stream, { last_by_subj: subject }).catch((cause: unknown) => {
        if (refusalCode(cause) === apiCodes.messageNotFound) return null
        throw cause
      })
    )

  return Nats.of({
    publishEach: queue.publish,
    publish: (messages) =>
      Effect.flatMap(queue.publish(messages), (outcomes) => {
        const failure = outcomes.find((outcome) => !isPublished(outcome))
        return failure !== undefined && !isPublished(failure)
          ? Effect.fail(failure)
          : Effect.succeed(outcomes.filter(isPublished))
      }),
    publishAfter: ({ last, message, stream }) =>
      Effect.gen(function* () {
        const headers = { ...message.headers, [expectedLastHeader]: String(last) }
        const [outcome] = yield* queue.publish([{ ...message, headers }])
        if (outcome === undefined) return yield* unavailable("publish", new Error("no answer"))
        if (isPublished(outcome)) return outcome
        if (refusalCode(outcome) !== apiCodes.wrongLastSequence) return yield* outcome
        // The server judges by it before it knows a message by its id: one that was sent again follows itself.
        const found = yield* newestOn(stream, message.subject)
        return found?.header?.get(idHeader) === message.id
          ? { stream, sequence: found.seq, duplicate: true }
          : yield* new NatsError({ reason: new RevisionMismatch({ bucket: stream, key: message.subject }) })
      }),
    lastSequenceOn: (stream, subject) => Effect.map(newestOn(stream, subject), (found) => found?.seq ?? 0),
    ensureStreams: (definitions, ensureOptions) =>
      Effect.forEach(
        definitions,
        (definition) => {
          const entry: KnownStream = {
            definition,
            sizeScale: ensureOptions?.sizeScale ?? 1,
            firstSequenceMin: ensureOptions?.firstSequenceMin ?? 0,
            lastSequence: known.get(definition.name)?.lastSequence ?? 0,
            ageLookedAt: 0
          }
          return Effect.tap(
            ensureOne(entry),
            Effect.sync(() => void known.set(definition.name, entry))
          )
        },
        { discard: true }
      ),
    consumer: (consumerOptions) =>
      Effect.gen(function* () {
        const { durable, stream } = consumerOptions
        const sampled = consumed.get(stream) ?? new Set()
        consumed.set(stream, sampled.add(durable))
        return yield* openConsumer(connection, now, { ...consumerOptions, alone: options.alone === true }, () =>
          Effect.runPromiseWith(context)(floors.known(stream, durable))
        )
      }),
    trim: (stream) => Effect.asVoid(trimNow(stream)),
    streamState: (stream) =>
      connection
        .request("streams.info", stream, (manager) => manager.streams.info(stream))
        .pipe(
          Effect.map(({ config, state }) => ({
            firstSequence: state.first_seq,
            lastSequence: state.last_seq,
            messages: state.messages,
            sizeBytes: state.bytes,
            sizeBytesMax: config.max_bytes,
            firstTimeMillis: state.messages === 0 ? 0 : DateTime.makeUnsafe(state.first_ts).epochMilliseconds,
            lastTimeMillis: state.messages === 0 ? 0 : DateTime.makeUnsafe(state.last_ts).epochMilliseconds
          }))
        ),
    ackFloor: (stream, durable) =>
      Effect.gen(function* () {
        const key = `${stream}.${durable}`
        const entry = highestFloors.get(key) ?? (yield* floors.known(stream, durable)) ?? 0
        const live = (yield* consumerFloor(connection, stream, durable)) ?? 0
        const first =
          entry > 0 || live > 0
            ? 0
            : yield* connection.request("streams.info", stream, (manager) =>
                manager.streams.info(stream).then((info) => info.state.first_seq - 1)
              )
        const floor = Math.max(entry, live, first, highestFloors.get(key) ?? 0)
        highestFloors.set(key, floor)
        return floor
      }),
    messageAt: (stream, sequence) =>
      connection
        .request("direct.get", stream, (manager) =>
          manager.direct.getMessage(stream, { seq: sequence }).catch((cause: unknown) => {
            if (refusalCode(cause) === apiCodes.messageNotFound) return null
            throw cause
          })
        )
        .pipe(Effect.map((found) => (found === null ? Option.none() : Option.some(storedFrom(stream, found))))),
    deleteMessage: (stream, sequence) =>
      connection
        .request("streams.deleteMessage", stream, (manager) => manager.streams.deleteMessage(stream, sequence, false))
        .pipe(
          Effect.catchIf(
            (error) => error.reason._tag === "NatsRefused",
            () => Effect.succeed(false)
          )
        ),
    tail: (tailOptions) => tail(connection, now, tailOptions),
    bucket: (name, bucketOptions) =>
      /^[-\w]+$/.test(name)
        ? openBucket(connection, queue, now, name, bucketOptions)
        : Effect.fail(refused("bucket.open", 400, `not a name: ${name}`)),
    connected: () => connection.connected(),
    problem: () => connection.problem(),
    messageSizeBytesMax: () => connection.sizeBytesMax(),
    state: () => ({
      connected: connection.connected(),
      connects: connection.generation,
      disconnects: connection.disconnects,
      ...queue.counts,
      trimmed,
      trimStopped: new Map(trimStopped),
      lostPositions: floors.lostPositions()
    })
  })
})

const storedFrom = (stream: string, found: StoredMsg): StoredMessage => ({
  stream,
  subject: found.subject,
  sequence: found.seq,
  timeMillis: found.time.getTime(),
  body: found.data,
  header: (name) => found.header?.get(name) ?? ""
})
