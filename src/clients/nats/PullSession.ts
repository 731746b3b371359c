/**
 * Pulls messages of one JetStream consumer into a bounded buffer, for any number of takers.
 *
 * Asks the server only for what the buffer has room for. A consumer that was deleted, a lost connection, or silence
 * beyond two heartbeats opens the session again; what `open` does there decides where it goes on.
 */
import { createInbox, nanos, type Msg, type NatsConnection, type Subscription } from "@nats-io/transport-node"
import { Duration, Effect } from "effect"
import type { Connection } from "./Connection.ts"
import { positionFrom, type DeliveryPosition } from "./Delivered.ts"
import { NatsError } from "./Nats.ts"
import { sortFailure } from "./sortFailure.ts"

/** One pull waits so long at the server for messages. */
const pullMillis = 30_000
const heartbeatMillis = 2_000
/**
 * Two heartbeats and a half without a word: the pull is lost. A pull of a consumer that is gone is answered by nobody,
 * so this is also how long that may go unnoticed.
 */
const silenceMillis = 5_000
/** What one pull may bring at most: above the largest message, and a bound for memory. */
const pullBytesMax = 32 * 1024 * 1024
const reopenPauseMillisMax = 2_000
const reopenPauseMillis = 100
/** How much of a buffer must be free before the next pull: asking for single messages costs more than it brings. */
const pullPart = 4

export interface PullSource<A> {
  readonly stream: string
  /**
   * Makes sure that the consumer exists and answers its name. A NatsError that is not retryable ends the session.
   * Called again whenever the server may have lost it.
   */
  readonly open: () => Promise<string>
  /** The item of a message; undefined when it is to be left out, "gap" when messages before it were lost. */
  readonly accept: (message: Msg, position: DeliveryPosition, now: number) => A | undefined | "gap"
  /** Items that the buffer holds at least; it grows to the largest `max` that was asked for. */
  readonly bufferMin: number
  readonly bufferMax: number
  readonly sizeBytes: (item: A) => number
}

interface Taker<A> {
  readonly max: number
  readonly waitMillis: number
  readonly resume: (items: Effect.Effect<ReadonlyArray<A>, NatsError>) => void
  timer: NodeJS.Timeout | undefined
}

type State = "closed" | "opening" | "running" | "broken"

export class PullSession<A> {
  readonly #connection: Connection
  readonly #source: PullSource<A>
  readonly #now: () => number
  readonly #inbox = `${createInbox()}.`
  #buffer: Array<A> = []
  #bufferBytes = 0
  readonly #takers: Array<Taker<A>> = []
  #capacity: number
  #state: State = "broken"
  #name = ""
  #serial = 0
  #asked = 0
  #heardAt = 0
  #openAt = 0
  #openFailures = 0
  #dispatching = false
  #failure: NatsError | undefined
  #client: NatsConnection | undefined
  #subscription: Subscription | undefined
  #subscribedClient: NatsConnection | undefined
  readonly #unregister: () => void
  /** How often the consumer had to be opened again. */
  reopened = 0

  constructor(connection: Connection, now: () => number, source: PullSource<A>) {
    this.#connection = connection
    this.#now = now
    this.#source = source
    this.#capacity = source.bufferMin
    this.#unregister = connection.register({ up: (client) => this.#up(client), down: () => this.#down() })
  }

  /** The consumer is known to the server, which said something lately. */
  healthy(): boolean {
    return this.#state === "running" && (this.#asked === 0 || this.#now() - this.#heardAt < silenceMillis)
  }

  /** What arrived and nobody took. */
  buffered(): ReadonlyArray<A> {
    return this.#buffer
  }

