/**
 * The shared tail of a stream of facts: one reader of the stream feeds every watch.
 *
 * It holds the recent messages; a watch that starts earlier catches up from the stream by itself. Messages that are
 * older at their source than what was seen of the same fact before are left out.
 */
import { Cause, Clock, Deferred, Effect, Option, Schedule, Stream } from "effect"
import { Nats, type NatsError, type StoredMessage } from "../../clients/nats/Nats.ts"
import { Tracing } from "../../runtime/Tracing.ts"
import { type ApiFailure, expired, unavailable } from "../ApiFailure.ts"
import { Drain } from "../Drain.ts"
import { type FeedMessage, type FeedSource, SourceOrders } from "./FeedMessage.ts"
import { type Concerns, type FeedBatch, HeldFacts } from "./HeldFacts.ts"
import { UnshownTraces } from "./UnshownTraces.ts"

/** The writer's floor is asked at most five times a second, whatever the number of lists. */
const floorAge = "200 millis"

/** A list that cannot learn the floor goes on with the last one. */
const floorWait = "1 second"

/** How long a list waits for the writer. */
const freshnessMillisMax = 2_000

/** A stream that does not answer for so long is away. */
const answerWait = "5 seconds"

/** A watch that is opened waits so long for the tail; one that is further behind knows its latest sights later. */
const tailWait = "1 second"
const tailLookPause = "10 millis"

/** What was written through an API is held for so long, and until it is stored. */
const storedLookedAt = "5 seconds"

/** How late waits may end. One look at all of them costs less than a timer for each. */
const waitsLookedAt = "100 millis"

export interface FactFeed<A> {
  /**
   * The writer's ack floor: what a list may promise to hold. Never goes back; the last known while NATS is away, 0 when
   * none was ever known.
   */
  readonly floor: Effect.Effect<number>
  /** Waits, for {@link freshnessMillisMax} at most, until the floor is there. False: it is not. */
  readonly reached: (sequence: number) => Effect.Effect<boolean>
  /**
   * The latest sights, by key, of facts that were written through an API and that the store may not have yet.
   *
   * Asked again after a write was answered, by whatever replica, it has that write, unless it is not complete: then the
   * bus is away, or what it holds was not all read in time.
   */
  readonly unstored: Effect.Effect<Unstored<A>>
  /** The highest sequence that any watch was sent. */
  readonly highestSent: () => number
  readonly sent: (sequence: number) => void
  /** The traces of what no list has shown yet. */
  readonly unshown: UnshownTraces
  /**
   * Messages after `position` that concern the reader, in order, as they come. Ends where it fell too far behind.
   *
   * @fails ApiFailure Expired when the stream no longer, or does not yet, hold what follows `position`
   * @fails ApiFailure ServiceUnavailable when the stream cannot be asked
   */
  readonly open: (position: number, concerns: Concerns<A>) => Effect.Effect<FeedReader<A>, ApiFailure>
  /** A sentence while the tail is not running, for the probes. */
  readonly problem: () => string | undefined
}

export interface Unstored<A> {
  readonly sights: ReadonlyMap<string, FeedMessage<A>>
  readonly isComplete: boolean
}

export interface FeedReader<A> {
  /** Where it begins: what was asked for, or the stream's beginning where that was 0. */
  readonly position: number
  /** Messages that are no longer held here, up to where `after` can take over. Its last batch has that position. */
  readonly earlier: Stream.Stream<FeedBatch<A>, ApiFailure>
  /**
   * Waits for messages after `position`, so long at most and no longer than the server runs: then there are none in the
   * batch. Undefined: the reader is too far behind.
   */
  readonly after: (position: number, waitMillis: number) => Effect.Effect<FeedBatch<A> | undefined>
  /** True when a later sight of the same fact was in the stream already when the reader was opened. */
  readonly superseded: (message: FeedMessage<A>) => boolean
}

