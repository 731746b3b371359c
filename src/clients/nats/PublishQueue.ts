/**
 * One ack multiplexer per connection: plain publishes with a reply subject below one wildcard inbox.
 *
 * A message waits in the queue, is in flight until its answer, and is sent again with the same id after a lost
 * connection, a missing answer, or once a full stream has been trimmed. The first sends of a batch keep its order.
 */
import { createInbox, nuid, type Msg, type NatsConnection, type Subscription } from "@nats-io/transport-node"
import { Effect } from "effect"
import type { Connection } from "./Connection.ts"
import { MessageTooLarge, NatsError, type OutgoingMessage, type PublishAck, StreamFull } from "./Nats.ts"
import { PassageMap } from "./PassageMap.ts"
import { publishBlock } from "./publishBlock.ts"
import { answeredError, apiCodes, isFullCode, refused, unavailable } from "./sortFailure.ts"

/** What became of one message. */
export type PublishOutcome = PublishAck | NatsError

export const isPublished = (outcome: PublishOutcome): outcome is PublishAck => !(outcome instanceof NatsError)

/** Above 256 nothing is gained (measured); 512 leaves room for several publishers. */
const inFlightMax = 512
/** Bounds what the server has to read before it answers the last: 16 MiB are some 100 ms. */
const inFlightBytesMax = 16 * 1024 * 1024
/** nats-server ends the connection of who sends a longer control line, 4 KiB by default; reply and sizes need some. */
const subjectBytesMax = 3_500
/** An answer that has not come by then is asked for again. */
const resendAfterMillis = 2_000
/** A stream that cannot be trimmed any further for so long is full. */
const fullAfterMillis = 1_500
/** However much is trimmed, nobody waits longer than this for room. */
const roomWaitMillisMax = 15_000
/** How long to wait between two looks at a full stream, or at a subject that no stream takes. */
const retryPauseMillis = 100
/** Messages of one batch that leave in a row where others wait: a write of one message does not wait for thousands. */
const perTurnMax = 16
/** A message that gets no answer while others do is given up after so many times the wait for a connection. */
const unansweredFactor = 6

interface Item {
  readonly message: OutgoingMessage
  readonly headerText: string
  readonly headerBytes: number
  readonly sizeBytes: number
  readonly batch: Batch
  readonly index: number
  readonly token: string
  readonly queuedAt: number
  sentAt: number
  /** When it was first refused for want of room, or of a stream; 0 when it was not. */
  refusedAt: number
}

interface Batch {
  items: ReadonlyArray<Item>
  /** Of the items, the next to be sent for the first time. */
  next: number
  readonly outcomes: Array<PublishOutcome>
  missing: number
  abandoned: boolean
  readonly done: (outcomes: ReadonlyArray<PublishOutcome>) => void
}

interface FullStream {
  readonly items: Array<Item>
  trimming: boolean
  /** When trimming last made room, or the first refusal. */
  progressAt: number
  retryAt: number
}

/** What counts since the start. */
export interface PublishCounts {
  published: number
  duplicates: number
  resent: number
  failed: number
}

export class PublishQueue {
  readonly counts: PublishCounts = { published: 0, duplicates: 0, resent: 0, failed: 0 }
  /** Streams that have answered a publish. */
  readonly streams = new Set<string>()
  readonly #connection: Connection
  readonly #now: () => number
  /** Makes room in a stream; answers whether there is more than before. */
  readonly #makeRoom: (stream: string) => Promise<boolean>
  readonly #inbox = `${createInbox()}.`
  readonly #inFlight = new PassageMap<string, Item>()
  #inFlightBytes = 0
  /** Batches of which something was not sent yet. */
  readonly #waiting: Array<Batch> = []
  /** Of these, the one whose turn it is. */
  #turn = 0
  readonly #again: Array<Item> = []
  readonly #full = new Map<string, FullStream>()
  readonly #homeless: Array<Item> = []
  #client: NatsConnection | undefined
  #subscription: Subscription | undefined
  #subscribedClient: NatsConnection | undefined
  #tokens = 0
  #progressAt = 0
  #pumping = false
  #pumpsSoon = false
  #progressed = false
  #closed = false

  constructor(connection: Connection, now: () => number, makeRoom: (stream: string) => Promise<boolean>) {
    this.#connection = connection
    this.#now = now
    this.#makeRoom = makeRoom
  }

