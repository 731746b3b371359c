/**
 * The shared tail of ACTIVITIES: one reader of the stream feeds every watch.
 *
 * It holds the recent messages; a watch that starts earlier catches up from the stream by itself. Messages that are
 * older at their source than what was seen of the same activity before are marked stale, and watches leave them out.
 */
import { Cause, Clock, Context, Deferred, Effect, Layer, Schedule, Stream } from "effect"
import { Nats, type NatsError, type StoredMessage } from "../../clients/nats/Nats.ts"
import { activities } from "../../domain/streams.ts"
import { type ApiFailure, expired, unavailable } from "../ApiFailure.ts"
import { type FeedMessage, SourceOrders } from "./FeedMessage.ts"

/** Messages and bytes held for watches: some 15 s at full speed. A watch further behind is ended, and resumes. */
const heldMessagesMax = 16_384
const heldBytesMax = 48 * 1024 * 1024

/** What one watch takes at once. */
const batchMessagesMax = 512

/** The writer's floor is asked at most five times a second, whatever the number of lists. */
const floorAge = "200 millis"

/** A list that cannot learn the floor goes on with the last one. */
const floorWait = "1 second"

/** How long a list waits for the writer. */
const freshnessMillisMax = 2_000

/** A stream that does not answer for so long is away. */
const answerWait = "5 seconds"

export interface FeedBatch {
  readonly messages: ReadonlyArray<FeedMessage>
  /** The sequence up to which the reader now knows everything. */
  readonly position: number
}

export class ActivityFeed extends Context.Service<
  ActivityFeed,
  {
    /**
     * The writer's ack floor: what a list may promise to hold. Never goes back; the last known while NATS is away, 0
     * when none was ever known.
     */
    readonly floor: Effect.Effect<number>
    /** Waits, for {@link freshnessMillisMax} at most, until the floor is there. False: it is not. */
    readonly reached: (sequence: number) => Effect.Effect<boolean>
    /** The highest sequence that any watch was sent. */
    readonly highestSent: () => number
    readonly sent: (sequence: number) => void
    /**
     * Messages after `position`, in order, as they come. Ends where the reader fell too far behind.
     *
     * @fails ApiFailure Expired when the stream no longer, or does not yet, hold what follows `position`
     * @fails ApiFailure ServiceUnavailable when the stream cannot be asked
     */
    readonly open: (position: number) => Effect.Effect<FeedReader, ApiFailure>
    /** A sentence while the tail is not running, for the probes. */
    readonly problem: () => string | undefined
  }
>()("activity/serve/activities/ActivityFeed") {
  static readonly layer = Layer.effect(
    ActivityFeed,
    Effect.suspend(() => makeFeed)
  )
}

export interface FeedReader {
  /** Where it begins: what was asked for, or the stream's beginning where that was 0. */
  readonly position: number
  /** Messages that are no longer held here, up to where `after` can take over. Its last batch has that position. */
  readonly earlier: Stream.Stream<FeedBatch, ApiFailure>
  /** Waits for messages after `position`. Undefined: the reader is too far behind. */
  readonly after: (position: number) => Effect.Effect<FeedBatch | undefined>
  /** True when a later sight of the same activity was in the stream already when the reader was opened. */
  readonly superseded: (message: FeedMessage) => boolean
}