  readonly take = (max: number, wait: Duration.Input): Effect.Effect<ReadonlyArray<A>, NatsError> =>
    Effect.callback((resume) => {
      if (this.#failure !== undefined) return resume(Effect.fail(this.#failure))
      const taker: Taker<A> = {
        max,
        waitMillis: Duration.toMillis(Duration.fromInputUnsafe(wait)),
        resume,
        timer: undefined
      }
      this.#capacity = Math.min(this.#source.bufferMax, Math.max(this.#capacity, max))
      this.#takers.push(taker)
      this.#dispatch()
      this.#pull()
      return Effect.sync(() => {
        clearTimeout(taker.timer)
        const index = this.#takers.indexOf(taker)
        if (index >= 0) this.#takers.splice(index, 1)
        this.#dispatch()
      })
    })

  /** Called every second or so. */
  tick(): void {
    if (this.#client === undefined || this.#state === "closed" || this.#state === "opening") return
    const now = this.#now()
    if (this.#state === "running" && this.#asked > 0 && now - this.#heardAt > silenceMillis) this.#break()
    if (this.#state === "broken" && now >= this.#openAt) this.#open()
  }

  /** Something says that the consumer is gone. */
  lookAgain(): void {
    this.#break()
  }

  close(): void {
    this.#state = "closed"
    this.#unregister()
    this.#subscription?.unsubscribe()
    for (const taker of this.#takers) clearTimeout(taker.timer)
  }

  #up(client: NatsConnection): void {
    this.#client = client
    if (this.#subscribedClient !== client) {
      this.#subscription = client.subscribe(`${this.#inbox}*`, {
        callback: (error, message) => this.#received(error, message)
      })
      this.#subscribedClient = client
    }
    this.#openFailures = 0
    this.#openAt = 0
    if (this.#state !== "closed" && this.#state !== "opening") this.#open()
  }

  #down(): void {
    this.#client = undefined
    if (this.#state === "running") this.#state = "broken"
    this.#asked = 0
  }

  #break(): void {
    if (this.#state !== "running") return
    this.#state = "broken"
    this.#openAt = 0
    this.tick()
  }

  #open(): void {
    this.#state = "opening"
    const generation = this.#connection.generation
    void this.#source.open().then(
      (name) => {
        if (this.#state !== "opening") return
        if (generation !== this.#connection.generation) return this.#failedToOpen()
        if (this.#name !== "") this.reopened++
        this.#name = name
        this.#state = "running"
        this.#serial++
        this.#asked = 0
        this.#openFailures = 0
        this.#heardAt = this.#now()
        this.#pull()
      },
      (cause: unknown) => {
        if (this.#state !== "opening") return
        const error = cause instanceof NatsError ? cause : sortFailure("consume", this.#source.stream, cause)
        if (cause instanceof NatsError && !error.retryable) return this.#fail(error)
        this.#failedToOpen()
      }
    )
  }

  #failedToOpen(): void {
    this.#state = "broken"
    this.#openFailures++
    this.#openAt =
      this.#now() + Math.min(reopenPauseMillisMax, reopenPauseMillis * 2 ** Math.min(10, this.#openFailures))
  }

  #fail(error: NatsError): void {
    this.#failure = error
    this.close()
    for (const taker of this.#takers.splice(0)) taker.resume(Effect.fail(error))
  }

  #pull(): void {
    if (this.#state !== "running" || this.#client === undefined) return
    const room = this.#capacity - this.#buffer.length - this.#asked
    if (room < Math.max(1, this.#capacity / pullPart) || this.#bufferBytes >= pullBytesMax) return
    this.#asked += room
    if (this.#asked === room) this.#heardAt = this.#now()
    this.#client.publish(
      `$JS.API.CONSUMER.MSG.NEXT.${this.#source.stream}.${this.#name}`,
      JSON.stringify({
        batch: room,
        expires: nanos(pullMillis),
        idle_heartbeat: nanos(heartbeatMillis),
        max_bytes: pullBytesMax
      }),
      { reply: `${this.#inbox}${this.#serial}` }
    )
  }

  #received(error: Error | null, message: Msg): void {
    if (error !== null || this.#state === "closed") return
    const position = positionFrom(message.reply)
    if (position === undefined) return this.#status(message)
    // All of one chunk came at one moment.
    const now = this.#dispatching ? this.#heardAt : this.#now()
    this.#heardAt = now
    this.#asked = Math.max(0, this.#asked - 1)
    const item = this.#source.accept(message, position, now)
    if (item === "gap") return this.#break()
    if (item !== undefined) {
      this.#buffer.push(item)
      this.#bufferBytes += this.#source.sizeBytes(item)
      this.#dispatchSoon()
    } else this.#pull()
  }

  /** @source https://docs.nats.io/reference/reference-protocols/nats_api_reference ("Fetching from a pull consumer") */
  #status(message: Msg): void {
    // A pull of an earlier opening ended: it says nothing about this one.
    if (message.subject !== `${this.#inbox}${this.#serial}`) return
    this.#heardAt = this.#now()
    const code = message.headers?.code ?? 0
    if (code === 100) return
    const left = Number(message.headers?.get("Nats-Pending-Messages") ?? "0")
    this.#asked = Math.max(0, this.#asked - left)
    const description = message.headers?.description ?? ""
    const ended = code === 404 || code === 408 || (code === 409 && /max ?bytes|batch completed/i.test(description))
    // Everything else (consumer deleted, leader changed, server shutting down, nobody there) needs a second look.
    return ended ? this.#pull() : this.#break()
  }

  /** After the whole chunk that is being read, so that a batch holds more than its first message. */
  #dispatchSoon(): void {
    if (this.#dispatching) return
    this.#dispatching = true
    queueMicrotask(() => {
      this.#dispatching = false
      this.#dispatch()
    })
  }

  #dispatch(): void {
    for (let taker = this.#takers[0]; taker !== undefined && this.#buffer.length > 0; taker = this.#takers[0]) {
      if (this.#buffer.length < taker.max && taker.waitMillis > 0) {
        const waiting = taker
        waiting.timer ??= setTimeout(() => this.#give(waiting), waiting.waitMillis)
        break
      }
      this.#give(taker)
    }
    this.#pull()
  }

  #give(taker: Taker<A>): void {
    const index = this.#takers.indexOf(taker)
    if (index < 0) return
    this.#takers.splice(index, 1)
    clearTimeout(taker.timer)
    const items = this.#buffer.length <= taker.max ? this.#buffer : this.#buffer.slice(0, taker.max)
    this.#buffer = this.#buffer.length <= taker.max ? [] : this.#buffer.slice(taker.max)
    for (const item of items) this.#bufferBytes -= this.#source.sizeBytes(item)
    taker.resume(Effect.succeed(items))
    this.#pull()
  }
}