  /** Publishes all; answers when each has an outcome. Interrupting forgets what was not sent yet. */
  readonly publish = (messages: ReadonlyArray<OutgoingMessage>): Effect.Effect<ReadonlyArray<PublishOutcome>> =>
    messages.length === 0
      ? Effect.succeed([])
      : Effect.callback((resume) => {
          if (this.#closed) return resume(Effect.succeed(messages.map(() => closed())))
          const batch: Batch = {
            items: [],
            next: 0,
            outcomes: new Array<PublishOutcome>(messages.length),
            missing: messages.length,
            abandoned: false,
            done: (outcomes) => resume(Effect.succeed(outcomes))
          }
          const now = this.#now()
          batch.items = messages.map((message, index) => this.#itemFrom(message, batch, index, now))
          this.#waiting.push(batch)
          this.#pump(now)
          return Effect.sync(() => void (batch.abandoned = true))
        })

  up(client: NatsConnection): void {
    if (this.#subscribedClient !== client) {
      this.#subscription = client.subscribe(`${this.#inbox}*`, {
        callback: (error, answer) => this.#answered(error, answer)
      })
      this.#subscribedClient = client
    }
    this.#client = client
    const now = this.#now()
    this.#progressAt = now
    this.#pump(now)
  }

  down(): void {
    this.#client = undefined
    // Nobody knows whether these were stored: their ids make it safe to send them again.
    const unknown = this.#inFlight.values()
    this.#inFlight.clear()
    this.#inFlightBytes = 0
    this.counts.resent += unknown.length
    this.#again.unshift(...unknown)
  }