const makeFeed = Effect.gen(function* () {
  const nats = yield* Nats
  const clock = yield* Clock.Clock
  const orders = new SourceOrders()
  let held: Array<FeedMessage> = []
  let heldBytes = 0
  /** Everything up to it is not held. Undefined until the tail has started once. */
  let forgotten: number | undefined
  let position = 0
  let running = false
  let changed = Deferred.makeUnsafe<void>()
  let highestSent = 0
  let highestFloor = 0

  const notify = (): void => {
    const waiting = changed
    changed = Deferred.makeUnsafe<void>()
    Deferred.doneUnsafe(waiting, Effect.void)
  }

  const append = (messages: ReadonlyArray<StoredMessage>): void => {
    for (const stored of messages) {
      if (stored.sequence <= position) continue
      const message = orders.messageFrom(stored)
      position = stored.sequence
      if (message === undefined) continue
      held.push(message)
      heldBytes += message.sizeBytes
    }
    forgetOldest()
    notify()
  }

  const forgetOldest = (): void => {
    if (held.length <= heldMessagesMax && heldBytes <= heldBytesMax) return
    // Down to three quarters, so that moving the rest is rare.
    let count = 0
    while (held.length - count > heldMessagesMax * 0.75 || (heldBytes > heldBytesMax * 0.75 && count < held.length)) {
      heldBytes -= held[count]?.sizeBytes ?? 0
      forgotten = held[count]?.sequence ?? forgotten
      count++
    }
    held = held.slice(count)
  }

  /** From here on nothing before is held: readers behind it end, and learn at their next start what is lost. */
  const startAfter = (sequence: number): void => {
    held = []
    heldBytes = 0
    position = sequence
    forgotten = sequence
    notify()
  }

  const run = Effect.gen(function* () {
    const state = yield* nats.streamState(activities.name)
    if (state.messages > 0) yield* readOrders(nats, orders, state.firstSequence, state.lastSequence)
    if (forgotten === undefined || state.firstSequence > position + 1 || state.lastSequence < position) {
      startAfter(state.lastSequence)
    }
    running = true
    yield* nats
      .tail({ stream: activities.name, from: position + 1, strict: true })
      .pipe(Stream.runForEachArray((messages) => Effect.sync(() => append(messages))))
  }).pipe(Effect.ensuring(Effect.sync(() => void (running = false))))

  yield* run.pipe(
    // A tail that died would leave watches that look alive and hear nothing.
    Effect.catchCauseIf(
      (cause) => !Cause.hasInterrupts(cause),
      (cause) => Effect.logDebug("the tail of activities starts again", cause)
    ),
    Effect.repeat(Schedule.spaced("1 second")),
    Effect.forkScoped
  )

  yield* nats.streamState(activities.name).pipe(
    Effect.map((state) => orders.forgetBefore(state.firstSequence)),
    Effect.ignore,
    Effect.repeat(Schedule.spaced("1 minute")),
    Effect.forkScoped
  )

  const askFloor = nats.ackFloor(activities.name, "writer").pipe(
    Effect.timeout(floorWait),
    Effect.map((floor) => (highestFloor = Math.max(highestFloor, floor))),
    Effect.catch(() => Effect.sync(() => highestFloor))
  )
  const askedFloor = yield* Effect.cachedWithTTL(askFloor, floorAge)
  const floor = Effect.suspend(() => (nats.connected() ? askedFloor : Effect.succeed(highestFloor)))

  const reached = (sequence: number): Effect.Effect<boolean> =>
    Effect.gen(function* () {
      const deadline = clock.currentTimeMillisUnsafe() + freshnessMillisMax
      while ((yield* floor) < sequence) {
        if (clock.currentTimeMillisUnsafe() >= deadline || !nats.connected()) return false
        yield* Effect.sleep("50 millis")
      }
      return true
    })

  const after = (from: number): Effect.Effect<FeedBatch | undefined> =>
    Effect.suspend(() => {
      if (forgotten === undefined || from < forgotten) return Effect.succeed(undefined)
      if (from < position) {
        const first = indexAfter(held, from)
        const messages = held.slice(first, first + batchMessagesMax)
        const last = first + batchMessagesMax < held.length ? messages.at(-1)?.sequence : undefined
        return Effect.succeed({ messages, position: last ?? position })
      }
      return Deferred.await(changed).pipe(Effect.andThen(after(from)))
    })

  /** From the stream itself, until what follows is held here. */
  const isHeld = (sequence: number): boolean => forgotten !== undefined && sequence >= forgotten
  const earlier = (from: number): Stream.Stream<FeedBatch, ApiFailure> =>
    Stream.suspend(() => {
      if (isHeld(from)) return Stream.empty
      const own = new SourceOrders(orders)
      return nats.tail({ stream: activities.name, from: from + 1, strict: true }).pipe(
        Stream.mapError((error) => failureFrom(error, from)),
        Stream.mapArray((messages) => [
          {
            messages: messages.flatMap((stored) => own.messageFrom(stored) ?? []),
            position: messages.at(-1)?.sequence ?? from
          }
        ]),
        Stream.takeUntil((batch) => isHeld(batch.position))
      )
    })

  const open = (asked: number): Effect.Effect<FeedReader, ApiFailure> =>
    Effect.gen(function* () {
      const state = yield* nats.streamState(activities.name).pipe(
        Effect.timeout(answerWait),
        Effect.mapError(() => unavailable("watching is not possible now: the bus does not answer"))
      )
      const from = asked === 0 ? state.firstSequence - 1 : asked
      if (from + 1 < state.firstSequence) return yield* tooOld(from, state.firstSequence - 1)
      if (from > state.lastSequence) {
        return yield* expired(`resource version ${from} is beyond the current one (${state.lastSequence}): list again`)
      }
      yield* started.pipe(
        Effect.timeoutOrElse({
          duration: answerWait,
          orElse: () => Effect.fail(unavailable("watching is not possible yet: the stream is still being read"))
        })
      )
      const opened = position
      const superseded = ({ key, sequence }: FeedMessage): boolean => {
        if (sequence >= opened) return false
        const latest = orders.latest(key)
        return latest > sequence && latest <= opened
      }
      return { position: from, earlier: earlier(from), after, superseded }
    })

  const started: Effect.Effect<void> = Effect.suspend(() =>
    forgotten === undefined ? Deferred.await(changed).pipe(Effect.andThen(started)) : Effect.void
  )

  return ActivityFeed.of({
    floor,
    reached,
    highestSent: () => highestSent,
    sent: (sequence) => void (highestSent = Math.max(highestSent, sequence)),
    open,
    problem: () => (running ? undefined : "the tail of ACTIVITIES is not running: watches hear nothing new")
  })
})

/** Which sight of each activity is the latest, without reading bodies. */
const readOrders = (
  nats: Nats["Service"],
  orders: SourceOrders,
  first: number,
  last: number
): Effect.Effect<void, NatsError> =>
  nats.tail({ stream: activities.name, from: first, headersOnly: true }).pipe(
    Stream.takeUntil((message) => message.sequence >= last),
    Stream.runForEachArray((messages) => Effect.sync(() => messages.forEach((message) => void orders.isStale(message))))
  )

const tooOld = (from: number, first: number): ApiFailure => expired(`too old resource version: ${from} (${first})`)

const failureFrom = (error: NatsError, from: number): ApiFailure =>
  error.reason._tag === "NatsRefused" && error.reason.code === 410
    ? tooOld(from, from + 1)
    : unavailable("watching is not possible now: the bus does not answer")

/** The index of the first message after `sequence`. */
const indexAfter = (messages: ReadonlyArray<FeedMessage>, sequence: number): number => {
  let low = 0
  let high = messages.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((messages[middle]?.sequence ?? 0) > sequence) high = middle
    else low = middle + 1
  }
  return low
}
