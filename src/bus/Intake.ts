/**
 * Where facts become durable: in the bus, else in the local spool.
 *
 * What the bus does not take now is spooled and replayed beside live traffic, so order is not promised. A stream that is
 * full holds up nothing but its own: the rest goes past it, live and from the spool. Per process life
 * `received = published + duplicates + spooled + refused + returned` (messages), and `spooled` of this and earlier lives
 * = `replayed` + what the spool still holds.
 */
import { Clock, Context, type Duration, Effect, Layer, Schema } from "effect"
import { Nats, NatsError, type OutgoingMessage, type PublishAck } from "../clients/nats/Nats.ts"
import { uuidFrom } from "../domain/identity.ts"
import { allStreams, headerNames } from "../domain/streams.ts"
import { deadLetterSubject } from "../domain/subject.ts"
import { StartRefused } from "../runtime/StartRefused.ts"
import { openSpool, type Spool, type SpoolOptions, type SpoolState, type SpoolUnavailable } from "./Spool.ts"

/**
 * A bus that says nothing for so long is not waited for when there is a spool: a server that hangs is noticed only after
 * 20 seconds, and kube-apiserver gives up on its request after 30.
 */
const busWait = "5 seconds"
/** Between two looks at a bus that is away. */
const replayPause = "1 second"
/** Between two tries to bring spooled messages to a stream that does not take them; each costs the rest 2 seconds. */
const closedMillis = 5_000
/** A spool that is fuller than this takes no batch of 10 MiB any more, with the default of 2 GiB. */
const spoolFullPart = 0.99
/** Subject, id and headers of a dead letter. */
const letterOverheadBytes = 16 * 1024

/** Neither bus nor spool takes the batch. Some of it may be stored: send all of it again, with the same ids. */
export class IntakeFull extends Schema.TaggedError<IntakeFull>()("IntakeFull", {
  /** `full`: both hold all they may, or the disk fails. `unavailable`: the bus is away and there is no spool. */
  state: Schema.Literals(["full", "unavailable"]),
  cause: Schema.Defect()
}) {
  readonly retryable = true
}