  close(): void {
    this.#closed = true
    this.#subscription?.unsubscribe()
    for (const item of this.#allItems()) this.#fail(item, closed())
  }

  /** Called every {@link retryPauseMillis} or so: timeouts, resends, second looks. */
  sweep(): void {
    const now = this.#now()
    const patience = this.#connection.unavailableAfterMillis
    const stalled = now - this.#progressAt > patience
    const gaveUp = (item: Item) =>
      (stalled && now - item.queuedAt > patience) ||
      (item.sentAt > 0 && now - item.queuedAt > patience * unansweredFactor)
    for (const item of this.#inFlight.values()) {
      if (gaveUp(item)) {
        this.#land(item)
        this.#fail(item, unavailable("publish", new Error("no answer")))
      } else if (now - item.sentAt > resendAfterMillis) {
        this.#land(item)
        this.counts.resent++
        this.#again.push(item)
      }
    }
    if (this.#client === undefined || stalled) this.#giveUpWaiting(gaveUp)
    this.#lookForHome(now)
    for (const [stream, full] of this.#full) this.#tryRoom(stream, full, now)
    this.#pump(now)
  }

  #itemFrom(message: OutgoingMessage, batch: Batch, index: number, now: number): Item {
    const headerText = headerTextOf(message)
    const headerBytes = Buffer.byteLength(headerText)
    return {
      message,
      headerText,
      headerBytes,
      sizeBytes: headerBytes + message.body.length,
      batch,
      index,
      token: (this.#tokens++).toString(36),
      queuedAt: now,
      sentAt: 0,
      refusedAt: 0
    }
  }

  /** Sends what the window has room for, as one block. */
  #pump(now: number): void {
    // Whoever learns here that a batch has failed may publish at once: that waits behind what is being collected.
    if (this.#pumping) return
    this.#pumping = true
    const sent: Array<Item> = []
    while (this.#client !== undefined && this.#inFlight.size < inFlightMax && this.#inFlightBytes < inFlightBytesMax) {
      const item = this.#next()
      if (item === undefined) break
      const fault = this.#faultOf(item)
      if (fault !== undefined) {
        this.#fail(item, fault)
        continue
      }
      // An idle queue has made no progress for long; only what is in flight can be late.
      if (this.#inFlight.size === 0) this.#progressAt = now
      item.sentAt = now
      this.#inFlight.set(item.token, item)
      this.#inFlightBytes += item.sizeBytes
      sent.push(item)
    }
    this.#pumping = false
    if (this.#client === undefined || sent.length === 0) return
    publishBlock(
      this.#client,
      sent.map(({ headerBytes, headerText, message: { body, subject }, token }) => ({
        subject,
        reply: this.#inbox + token,
        headerText,
        headerBytes,
        body
      }))
    )
  }

  /** After all answers of the chunk that is being read: what they make room for leaves together. */
  #pumpSoon(): void {
    if (this.#pumpsSoon) return
    this.#pumpsSoon = true
    queueMicrotask(() => {
      this.#pumpsSoon = false
      const now = this.#now()
      if (this.#progressed) this.#progressAt = now
      this.#progressed = false
      this.#pump(now)
    })
  }

  #next(): Item | undefined {
    const again = this.#again.shift()
    if (again !== undefined) return again
    while (this.#waiting.length > 0) {
      if (this.#turn >= this.#waiting.length) this.#turn = 0
      const batch = this.#waiting[this.#turn]!
      const item = batch.abandoned ? undefined : batch.items[batch.next++]
      if (item === undefined) this.#waiting.splice(this.#turn, 1)
      else {
        if (batch.next % perTurnMax === 0) this.#turn++
        return item
      }
    }
    return undefined
  }

  /** Why it cannot be sent, whatever the state of the bus. */
  #faultOf(item: Item): NatsError | undefined {
    const {
      sizeBytes,
      message: { subject }
    } = item
    const fault = subjectFault(subject)
    if (fault !== undefined) return refused("publish", 400, fault)
    const sizeBytesMax = this.#connection.sizeBytesMax()
    return sizeBytes > sizeBytesMax
      ? new NatsError({ reason: new MessageTooLarge({ subject, sizeBytes, sizeBytesMax }) })
      : undefined
  }

  #answered(error: Error | null, answer: Msg): void {
    if (error !== null) return
    const item = this.#inFlight.get(answer.subject.slice(this.#inbox.length))
    // Late: it was answered before, or is waiting to be sent again (which its id makes harmless).
    if (item === undefined) return
    this.#land(item)
    const { data } = answer
    if (data.length === 0) this.#noResponders(item)
    else this.#judge(item, data)
    this.#pumpSoon()
  }

  #judge(item: Item, answer: Uint8Array): void {
    const read = attempt(() => JSON.parse(decoder.decode(answer)))
    if (read?.cause !== undefined) return this.#fail(item, unavailable("publish", read.cause))
    // The server's answer to a publish: https://docs.nats.io/reference/reference-protocols/nats_api_reference
    const body = read?.value as {
      readonly stream?: string
      readonly seq?: number
      readonly duplicate?: boolean
      readonly error?: { readonly code: number; readonly err_code?: number; readonly description: string }
    }
    this.#progressed = true
    const stream = body.stream ?? ""
    if (body.error === undefined) {
      this.streams.add(stream)
      if (isCounted(item)) this.counts.published++
      if (isCounted(item) && body.duplicate === true) this.counts.duplicates++
      return this.#settle(item, { stream, sequence: body.seq ?? 0, duplicate: body.duplicate === true })
    }
    const code = body.error.err_code ?? 0
    if (isFullCode(code)) return this.#streamFull(item, stream)
    if (code === apiCodes.messageTooLarge) {
      const {
        sizeBytes,
        message: { subject }
      } = item
      const reason = new MessageTooLarge({ subject, sizeBytes, sizeBytesMax: this.#connection.sizeBytesMax() })
      return this.#fail(item, new NatsError({ reason }))
    }
    return this.#fail(item, answeredError("publish", stream, body.error))
  }

  /** No stream takes the subject: not yet, or no longer. It is asked again until the patience ends. */
  #noResponders(item: Item): void {
    if (item.refusedAt === 0) item.refusedAt = this.#now()
    this.#homeless.push(item)
  }

  #lookForHome(now: number): void {
    if (this.#homeless.length === 0) return
    const patience = this.#connection.unavailableAfterMillis
    for (const item of this.#homeless.splice(0)) {
      if (now - item.refusedAt > patience) {
        this.#fail(item, unavailable("publish", new Error(`no stream takes ${item.message.subject}`)))
      } else this.#again.push(item)
    }
  }

  #streamFull(item: Item, stream: string): void {
    const now = this.#now()
    this.streams.add(stream)
    if (item.refusedAt === 0) item.refusedAt = now
    const full = this.#full.get(stream)
    if (full !== undefined) return void full.items.push(item)
    const opened: FullStream = { items: [item], trimming: false, progressAt: now, retryAt: 0 }
    this.#full.set(stream, opened)
    this.#tryRoom(stream, opened, now)
  }

  #tryRoom(stream: string, full: FullStream, now: number): void {
    if (full.trimming || now < full.retryAt) return
    if (full.items.length === 0) return void this.#full.delete(stream)
    full.trimming = true
    void this.#makeRoom(stream)
      .catch(() => false)
      .then((progress) => {
        const after = this.#now()
        full.trimming = false
        if (progress) full.progressAt = after
        full.retryAt = progress ? 0 : after + retryPauseMillis
        for (const item of full.items.splice(0)) {
          const since = Math.max(full.progressAt, item.refusedAt)
          if (after - since > fullAfterMillis || after - item.refusedAt > roomWaitMillisMax) {
            this.#fail(item, new NatsError({ reason: new StreamFull({ stream }) }))
          } else this.#again.push(item)
        }
        this.#pump(after)
      })
  }

  #giveUpWaiting(gaveUp: (item: Item) => boolean): void {
    const stays = (item: Item): boolean => {
      if (item.batch.abandoned) return false
      if (!gaveUp(item)) return true
      this.#fail(item, unavailable("publish", new Error("not connected")))
      return false
    }
    this.#again.push(...this.#again.splice(0).filter(stays))
    for (const batch of this.#waiting) {
      batch.items = batch.items.slice(batch.next).filter(stays)
      batch.next = 0
    }
  }

  #land(item: Item): void {
    if (this.#inFlight.delete(item.token)) this.#inFlightBytes -= item.sizeBytes
  }

  #fail(item: Item, error: NatsError): void {
    if (isCounted(item)) this.counts.failed++
    this.#settle(item, error)
  }

