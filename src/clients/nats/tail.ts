/**
 * Reading a stream in order without acknowledging: an ephemeral consumer that is made again, behind the last message
 * seen, whenever it is lost or skips one.
 */
import { AckPolicy, DeliverPolicy, ReplayPolicy, type ConsumerConfig } from "@nats-io/jetstream"
import { nanos } from "@nats-io/transport-node"
import { Effect, Schedule, type Scope, Stream } from "effect"
import type { Connection } from "./Connection.ts"
import { Delivered } from "./Delivered.ts"
import type { NatsError, StoredMessage, TailOptions } from "./Nats.ts"
import { PullSession } from "./PullSession.ts"
import { refused } from "./sortFailure.ts"

/** The server forgets the consumer of a reader that is gone. */
const inactiveMillis = 60_000
const bufferMin = 512
const bufferMax = 1_024

/** A message, and how many the server has left behind it. */
export interface TailedMessage {
  readonly message: Delivered
  readonly pending: number
  /** Rises each time reading started anew. */
  readonly epoch: number
}

export const ephemeralConfig = (start: Partial<ConsumerConfig>): Partial<ConsumerConfig> => ({
  ack_policy: AckPolicy.None,
  replay_policy: ReplayPolicy.Instant,
  inactive_threshold: nanos(inactiveMillis),
  mem_storage: true,
  num_replicas: 1,
  ...start
})

/** A session on an ephemeral consumer; `start` says where each opening begins. */
export const openEphemeral = (
  connection: Connection,
  now: () => number,
  stream: string,
  start: () => Promise<Partial<ConsumerConfig>>,
  seen: (sequence: number) => void
): Effect.Effect<PullSession<TailedMessage>, never, Scope.Scope> =>
  Effect.gen(function* () {
    let name = ""
    let epoch = 0
    let consumerSequence = 0
    const forget = () => {
      const old = name
      if (old !== "") void connection.requestNow((manager) => manager.consumers.delete(stream, old)).catch(() => false)
    }
    const session = yield* Effect.acquireRelease(
      Effect.sync(
        () =>
          new PullSession<TailedMessage>(connection, now, {
            stream,
            bufferMin,
            bufferMax,
            sizeBytes: (item) => item.message.bodyBytes,
            open: async () => {
              forget()
              const config = await start()
              const created = await connection.requestNow((manager) =>
                manager.consumers.add(stream, ephemeralConfig(config))
              )
              name = created.name
              consumerSequence = 0
              epoch++
              return name
            },
            accept: (message, position) => {
              // The one before was still sending.
              if (message.reply?.includes(`.${name}.`) !== true) return undefined
              if (position.consumerSequence !== ++consumerSequence) return "gap"
              seen(position.sequence)
              return { message: new Delivered(stream, message, position), pending: position.pending, epoch }
            }
          })
      ),
      (opened) =>
        Effect.sync(() => {
          opened.close()
          forget()
        })
    )
    yield* Effect.sync(() => session.tick()).pipe(Effect.repeat(Schedule.spaced("500 millis")), Effect.forkScoped)
    return session
  })

/** @see Nats.tail */
export const tail = (
  connection: Connection,
  now: () => number,
  options: TailOptions
): Stream.Stream<StoredMessage, NatsError> =>
  Stream.unwrap(
    Effect.gen(function* () {
      let next = Math.max(1, options.from)
      const session = yield* openEphemeral(
        connection,
        now,
        options.stream,
        async () => {
          if (options.strict === true) {
            const { state } = await connection.requestNow((manager) => manager.streams.info(options.stream))
            if (state.first_seq > next) {
              throw refused("tail", 410, `${options.stream} begins at ${state.first_seq}, beyond ${next}`)
            }
          }
          return {
            deliver_policy: DeliverPolicy.StartSequence,
            opt_start_seq: next,
            ...(options.headersOnly === true ? { headers_only: true } : {}),
            ...(options.subjects === undefined ? {} : { filter_subjects: [...options.subjects] })
          }
        },
        (sequence) => void (next = sequence + 1)
      )
      return Stream.fromEffectRepeat(session.take(bufferMin, 0)).pipe(
        Stream.flattenIterable,
        Stream.map((item) => item.message)
      )
    })
  )