export interface IntakeResult {
  readonly published: number
  readonly duplicates: number
  readonly spooled: number
  /** The bus will never take them: they are dead letters. */
  readonly refused: number
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

export class Intake extends Context.Service<
  Intake,
  {
    /** Returns when each message is stored by the bus, is in the spool, or is a dead letter. */
    readonly publish: (messages: ReadonlyArray<OutgoingMessage>) => Effect.Effect<IntakeResult, IntakeFull>
    /** Brings what was spooled to the bus, for ever; runs beside `publish`. */
    readonly replay: Effect.Effect<never, SpoolUnavailable>
    readonly counts: () => Readonly<IntakeCounts>
    readonly spool: () => SpoolState | undefined
    /** A sentence while nothing can be taken, for the probes. */
    readonly problem: () => string | undefined
  }
>()("activity/bus/Intake") {
  /** @param options a `sizeBytesMax` of 0 leaves the spool out: then a bus that is away or full is the sender's to wait for */
  static readonly layer = (options: SpoolOptions): Layer.Layer<Intake, StartRefused, Nats> =>
    Layer.effect(
      Intake,
      Effect.gen(function* () {
        const nats = yield* Nats
        const spool =
          options.sizeBytesMax === 0
            ? undefined
            : yield* openSpool(options).pipe(
                Effect.mapError(
                  (error) =>
                    new StartRefused({
                      sentence:
                        error._tag === "FolderLocked"
                          ? `The spool ${error.message}. Stop it, or name another folder.`
                          : `The spool folder ${options.folder} cannot be used: ${causeText(error.cause)}.`
                    })
                )
              )
        return makeIntake(nats, spool)
      })
    )
}

const causeText = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

const makeIntake = (nats: Nats["Service"], spool: Spool | undefined): Intake["Service"] => {
  const counts: IntakeCounts = {
    received: 0,
    published: 0,
    duplicates: 0,
    spooled: 0,
    refused: 0,
    returned: 0,
    replayed: 0
  }

  const keep = (
    messages: ReadonlyArray<OutgoingMessage>,
    cause: NatsError | undefined
  ): Effect.Effect<void, IntakeFull> => {
    const giveBack = (failure: IntakeFull) =>
      Effect.suspend(() => {
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

  /** Whose last try left messages over though there is a connection, and when: the stream is full, or the bus hangs. */
  const closed = new Map<string, number>()
  const learn = (tried: ReadonlyArray<OutgoingMessage>, result: Tried, now: number): void => {
    for (const family of familiesOf(tried)) closed.delete(family)
    if (nats.connected()) for (const family of result.leftFamilies) closed.set(family, now)
  }
  /**
   * A bus that is away, and a stream that is known to be full, are not waited for when there is somewhere else to go: the
   * sender hears at once what became of its batch. While the spool holds something its replay tries them for all.
   */
  const goesToSpool = (message: OutgoingMessage): boolean =>
    spool !== undefined && (!nats.connected() || (closed.has(familyOf(message)) && spool.state().messages > 0))

  return Intake.of({
    publish: Effect.fnUntraced(function* (messages) {
      counts.received += messages.length
      const aside = new Set(messages.filter(goesToSpool))
      const tried = messages.filter((message) => !aside.has(message))
      const result = yield* spool === undefined ? tryBus(nats, tried) : tryBusFor(busWait, nats, tried)
      learn(tried, result, yield* Clock.currentTimeMillis)
      counts.published += result.published
      counts.duplicates += result.duplicates
      counts.refused += result.refused
      const left = [...aside, ...result.left]
      if (left.length > 0) yield* keep(left, result.cause)
      const { duplicates, published, refused } = result
      return { published, duplicates, refused, spooled: left.length }
    }),
    replay:
      spool === undefined
        ? Effect.never
        : spool.drain(
            Effect.fnUntraced(function* (messages) {
              while (!nats.connected()) yield* Effect.sleep(replayPause)
              const now = yield* Clock.currentTimeMillis
              const aside = new Set(
                messages.filter((message) => now - (closed.get(familyOf(message)) ?? -closedMillis) < closedMillis)
              )
              const tried = messages.filter((message) => !aside.has(message))
              const result = yield* tryBus(nats, tried)
              learn(tried, result, yield* Clock.currentTimeMillis)
              counts.replayed += tried.length - result.left.length
              return [...aside, ...result.left]
            })
          ),
    counts: () => ({ ...counts }),
    spool: () => spool?.state(),
    problem: () => {
      if (nats.connected()) return undefined
      if (spool === undefined) return "the bus is away and there is no spool"
      const { problem, sizeBytes, sizeBytesMax } = spool.state()
      if (problem !== undefined) return `the bus is away and ${problem}`
      return sizeBytes < sizeBytesMax * spoolFullPart ? undefined : "the bus is away and the spool is full"
    }
  })
}

/** The first token of the subject: each stream has its own. */
const familyOf = ({ subject }: OutgoingMessage): string => subject.split(".", 1)[0] ?? ""

const familiesOf = (messages: ReadonlyArray<OutgoingMessage>): ReadonlySet<string> => new Set(messages.map(familyOf))

interface Tried extends Omit<IntakeResult, "spooled"> {
  /** What the bus does not take now. */
  readonly left: ReadonlyArray<OutgoingMessage>
  /** Those whose stream did not take them; not those whose dead letter was not taken. */
  readonly leftFamilies: ReadonlySet<string>
  readonly cause: NatsError | undefined
}

/** The same, and no longer than `wait`: then all is left. What was stored of it meanwhile is stored once, by its id. */
const tryBusFor = (wait: Duration.Input, nats: Nats["Service"], messages: ReadonlyArray<OutgoingMessage>) =>
  tryBus(nats, messages).pipe(
    Effect.timeoutOrElse({
      duration: wait,
      orElse: () =>
        Effect.succeed<Tried>({
          published: 0,
          duplicates: 0,
          refused: 0,
          left: messages,
          leftFamilies: familiesOf(messages),
          cause: undefined
        })
    })
  )

/** Publishes, and sets aside what the bus will never take. */
const tryBus = (nats: Nats["Service"], messages: ReadonlyArray<OutgoingMessage>): Effect.Effect<Tried> =>
  Effect.gen(function* () {
    const { cause, duplicates, left, published, refused } = sorted(messages, yield* nats.publishEach(messages))
    const leftFamilies = familiesOf(left)
    if (refused.length === 0) return { published, duplicates, refused: 0, left, leftFamilies, cause }
    const letters = refused.map(({ error, message }) => letterOf(message, error, nats.messageSizeBytesMax()))
    const aside = sorted(
      refused.map(({ message }) => message),
      yield* nats.publishEach(letters)
    )
    for (const { error, message } of aside.refused) {
      // Not even its dead letter is taken: a person has to look. Kept where it can be, and said.
      left.push(message)
      yield* Effect.logError("a message and its dead letter were refused", error).pipe(
        Effect.annotateLogs({ subject: message.subject, id: message.id })
      )
    }
    const lettered = aside.published + aside.duplicates
    return {
      published,
      duplicates,
      refused: lettered,
      left: [...left, ...aside.left],
      leftFamilies,
      cause: cause ?? aside.cause
    }
  })

const sorted = (messages: ReadonlyArray<OutgoingMessage>, outcomes: ReadonlyArray<PublishAck | NatsError>) => {
  let published = 0
  let duplicates = 0
  let cause: NatsError | undefined
  const refused: Array<{ readonly message: OutgoingMessage; readonly error: NatsError }> = []
  const left: Array<OutgoingMessage> = []
  for (const [index, outcome] of outcomes.entries()) {
    const message = messages[index]
    if (message === undefined) continue
    if (!(outcome instanceof NatsError)) {
      if (outcome.duplicate) duplicates++
      else published++
    } else if (outcome.retryable) {
      left.push(message)
      cause ??= outcome
    } else refused.push({ message, error: outcome })
  }
  return { published, duplicates, refused, left, cause }
}

/** As much of it as a message may hold, with why. */
const letterOf = (message: OutgoingMessage, error: NatsError, sizeBytesMax: number): OutgoingMessage => {
  const stream =
    allStreams.find(({ subjects }) => subjects.some((subject) => message.subject.startsWith(subject.replace(/>$/, ""))))
      ?.name ?? ""
  const body = message.body.subarray(0, Math.max(0, sizeBytesMax - letterOverheadBytes))
  return {
    subject: deadLetterSubject(stream, "intake", "refused", ""),
    id: uuidFrom("dead", "intake", message.subject, message.id),
    body,
    headers: {
      ...message.headers,
      [headerNames.cause]: `${error.reason._tag}: ${error.reason.message}`.slice(0, 1_000),
      [headerNames.attempts]: "1"
    }
  }
}
