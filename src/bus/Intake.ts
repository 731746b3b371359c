/**
 * Where facts become durable: in the bus, else in the local spool.
 *
 * What the bus does not take now is spooled and replayed beside live traffic, so order is not promised. Per process life
 * `received = published + duplicates + spooled + refused + returned` (messages), and `spooled` of this and earlier lives
 * = `replayed` + what the spool still holds.
 */
import { Effect, Schema } from "effect"
import { type Nats, NatsError, type OutgoingMessage } from "../clients/nats/Nats.ts"
import type { Spool, SpoolUnavailable } from "./Spool.ts"

/** Neither bus nor spool takes the batch. Some of it may be stored: send all of it again, with the same ids. */
export class IntakeFull extends Schema.TaggedError<IntakeFull>()("IntakeFull", {
  /** `full`: both hold all they may, or the disk fails. `unavailable`: the bus is away and there is no spool. */
  state: Schema.Literals(["full", "unavailable"]),
  cause: Schema.Defect()
}) {
  readonly retryable = true
}

/** A message that the bus will never take. */
export interface RefusedMessage {
  readonly message: OutgoingMessage
  readonly error: NatsError
}

export interface IntakeResult {
  readonly published: number
  readonly duplicates: number
  readonly spooled: number
  /** The caller sets them aside. */
  readonly refused: ReadonlyArray<RefusedMessage>
}

export interface IntakeCounts {
  received: number
  published: number
  duplicates: number
  spooled: number
  refused: number
  /** Given back with IntakeFull. */
  returned: number
  replayed: number
}

export interface Intake {
  /** Returns when each message is stored by the bus, is in the spool, or was refused for good. */
  readonly publish: (messages: ReadonlyArray<OutgoingMessage>) => Effect.Effect<IntakeResult, IntakeFull>
  /** Brings what was spooled to the bus, for ever; runs beside `publish`. `refused` sets aside what the bus never takes. */
  readonly replay: <E>(
    refused: (messages: ReadonlyArray<RefusedMessage>) => Effect.Effect<void, E>
  ) => Effect.Effect<never, E | SpoolUnavailable>
  readonly counts: () => Readonly<IntakeCounts>
}

/** @param spool undefined when there is none: then a bus that is away or full is the caller's to wait for */
export const makeIntake = (nats: Nats["Service"], spool: Spool | undefined): Intake => {
  const counts: IntakeCounts = { received: 0, published: 0, duplicates: 0, spooled: 0, refused: 0, returned: 0, replayed: 0 }

  const publish = (messages: ReadonlyArray<OutgoingMessage>): Effect.Effect<IntakeResult, IntakeFull> =>
    Effect.gen(function*() {
      counts.received += messages.length
      // A bus that is known to be away is not waited for when there is somewhere else to go.
      const result = spool !== undefined && !nats.connected()
        ? { published: 0, duplicates: 0, refused: [], left: messages, cause: undefined }
        : yield* tryBus(nats, messages)
      counts.published += result.published
      counts.duplicates += result.duplicates
      counts.refused += result.refused.length
      if (result.left.length > 0) yield* keep(result.left, result.cause)
      return {
        published: result.published,
        duplicates: result.duplicates,
        spooled: result.left.length,
        refused: result.refused
      }
    })

  const keep = (messages: ReadonlyArray<OutgoingMessage>, cause: NatsError | undefined): Effect.Effect<void, IntakeFull> => {
    const giveBack = (failure: IntakeFull) => Effect.suspend(() => {
      counts.returned += messages.length
      return Effect.fail(failure)
    })
    if (spool === undefined) {
      const state = cause?.reason._tag === "StreamFull" ? "full" : "unavailable"
      return giveBack(new IntakeFull({ state, cause }))
    }
    return spool.append(messages).pipe(
      Effect.catch((failure) => giveBack(new IntakeFull({ state: "full", cause: failure }))),
      Effect.tap(Effect.sync(() => void (counts.spooled += messages.length)))
    )
  }

  const replay: Intake["replay"] = (refused) =>
    spool === undefined ? Effect.never : spool.drain((messages) =>
      Effect.gen(function*() {
        let left = messages
        while (left.length > 0) {
          const result = yield* tryBus(nats, left)
          counts.replayed += left.length - result.left.length
          if (result.refused.length > 0) yield* refused(result.refused)
          left = result.left
          if (left.length > 0) yield* Effect.sleep("1 second")
        }
      })
    )

  return { publish, replay, counts: () => ({ ...counts }) }
}

const tryBus = (nats: Nats["Service"], messages: ReadonlyArray<OutgoingMessage>) =>
  Effect.map(nats.publishEach(messages), (outcomes) => {
    let published = 0
    let duplicates = 0
    let cause: NatsError | undefined
    const refused: Array<RefusedMessage> = []
    const left: Array<OutgoingMessage> = []
    for (const [index, outcome] of outcomes.entries()) {
      const message = messages[index]!
      if (!(outcome instanceof NatsError)) outcome.duplicate ? duplicates++ : published++
      else if (outcome.retryable) {
        left.push(message)
        cause ??= outcome
      } else refused.push({ message, error: outcome })
    }
    return { published, duplicates, refused, left, cause }
  })