  #settle(item: Item, outcome: PublishOutcome): void {
    const { batch } = item
    if (batch.outcomes[item.index] !== undefined) return
    batch.outcomes[item.index] = outcome
    if (--batch.missing === 0 && !batch.abandoned) batch.done(batch.outcomes)
  }

  *#allItems(): Iterable<Item> {
    yield* this.#inFlight.values()
    yield* this.#again
    for (const batch of this.#waiting) yield* batch.items.slice(batch.next)
    yield* this.#homeless
    for (const full of this.#full.values()) yield* full.items
  }
}

const closed = (): NatsError => unavailable("publish", new Error("closed"))

/** Writes to buckets have no id of their own; they are not what is counted. */
const isCounted = (item: Item): boolean => item.message.id !== ""

const decoder = new TextDecoder()

/** An empty token, a wildcard, white space or a control character. */
const wrongInSubject = /^$|^\.|\.\.|\.$|(?:^|\.)[*>](?:\.|$)|[\s\u0000-\u001f\u007f]/

/** Why the server would take the subject for a breach of the protocol, and end the connection; undefined when it would not. */
const subjectFault = (subject: string): string | undefined => {
  if (subject.length * 3 > subjectBytesMax && Buffer.byteLength(subject) > subjectBytesMax) {
    return `subject too long: ${Buffer.byteLength(subject)} bytes of ${subjectBytesMax}, it begins with ${subject.slice(0, 100)}`
  }
  return wrongInSubject.test(subject) ? `not a subject to publish to: ${JSON.stringify(subject)}` : undefined
}

/** NATS header block. A line break would start another header, so it becomes a space. */
const headerTextOf = (message: OutgoingMessage): string => {
  let text = `NATS/1.0\r\nNats-Msg-Id: ${message.id === "" ? nuid.next() : oneLine(message.id)}\r\n`
  if (message.headers !== undefined) {
    for (const name in message.headers) text += `${name}: ${oneLine(message.headers[name]!)}\r\n`
  }
  return `${text}\r\n`
}

const lineBreak = /[\r\n]/

const oneLine = (text: string): string => (lineBreak.test(text) ? text.replace(/[\r\n]+/g, " ") : text)

/** A throwing call of the client as a value. */
const attempt = <A>(call: () => A): { readonly cause?: unknown; readonly value?: A } | undefined => {
  try {
    const value = call()
    return value === undefined ? undefined : { value }
  } catch (cause) {
    return { cause }
  }
}
