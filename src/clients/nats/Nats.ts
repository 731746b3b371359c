/**
 * NATS JetStream: publish with confirmation, pull by durable consumers, key-value buckets, streams and their trimming.
 *
 * Everything published is confirmed by the server before it is reported; a publish that is sent again with the same id
 * within the stream's duplicate window is stored once.
 */
import type { Duration, Effect, Option, Scope, Stream } from "effect"
import { Context, Schema } from "effect"
import type { StreamDefinition } from "../../domain/streams.ts"

/** No answer, no connection, or no stream behind the subject (yet). */
export class NatsUnavailable extends Schema.TaggedError<NatsUnavailable>()("NatsUnavailable", {
  operation: Schema.String,
  cause: Schema.Defect()
}) {
  readonly retryable = true

  override get message(): string {
    return `${this.operation}: ${this.cause instanceof Error ? this.cause.message : String(this.cause)}`
  }
}

/** The stream holds as much as it may, and nothing in it can go yet. */
export class StreamFull extends Schema.TaggedError<StreamFull>()("StreamFull", {
  stream: Schema.String
}) {
  readonly retryable = true

  override get message(): string {
    return `the stream ${this.stream} is full`
  }
}

/** The message is larger than the server takes. */
export class MessageTooLarge extends Schema.TaggedError<MessageTooLarge>()("MessageTooLarge", {
  subject: Schema.String,
  sizeBytes: Schema.Number,
  sizeBytesMax: Schema.Number
}) {
  readonly retryable = false

  override get message(): string {
    return `a message of ${this.sizeBytes} bytes on ${this.subject}, the server takes ${this.sizeBytesMax}`
  }
}

/** Somebody else wrote the key since it was read, or it exists already. */
export class RevisionMismatch extends Schema.TaggedError<RevisionMismatch>()("RevisionMismatch", {
  bucket: Schema.String,
  key: Schema.String
}) {
  readonly retryable = false

  override get message(): string {
    return `${this.bucket}/${this.key} was written by somebody else`
  }
}

/** The server answered, and will not do it. */
export class NatsRefused extends Schema.TaggedError<NatsRefused>()("NatsRefused", {
  operation: Schema.String,
  code: Schema.Number,
  description: Schema.String
}) {
  readonly retryable = false

  override get message(): string {
    return `${this.operation}: ${this.description} (${this.code})`
  }
}

export class NatsError extends Schema.TaggedError<NatsError>()("NatsError", {
  reason: Schema.Union([NatsUnavailable, StreamFull, MessageTooLarge, RevisionMismatch, NatsRefused])
}) {
  get retryable(): boolean {
    return this.reason.retryable
  }

  override get message(): string {
    return this.reason.message
  }
}

export interface OutgoingMessage {
  readonly subject: string
  /** `Nats-Msg-Id`. */
  readonly id: string
  readonly body: Uint8Array
  readonly headers?: Readonly<Record<string, string>>
}

export interface PublishAck {
  readonly stream: string
  readonly sequence: number
  /** The id was known: nothing was stored, `sequence` is the first one's. */
  readonly duplicate: boolean
}

export interface StoredMessage {
  readonly stream: string
  readonly subject: string
  readonly sequence: number
  readonly timeMillis: number
  readonly body: Uint8Array
  /** The header's first value, "" when it is absent. */
  readonly header: (name: string) => string
}

export interface Delivery extends StoredMessage {
  /** 1 at the first delivery. */
  readonly deliveries: number
  readonly acknowledge: () => void
  readonly working: () => void
}

export interface Consumer {
  /**
   * Waits for a message, then returns what has arrived until there are `max` or `wait` has passed.
   * May be called by several fibers at once; a message goes to one of them. Never fails for want of a connection: it
   * waits, and recreates the consumer where it was deleted (starting after the last known ack floor).
   */
  readonly take: (max: number, wait: Duration.Input) => Effect.Effect<ReadonlyArray<Delivery>, NatsError>
  /** Acknowledges all, in order, and waits for the server to confirm the last. */
  readonly acknowledge: (deliveries: ReadonlyArray<Delivery>) => Effect.Effect<void, NatsError>
  /** The server still knows the consumer and answered lately. */
  readonly healthy: () => boolean
}

export interface StreamState {
  readonly firstSequence: number
  readonly lastSequence: number
  readonly messages: number
  readonly sizeBytes: number
  readonly sizeBytesMax: number
  /** When the oldest message that is still there was stored; 0 when there is none. */
  readonly firstTimeMillis: number
  readonly lastTimeMillis: number
}

export interface BucketEntry {
  readonly key: string
  readonly value: Uint8Array
  /** Rises over all keys of the bucket, and never goes back. */
  readonly revision: number
  readonly deleted: boolean
}