/** Runs until its scope ends. */
export const makeFeed = Effect.fnUntraced(function* <A>(source: FeedSource<A>) {
  const { stream } = source
  const nats = yield* Nats
  const drain = yield* Drain
  const clock = yield* Clock.Clock
  const orders = new SourceOrders(source)
  const held = new HeldFacts<A>()
  const unshown = new UnshownTraces(yield* Tracing)
  const started = yield* Deferred.make<void>()
  let running = false
  let highestSent = 0
  let highestFloor = 0

  const unstored = new Map<string, FeedMessage<A>>()
  const isWritten = source.isWritten ?? (() => false)

  /** Undefined when it is no fact, or a stale sight. */
  const noted = (stored: StoredMessage): FeedMessage<A> | undefined => {
    const message = orders.messageFrom(stored)
    // Whoever else tells of the fact later has the last word.
    if (message !== undefined && (isWritten(stored) || unstored.has(message.key))) unstored.set(message.key, message)
    return message
  }

  const append = (messages: ReadonlyArray<StoredMessage>): void => {
    const known = held.position
    const fresh = messages.filter(({ sequence }) => sequence > known)
    held.append(
      fresh.flatMap((one) => noted(one) ?? []),
      fresh.at(-1)?.sequence ?? known
    )
    for (const message of fresh) unshown.add(message)
  }

  const askFloor = nats.ackFloor(stream, "writer").pipe(
    Effect.timeout(floorWait),
    Effect.map((floor) => (highestFloor = Math.max(highestFloor, floor))),
    Effect.catch(() => Effect.sync(() => highestFloor))
  )
  const askedFloor = yield* Effect.cachedWithTTL(askFloor, floorAge)
  const floor = Effect.suspend(() => (nats.connected() ? askedFloor : Effect.succeed(highestFloor)))

  /** What was written while nobody listened here. */
  const noteEarlier = (sequences: ReadonlyArray<number>): Effect.Effect<void, NatsError> =>
    Effect.forEach(
      sequences,
      (sequence) =>
        Effect.map(nats.messageAt(stream, sequence), (found) => {
          const known = Option.map(found, (stored) => unstored.get(source.keyOf(stored))?.sequence ?? 0)
          if (Option.isSome(found) && sequence > Option.getOrElse(known, () => 0)) noted(found.value)
        }),
      { discard: true }
    )

  const run = Effect.gen(function* () {
    const state = yield* nats.streamState(stream)
    const stored = yield* floor
    const written: Array<number> = []
    const note = (message: StoredMessage): void => {
      orders.isStale(message)
      if (message.sequence > stored && isWritten(message)) written.push(message.sequence)
    }
    if (state.messages > 0) yield* readHeaders(nats, stream, note, state.firstSequence, state.lastSequence)
    yield* noteEarlier(written)
    if (held.starts === 0 || state.firstSequence > held.position + 1 || state.lastSequence < held.position) {
      held.startAfter(state.lastSequence)
      yield* Deferred.succeed(started, undefined)
    }
    running = true
    yield* nats
      .tail({ stream, from: held.position + 1, strict: true })
      .pipe(Stream.runForEachArray((messages) => Effect.sync(() => append(messages))))
  }).pipe(Effect.ensuring(Effect.sync(() => void (running = false))))

  yield* run.pipe(
    // A tail that died would leave watches that look alive and hear nothing.
    Effect.catchCauseIf(
      (cause) => !Cause.hasInterrupts(cause),
      (cause) =>
        Effect.logDebug(`the tail of ${stream} starts again`, cause).pipe(
          Effect.andThen(
            // A fault of ours: whom it kept from being told must come again, not wait for what has passed.
            Effect.sync(() => Cause.hasDies(cause) && held.startAfter(held.position))
          )
        )
    ),
    Effect.repeat(Schedule.spaced("1 second")),
    Effect.forkScoped
  )

  yield* nats.streamState(stream).pipe(
    Effect.map((state) => orders.forgetBefore(state.firstSequence)),
    Effect.ignore,
    Effect.repeat(Schedule.spaced("1 minute")),
    Effect.forkScoped
  )

  const forgetStored = Effect.map(floor, (stored) => {
    for (const [key, { sequence }] of unstored) if (sequence <= stored) unstored.delete(key)
  })
  // Where nobody asks, others may write all the same, at another replica.
  yield* Effect.suspend(() => (unstored.size > 0 ? forgetStored : Effect.void)).pipe(
    Effect.repeat(Schedule.spaced(storedLookedAt)),
    Effect.forkScoped
  )

  yield* Effect.sync(() => held.endWaits(drain.begun() ? Infinity : clock.currentTimeMillisUnsafe())).pipe(
    Effect.repeat(Schedule.spaced(waitsLookedAt)),
    Effect.forkScoped
  )

  const reached = (sequence: number): Effect.Effect<boolean> =>
    Effect.gen(function* () {
      const deadline = clock.currentTimeMillisUnsafe() + freshnessMillisMax
      while ((yield* floor) < sequence) {
        if (clock.currentTimeMillisUnsafe() >= deadline || !nats.connected()) return false
        yield* Effect.sleep("50 millis")
      }
      return true
    })

  /** From the stream itself, until what follows is held here. */
  const earlier = (from: number, concerns: Concerns<A>): Stream.Stream<FeedBatch<A>, ApiFailure> =>
    Stream.suspend(() => {
      if (held.holdsAfter(from)) return Stream.empty
      const own = new SourceOrders(source, orders)
      return nats.tail({ stream, from: from + 1, strict: true }).pipe(
        Stream.mapError((error) => failureFrom(error, from)),
        Stream.mapArray((messages) => [
          {
            messages: messagesFrom(own, messages).filter(({ fact }) => concerns(fact)),
            position: messages.at(-1)?.sequence ?? from,
            printed: new Map()
          }
        ]),
        Stream.takeUntil((batch) => held.holdsAfter(batch.position))
      )
    })

  /** Until all is read that was in the stream up to a sequence. False: it was not, in time. */
  const heldUpTo = (sequence: number): Effect.Effect<boolean> =>
    Effect.sync(() => held.position >= sequence).pipe(
      Effect.repeat({ until: (reached) => reached, schedule: Schedule.spaced(tailLookPause) }),
      Effect.timeoutOption(tailWait),
      Effect.map(Option.isSome)
    )

  /** Until a server that has just been started knows what was written before. False: it does not, in time. */
  const hasStarted = Deferred.await(started).pipe(Effect.timeoutOption(tailWait), Effect.map(Option.isSome))

  const askUnstored = Effect.gen(function* () {
    const last = yield* nats.streamState(stream).pipe(
      Effect.timeout(tailWait),
      Effect.map(({ lastSequence }) => lastSequence),
      Effect.catch(() => Effect.succeed(undefined))
    )
    const isComplete = last !== undefined && (yield* hasStarted) && (yield* heldUpTo(last))
    yield* forgetStored
    return { sights: new Map(unstored), isComplete }
  })

  const open = (asked: number, concerns: Concerns<A>): Effect.Effect<FeedReader<A>, ApiFailure> =>
    Effect.gen(function* () {
      const state = yield* nats.streamState(stream).pipe(
        Effect.timeout(answerWait),
        Effect.mapError(() => unavailable("watching is not possible now: the bus does not answer"))
      )
      const from = asked === 0 ? state.firstSequence - 1 : asked
      if (from + 1 < state.firstSequence) return yield* tooOld(from, state.firstSequence - 1)
      if (from > state.lastSequence) {
        return yield* expired(`resource version ${from} is beyond the current one (${state.lastSequence}): list again`)
      }
      yield* Deferred.await(started).pipe(
        Effect.timeoutOrElse({
          duration: answerWait,
          orElse: () => Effect.fail(unavailable("watching is not possible yet: the stream is still being read"))
        })
      )
      // The state may have been read from rows that are newer than what the tail has seen: a later sight that it does not
      // know of yet could not supersede an older one, and the watch would go back.
      yield* heldUpTo(state.lastSequence)
      const { position: opened, starts } = held
      const superseded = ({ key, sequence }: FeedMessage<A>): boolean => {
        if (sequence >= opened) return false
        const latest = orders.latest(key)
        return latest > sequence && latest <= opened
      }
      const after: FeedReader<A>["after"] = (position, waitMillis) =>
        Effect.suspend(() =>
          held.starts === starts
            ? held.after(position, concerns, clock.currentTimeMillisUnsafe() + waitMillis)
            : Effect.succeed(undefined)
        )
      return { position: from, earlier: earlier(from, concerns), after, superseded }
    })

  return {
    floor,
    reached,
    unstored: Effect.suspend(() =>
      nats.connected() ? askUnstored : Effect.succeed({ sights: new Map(unstored), isComplete: false })
    ),
    highestSent: () => highestSent,
    sent: (sequence) => void (highestSent = Math.max(highestSent, sequence)),
    unshown,
    open,
    problem: () => (running ? undefined : `the tail of ${stream} is not running: watches hear nothing new`)
  } satisfies FactFeed<A>
})

const messagesFrom = <A>(
  orders: SourceOrders<A>,
  stored: ReadonlyArray<StoredMessage>
): ReadonlyArray<FeedMessage<A>> => stored.flatMap((one) => orders.messageFrom(one) ?? [])

/** All that the stream holds up to `last`, without bodies. */
const readHeaders = (
  nats: Nats["Service"],
  stream: string,
  note: (message: StoredMessage) => void,
  first: number,
  last: number
): Effect.Effect<void, NatsError> =>
  nats.tail({ stream, from: first, headersOnly: true }).pipe(
    Stream.takeUntil((message) => message.sequence >= last),
    Stream.runForEachArray((messages) => Effect.sync(() => messages.forEach(note)))
  )

const tooOld = (from: number, first: number): ApiFailure => expired(`too old resource version: ${from} (${first})`)

const failureFrom = (error: NatsError, from: number): ApiFailure =>
  error.reason._tag === "NatsRefused" && error.reason.code === 410
    ? tooOld(from, from + 1)
    : unavailable("watching is not possible now: the bus does not answer")
