/**
 * Durable pull consumers with explicit acknowledgement.
 *
 * A delivery is held, and kept alive at the server, until it is acknowledged or the consumer is released; what is
 * released unacknowledged goes back at once for others.
 */
import { AckPolicy, DeliverPolicy, ReplayPolicy, type ConsumerConfig, type JetStreamManager } from "@nats-io/jetstream"
import { nanos, type Msg, type NatsConnection } from "@nats-io/transport-node"
import { Effect, Schedule, type Scope } from "effect"
import type { Connection } from "./Connection.ts"
import { Delivered, type DeliveryPosition } from "./Delivered.ts"
import type { Consumer, Delivery, NatsError } from "./Nats.ts"
import { PassageMap } from "./PassageMap.ts"
import { publishToAll } from "./publishBlock.ts"
import { PullSession } from "./PullSession.ts"
import { apiCodes, refusalCode, unavailable } from "./sortFailure.ts"

/** Far above the slowest insert; held deliveries ask for more time. */
export const ackWaitMillis = 60_000
/** Half of the ack wait: two chances before the server delivers it again. */
const workingAfterMillis = ackWaitMillis / 2
const bufferMin = 512
const confirmTimeoutMillis = 3_000
/** Acknowledging waits so long for a connection. */
const confirmPatience = "60 seconds"
/** What a required consumer may have unacknowledged before its program has said how much it wants. */
const ackPendingDefault = 20_000

const acknowledgementText = "+ACK"
export const acknowledgement = new TextEncoder().encode(acknowledgementText)
const working = new TextEncoder().encode("+WPI")
const giveBack = new TextEncoder().encode("-NAK")

export interface ConsumerOptions {
  readonly stream: string
  readonly durable: string
  readonly ackPendingMax: number
  /** No other process consumes on this server. */
  readonly alone: boolean
}

/** The server's configuration of a durable; `after` is the last sequence it needs not see again. */
export const durableConfig = (
  durable: string,
  after: number | undefined,
  ackPendingMax = ackPendingDefault
): Partial<ConsumerConfig> => ({
  durable_name: durable,
  ack_policy: AckPolicy.Explicit,
  ack_wait: nanos(ackWaitMillis),
  max_deliver: -1,
  max_ack_pending: ackPendingMax,
  replay_policy: ReplayPolicy.Instant,
  ...(after === undefined
    ? { deliver_policy: DeliverPolicy.All }
    : { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: after + 1 })
})

interface Durable {
  readonly outcome: "created" | "found"
  /** When it was made, as the server says it: one that was deleted and made anew, by whomever, has another time. */
  readonly createdAt: string
}

/** Makes sure that the durable exists with this limit. Where it is missing it starts behind `after()`. */
const ensureDurable = async (
  manager: JetStreamManager,
  options: ConsumerOptions,
  after: () => Promise<number | undefined>
): Promise<Durable> => {
  const { ackPendingMax, durable, stream } = options
  const look = () => manager.consumers.info(stream, durable)
  const known = await look().catch((cause: unknown) => {
    if (refusalCode(cause) === apiCodes.consumerNotFound) return undefined
    throw cause
  })
  if (known === undefined) {
    const created = await manager.consumers
      .add(stream, durableConfig(durable, await after(), ackPendingMax))
      .catch((cause: unknown) => {
        // Another replica was faster.
        if (refusalCode(cause) === apiCodes.consumerExists) return undefined
        throw cause
      })
    return created === undefined
      ? { outcome: "found", createdAt: (await look()).created }
      : { outcome: "created", createdAt: created.created }
  }
  if (known.config.max_ack_pending !== ackPendingMax) {
    await manager.consumers.update(stream, durable, { max_ack_pending: ackPendingMax })
  }
  return { outcome: "found", createdAt: known.created }
}

class HeldDelivery extends Delivered implements Delivery {
  /** Where its acknowledgement goes; another one when the server delivered it again while it was held. */
  reply: string
  touchedAt: number
  /** How often the consumer had been reset, or made anew, when the server sent it last. */
  resets: number
  readonly #session: DurableSession

