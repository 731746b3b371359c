/**
 * What a NATS server holds, read and left as it is: for a diagnosis.
 *
 * Unlike `Nats`, which makes what is missing, nothing here writes.
 */
import { AckPolicy, DiscardPolicy, type JetStreamManager, StorageType } from "@nats-io/jetstream"
import { millis } from "@nats-io/transport-node"
import { Effect, type Scope } from "effect"
import { Connection, type ConnectionOptions } from "./Connection.ts"
import type { BucketEntry, NatsError } from "./Nats.ts"
import { apiCodes, refusalCode } from "./sortFailure.ts"

export interface ConsumerSeen {
  readonly name: string
  /** Each message is acknowledged by itself. */
  readonly acknowledgesEach: boolean
  /** It sees only some of the stream's subjects. */
  readonly filtered: boolean
  /** Messages that it has not been given yet. */
  readonly waiting: number
  /** Somebody asks for messages, or holds some. */
  readonly attended: boolean
}

export interface StreamSeen {
  readonly name: string
  readonly subjects: ReadonlyArray<string>
  /** `limits`, `interest` or `workqueue`. */
  readonly retention: string
  readonly onDisk: boolean
  /** A full one refuses what is new; else it throws away its oldest. */
  readonly refusesNew: boolean
  /** 0: nothing goes by age. */
  readonly ageMillisMax: number
  /** 0: nothing goes by number. */
  readonly messagesMax: number
  /** 0: without a limit. */
  readonly sizeBytesMax: number
  readonly sizeBytes: number
  readonly messages: number
  readonly consumers: ReadonlyArray<ConsumerSeen>
}

export interface BusSeen {
  /** The largest message that the server takes. */
  readonly messageSizeBytesMax: number
  /** @fails NatsError NatsUnavailable where the server, or the account, has no JetStream */
  readonly streams: Effect.Effect<ReadonlyArray<StreamSeen>, NatsError>
  /** The newest entry of each key; none when there is no such bucket. */
  readonly bucketEntries: (name: string) => Effect.Effect<ReadonlyArray<BucketEntry>, NatsError>
}

/** @fails NatsError NatsUnavailable when nobody answers, or lets us in, within 5 seconds */
export const lookAtBus = (options: ConnectionOptions): Effect.Effect<BusSeen, NatsError, Scope.Scope> =>
  Effect.gen(function* () {
    const connection = yield* Effect.acquireRelease(
      Effect.sync(() => new Connection(options)),
      (opened) => opened.close
    )
    yield* Effect.forkScoped(connection.run)
    yield* connection.whenConnected("connect")
    return {
      messageSizeBytesMax: connection.sizeBytesMax(),
      streams: connection.request("streams.list", "", streamsOf),
      bucketEntries: (name) => connection.request("bucket.list", `KV_${name}`, (manager) => entriesOf(manager, name))
    }
  })

const streamsOf = async (manager: JetStreamManager): Promise<ReadonlyArray<StreamSeen>> => {
  const seen: Array<StreamSeen> = []
  for await (const { config, state } of manager.streams.list()) {
    const consumers: Array<ConsumerSeen> = []
    for await (const consumer of manager.consumers.list(config.name)) {
      consumers.push({
        name: consumer.name,
        acknowledgesEach: consumer.config.ack_policy === AckPolicy.Explicit,
        filtered: (consumer.config.filter_subject ?? "") !== "" || (consumer.config.filter_subjects ?? []).length > 0,
        waiting: consumer.num_pending,
        attended: consumer.num_waiting > 0 || consumer.num_ack_pending > 0
      })
    }
    seen.push({
      name: config.name,
      subjects: config.subjects,
      retention: config.retention,
      onDisk: config.storage === StorageType.File,
      refusesNew: config.discard === DiscardPolicy.New,
      ageMillisMax: millis(config.max_age),
      messagesMax: limitOf(config.max_msgs, config.max_msgs_per_subject),
      sizeBytesMax: Math.max(0, config.max_bytes),
      sizeBytes: state.bytes,
      messages: state.messages,
      consumers
    })
  }
  return seen
}

/** -1 and 0 are the server's words for none. */
const limitOf = (...limits: ReadonlyArray<number>): number => {
  const set = limits.filter((limit) => limit > 0)
  return set.length === 0 ? 0 : Math.min(...set)
}

/** Message by message: a bucket of ours has some thousands at most. */
const entriesOf = async (manager: JetStreamManager, name: string): Promise<ReadonlyArray<BucketEntry>> => {
  const prefix = `$KV.${name}.`
  const entries = new Map<string, BucketEntry>()
  // Nobody answers for a stream that is not there.
  const stream = await manager.streams.info(`KV_${name}`).catch((cause: unknown) => {
    if (refusalCode(cause) === apiCodes.streamNotFound) return undefined
    throw cause
  })
  if (stream === undefined) return []
  for (let sequence = 1; ;) {
    const found = await manager.direct
      .getMessage(`KV_${name}`, { seq: sequence, next_by_subj: `${prefix}>` })
      .catch((cause: unknown) => {
        if (refusalCode(cause) === apiCodes.messageNotFound) return null
        throw cause
      })
    if (found === null) return [...entries.values()]
    const key = found.subject.slice(prefix.length)
    const operation = found.header?.get("KV-Operation") ?? ""
    entries.set(key, { key, value: found.data, revision: found.seq, deleted: operation !== "" })
    sequence = found.seq + 1
  }
}