export interface Bucket {
  readonly get: (key: string) => Effect.Effect<Option.Option<BucketEntry>, NatsError>
  /** Every live entry, and the bucket's revision at that moment. */
  readonly list: Effect.Effect<{ readonly entries: ReadonlyArray<BucketEntry>; readonly revision: number }, NatsError>
  readonly create: (key: string, value: Uint8Array) => Effect.Effect<number, NatsError>
  readonly update: (key: string, value: Uint8Array, revision: number) => Effect.Effect<number, NatsError>
  readonly put: (key: string, value: Uint8Array) => Effect.Effect<number, NatsError>
  /** Leaves a tombstone that watches see, and nothing of what was before it. With `revision`, only when it is still that one. Returns the new revision. */
  readonly delete: (key: string, revision?: number) => Effect.Effect<number, NatsError>
  /**
   * Changes after `revision`, in order, for ever; a broken connection is healed without a gap. Undefined: every live
   * entry first. Fails with NatsRefused code 410 when `revision` is older than what the bucket still knows.
   */
  readonly watch: (revision: number | undefined) => Stream.Stream<BucketEntry, NatsError>
  /** Sequences before this are forgotten. */
  readonly firstRevision: Effect.Effect<number, NatsError>
  /** Of all that it holds, former values and tombstones too. */
  readonly sizeBytes: Effect.Effect<number, NatsError>
}

export interface TailOptions {
  readonly stream: string
  /** The first sequence to see. */
  readonly from: number
  readonly subjects?: ReadonlyArray<string>
  readonly headersOnly?: boolean
  /** Fails with NatsRefused code 410 when messages from the next one on are gone. Else it goes on with what there is. */
  readonly strict?: boolean
}

/** Messages that were removed before `durable` had acknowledged them: sequences `from` to `to`, both included. */
export interface LostPosition {
  readonly stream: string
  readonly durable: string
  readonly from: number
  readonly to: number
}

/** What this connection has seen since it was opened; counts are messages unless they say otherwise. */
export interface NatsState {
  readonly connected: boolean
  /** Connects, the first included. */
  readonly connects: number
  readonly disconnects: number
  /** Confirmed publishes; writes to buckets are not counted. */
  readonly published: number
  /** Of the published: known to the server by their id. */
  readonly duplicates: number
  /** Sends beyond the first. */
  readonly resent: number
  readonly failed: number
  readonly trimmed: number
  /** Streams that are not trimmed, each with the required consumer that is missing. */
  readonly trimStopped: ReadonlyMap<string, string>
  /** The newest thousand that this process was the first to notice. */
  readonly lostPositions: ReadonlyArray<LostPosition>
}

export class Nats extends Context.Service<
  Nats,
  {
    /**
     * Publishes all and waits until each is stored, or has failed; then fails with the first failure. Order in a batch is
     * kept, except for messages that had to be sent again. Waits a few seconds for a lost connection, a full stream, or a
     * stream that is missing.
     */
    readonly publish: (messages: ReadonlyArray<OutgoingMessage>) => Effect.Effect<ReadonlyArray<PublishAck>, NatsError>
    /** The same with the outcome of each message, in the order of `messages`. */
    readonly publishEach: (
      messages: ReadonlyArray<OutgoingMessage>
    ) => Effect.Effect<ReadonlyArray<PublishAck | NatsError>>
    /**
     * Publishes one message if nothing has come to its subject behind `last`, the sequence that
     * {@link lastSequenceOn} told; 0: the subject has none. The same message again is known by its id while it is the
     * newest.
     *
     * @fails NatsError RevisionMismatch when something has, or when the message at `last` was trimmed since
     */
    readonly publishAfter: (options: {
      readonly stream: string
      readonly last: number
      readonly message: OutgoingMessage
    }) => Effect.Effect<PublishAck, NatsError>
    /** The sequence of the subject's newest message, as the stream's leader has it; 0 when the stream holds none. */
    readonly lastSequenceOn: (stream: string, subject: string) => Effect.Effect<number, NatsError>
    /**
     * Creates the streams and their required consumers where missing; an existing stream keeps its data and gets the new
     * limits. Sequences of a new stream start at microseconds since 1970, at least at `firstSequenceMin`.
     */
    readonly ensureStreams: (
      definitions: ReadonlyArray<StreamDefinition>,
      options?: { readonly firstSequenceMin?: number; readonly sizeScale?: number }
    ) => Effect.Effect<void, NatsError>
    readonly consumer: (options: {
      readonly stream: string
      readonly durable: string
      readonly ackPendingMax: number
    }) => Effect.Effect<Consumer, NatsError, Scope.Scope>
    /** Removes what every required consumer has acknowledged and nobody keeps (decision 0006-stream-limits). */
    readonly trim: (stream: string) => Effect.Effect<void, NatsError>
    readonly streamState: (stream: string) => Effect.Effect<StreamState, NatsError>
    /** The highest sequence up to which all is acknowledged; the stream's first - 1 when nothing is. Never goes back. */
    readonly ackFloor: (stream: string, durable: string) => Effect.Effect<number, NatsError>
    readonly messageAt: (stream: string, sequence: number) => Effect.Effect<Option.Option<StoredMessage>, NatsError>
    /** False when there was none. */
    readonly deleteMessage: (stream: string, sequence: number) => Effect.Effect<boolean, NatsError>
    /** In order, without acknowledging, for ever; healed after a lost connection without a gap. */
    readonly tail: (options: TailOptions) => Stream.Stream<StoredMessage, NatsError>
    /** Opens the bucket, creating it where missing with revisions that start at microseconds since 1970. */
    readonly bucket: (
      name: string,
      options: { readonly history: number; readonly sizeBytesMax: number }
    ) => Effect.Effect<Bucket, NatsError>
    readonly connected: () => boolean
    /** While not connected: a sentence that says where to, and why not. */
    readonly problem: () => string | undefined
    /** What the server takes in one message. */
    readonly messageSizeBytesMax: () => number
    /** For metrics. */
    readonly state: () => NatsState
  }
>()("activity/clients/nats/Nats") {}