  constructor(session: DurableSession, message: Msg, position: DeliveryPosition, now: number) {
    super(session.options.stream, message, position)
    this.#session = session
    this.resets = session.resets
    this.reply = message.reply ?? ""
    this.touchedAt = now
  }

  acknowledge(): void {
    this.#session.acknowledgeOne(this)
  }

  working(): void {
    this.#session.keepAlive(this)
  }
}

class DurableSession {
  readonly options: ConsumerOptions
  readonly held = new PassageMap<number, HeldDelivery>()
  readonly pull: PullSession<HeldDelivery>
  readonly #connection: Connection
  readonly #now: () => number
  /** Sequences acknowledged lately, in two halves of which the older is thrown away. */
  #acknowledged = new Set<number>()
  #acknowledgedBefore = new Set<number>()
  /** No sequence above it has come yet: such a one is new. */
  #highest = 0
  #serverId = ""
  #createdAt = ""
  resets = 0

  constructor(
    connection: Connection,
    now: () => number,
    options: ConsumerOptions,
    after: () => Promise<number | undefined>
  ) {
    this.options = options
    this.#connection = connection
    this.#now = now
    this.pull = new PullSession(connection, now, {
      stream: options.stream,
      bufferMin: Math.min(bufferMin, options.ackPendingMax),
      bufferMax: options.ackPendingMax,
      sizeBytes: (item) => item.bodyBytes,
      open: async () => {
        const { createdAt, outcome } = await connection.requestNow((manager) => ensureDurable(manager, options, after))
        // One that was made anew knows none of what the one before it has sent, and does not answer for what it has not
        // sent yet: that is acknowledged when it comes again.
        if (createdAt !== this.#createdAt) this.resets++
        this.#createdAt = createdAt
        await this.#resetAfterRestart(outcome)
        return options.durable
      },
      accept: (message, position, now) => this.#accept(message, position, now)
    })
  }

  acknowledgeOne(delivery: HeldDelivery): void {
    this.#settled(delivery.sequence)
    this.#connection.client?.publish(delivery.reply, acknowledgement)
  }

  keepAlive(delivery: HeldDelivery): void {
    delivery.touchedAt = this.#now()
    this.#connection.client?.publish(delivery.reply, working)
  }

  readonly acknowledge = (deliveries: ReadonlyArray<Delivery>): Effect.Effect<void, NatsError> => {
    if (deliveries.length === 0) return Effect.void
    return this.#connection.whenConnected("acknowledge").pipe(
      Effect.andThen(
        Effect.tryPromise({
          try: () => this.#acknowledgeNow(deliveries),
          catch: (cause) => unavailable("acknowledge", cause)
        })
      ),
      // Whatever was lost on the way, acknowledging again is harmless: all of them once more.
      Effect.retry({ schedule: Schedule.spaced("250 millis").pipe(Schedule.upTo({ duration: confirmPatience })) })
    )
  }

  tick(): void {
    this.pull.tick()
    const late = this.#now() - workingAfterMillis
    for (const delivery of this.held.values()) if (delivery.touchedAt < late) this.keepAlive(delivery)
  }

  release(): void {
    this.pull.close()
    for (const delivery of this.held.values()) this.#connection.client?.publish(delivery.reply, giveBack)
    this.held.clear()
  }

  async #acknowledgeNow(deliveries: ReadonlyArray<Delivery>): Promise<void> {
    const { client, generation } = this.#connection
    if (client === undefined) throw new Error("not connected")
    // Those that a reset server has not sent again yet it does not know; they are acknowledged when they come.
    const replies = deliveries.flatMap((delivery) =>
      delivery instanceof HeldDelivery && delivery.resets === this.resets ? [delivery.reply] : []
    )
    const last = replies.pop()
    publishToAll(client, replies, acknowledgementText)
    if (last !== undefined) await this.#confirm(client, last)
    if (generation !== this.#connection.generation) throw new Error("the connection was lost meanwhile")
    for (const delivery of deliveries) this.#settled(delivery.sequence)
  }

  #settled(sequence: number): void {
    this.held.delete(sequence)
    if (this.#acknowledged.size >= this.options.ackPendingMax) {
      this.#acknowledgedBefore = this.#acknowledged
      this.#acknowledged = new Set()
    }
    this.#acknowledged.add(sequence)
  }

  /**
   * A server that was started again has sent messages that never arrived, and may have forgotten what was acknowledged
   * or given back: all of it would wait for the ack wait, a minute, and hold up the floor and others behind them. So
   * would what an ended process held, when there is no other to hold it. Going back to the floor sends them now; what is
   * held or was acknowledged here is not delivered twice.
   */
  async #resetAfterRestart(outcome: "created" | "found"): Promise<void> {
    const serverId = this.#connection.client?.info?.server_id ?? ""
    const restarted = this.#serverId === "" ? this.options.alone : serverId !== this.#serverId
    this.#serverId = serverId
    if (!restarted || outcome === "created") return
    const { durable, stream } = this.options
    this.resets++
    // A server before 2.14 cannot: then it is the ack wait.
    await this.#connection.requestNow((manager) => manager.consumers.reset(stream, durable)).catch(() => undefined)
  }

  /** The server answers an acknowledgement that is a request. Nobody answers for a consumer that is gone. */
  async #confirm(client: NatsConnection, reply: string): Promise<void> {
    let end = () => {}
    const lost = new Promise<never>((_, reject) => {
      end = this.#connection.register({ up: () => {}, down: () => reject(new Error("the connection was lost")) })
    })
    await Promise.race([client.request(reply, acknowledgement, { timeout: confirmTimeoutMillis }), lost])
      .catch((cause: unknown) => {
        // Made again, the consumer starts behind its ack floor and delivers these once more.
        this.pull.lookAgain()
        if (!(cause instanceof Error) || !/no responders/i.test(cause.message)) throw cause
      })
      .finally(end)
  }

  #accept(message: Msg, position: DeliveryPosition, now: number): HeldDelivery | undefined {
    if (position.sequence <= this.#highest && this.#isKnown(message, position, now)) return undefined
    this.#highest = Math.max(this.#highest, position.sequence)
    const delivery = new HeldDelivery(this, message, position, now)
    this.held.set(position.sequence, delivery)
    return delivery
  }

  /** Whether it was acknowledged here lately, or is held: then it is not delivered again. */
  #isKnown(message: Msg, position: DeliveryPosition, now: number): boolean {
    if (this.#acknowledged.has(position.sequence) || this.#acknowledgedBefore.has(position.sequence)) {
      this.#connection.client?.publish(message.reply ?? "", acknowledgement)
      return true
    }
    const held = this.held.get(position.sequence)
    if (held === undefined) return false
    // The ack wait ended while it was held (a stopped process, a lost connection): one copy is enough.
    held.reply = message.reply ?? held.reply
    held.resets = this.resets
    held.touchedAt = now
    return true
  }
}

/** Opens the durable, creating it where it is missing (behind `after()`, its last known ack floor). */
export const openConsumer = (
  connection: Connection,
  now: () => number,
  options: ConsumerOptions,
  after: () => Promise<number | undefined>
): Effect.Effect<Consumer, NatsError, Scope.Scope> =>
  Effect.gen(function* () {
    const session = yield* Effect.acquireRelease(
      Effect.sync(() => new DurableSession(connection, now, options, after)),
      (opened) => Effect.sync(() => opened.release())
    )
    yield* Effect.sync(() => session.tick()).pipe(Effect.repeat(Schedule.spaced("500 millis")), Effect.forkScoped)
    return {
      take: session.pull.take,
      acknowledge: session.acknowledge,
      healthy: () => connection.connected() && session.pull.healthy()
    }
  })
