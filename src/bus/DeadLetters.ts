/**
 * Dead letters that are tried again: those of policies 1 minute after they were written, then twice as long each time,
 * at most 24 hours, and at once when their policy has changed, also while nobody ran; and every other one when somebody
 * wants it.
 *
 * What is due is kept in memory and rebuilt from headers at start; nothing is kept anywhere else. A letter that fails
 * again is written anew with one attempt more, and only then is the old one deleted: a crash between the two leaves
 * both, and the older is deleted when it is seen. Several replicas may run this at once; what they do twice has the same
 * ids.
 *
 * Letters that nobody tries again (what cannot be read stays so) are kept for people to look at, as long as there is
 * room: they are removed, oldest first, when the stream is nearly full, so that it has room for those that can be mended.
 */
import { Clock, Context, Effect, Layer, Option, Schedule, Stream } from "effect"
import { Nats, type NatsError, type StoredMessage } from "../clients/nats/Nats.ts"
import { type DeadLetter, deadLetterFrom, dueMillisOf, headersOf, policyFailed } from "../domain/deadLetter.ts"
import { uuidFrom } from "../domain/identity.ts"
import { deadLetters, headerNames } from "../domain/streams.ts"

/** What became of a letter that was tried again. */
export type RetryOutcome =
  /** Its fact is safe elsewhere, or is none any more: it is deleted. */
  | { readonly _tag: "Settled" }
  /** It waits again, longer. */
  | {
      readonly _tag: "Failed"
      readonly cause: string
      readonly policy?: string
      readonly generation?: number
      readonly rule?: string
    }

export interface WaitingLetter extends DeadLetter {
  readonly sequence: number
  readonly subject: string
  /** Milliseconds since 1970. Infinity: nobody tries it again. */
  readonly dueMillis: number
}

export interface RetryOptions<E, R = never> {
  /** Which letters are this program's to try; the others stay as they are. */
  readonly accepts: (letter: WaitingLetter) => boolean
  /** Asked of each letter when it is read: what it failed on has changed meanwhile, so that it is due at once. */
  readonly isOutdated?: (letter: WaitingLetter) => boolean
  /** May fail retryably: then the letter is left as it is for a while. */
  readonly retry: (letter: StoredMessage) => Effect.Effect<RetryOutcome, E, R>
}

export class DeadLetters extends Context.Service<
  DeadLetters,
  {
    /** Follows the stream and tries what is due, for ever. */
    readonly run: <E extends { readonly retryable: boolean }, R>(
      options: RetryOptions<E, R>
    ) => Effect.Effect<never, E | NatsError, R>
    /** The policy has changed: its letters are due now. */
    readonly wake: (policy: string) => Effect.Effect<void>
    /** Letters that are known, whoever is to try them. */
    readonly waiting: () => ReadonlyArray<WaitingLetter>
    /** How many were removed for want of room; never any that is tried again. */
    readonly trimmed: () => number
  }
>()("activity/bus/DeadLetters") {
  static readonly layer: Layer.Layer<DeadLetters, never, Nats> = Layer.effect(
    this,
    Effect.suspend(() => makeDeadLetters)
  )
}

/** After a try that could not be made (the bus or the store is away). */
const pauseMillis = 5_000
const lookPause = "1 second"
/** Tried between two looks: each is one read, one evaluation, one delete. */
const perLookMax = 200
const triesAtOnce = 4
/** Above this part of the budget they are removed, down to the lower. */
const fullPart = 0.8
const roomyPart = 0.7
/** A look removes no more: some 100 ms. */
const trimLettersMax = 2_000
const removesAtOnce = 32

const letterFrom = (message: StoredMessage): WaitingLetter => {
  const letter = deadLetterFrom(message)
  return {
    ...letter,
    sequence: message.sequence,
    subject: message.subject,
    dueMillis: dueMillisOf(letter, message.timeMillis) ?? Infinity
  }
}

/** It stays as it is however often it is tried. */
const isFinal = (letter: WaitingLetter): boolean => letter.reason !== policyFailed && !letter.redriven

const makeDeadLetters = Effect.gen(function* () {
  const nats = yield* Nats
  const letters = new Map<number, WaitingLetter>()
  /** The newest letter of one failing fact, by subject and position. */
  const newest = new Map<string, number>()
  /** Replaced by a newer one. */
  const superseded = new Set<number>()
  let trimmed = 0

  const keyOf = (letter: WaitingLetter): string | undefined =>
    letter.position === "" ? undefined : `${letter.subject} ${letter.position}`

  const learn = (message: StoredMessage, isOutdated: (letter: WaitingLetter) => boolean): void => {
    const read = letterFrom(message)
    const letter = isOutdated(read) ? { ...read, dueMillis: message.timeMillis } : read
    letters.set(letter.sequence, letter)
    const key = keyOf(letter)
    if (key === undefined) return
    const known = letters.get(newest.get(key) ?? 0)
    const older = known === undefined || known.attempts <= letter.attempts ? known : letter
    if (older !== letter) newest.set(key, letter.sequence)
    if (older !== undefined && older.sequence !== newest.get(key)) superseded.add(older.sequence)
  }

  const forget = (sequence: number): void => {
    const letter = letters.get(sequence)
    letters.delete(sequence)
    superseded.delete(sequence)
    const key = letter === undefined ? undefined : keyOf(letter)
    if (key !== undefined && newest.get(key) === sequence) newest.delete(key)
  }

  const remove = (sequence: number) =>
    nats.deleteMessage(deadLetters.name, sequence).pipe(Effect.andThen(Effect.sync(() => forget(sequence))))

  const tryOne = <E extends { readonly retryable: boolean }, R>(
    letter: WaitingLetter,
    retry: RetryOptions<E, R>["retry"]
  ) =>
    Effect.gen(function* () {
      if (superseded.has(letter.sequence)) return yield* remove(letter.sequence)
      const found = yield* nats.messageAt(deadLetters.name, letter.sequence)
      if (Option.isNone(found)) return forget(letter.sequence)
      const outcome = yield* retry(found.value)
      if (outcome._tag === "Failed") yield* nats.publish([triedAgain(found.value, letter, outcome)])
      yield* remove(letter.sequence)
    }).pipe(
      Effect.catchIf(
        (error) => error.retryable,
        () =>
          Effect.map(
            Clock.currentTimeMillis,
            (now) => void letters.set(letter.sequence, { ...letter, dueMillis: now + pauseMillis })
          )
      )
    )

  const look = <E extends { readonly retryable: boolean }, R>(options: RetryOptions<E, R>) =>
    Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      const due: Array<WaitingLetter> = []
      for (const letter of letters.values()) {
        if (due.length >= perLookMax) break
        if ((letter.dueMillis <= now || superseded.has(letter.sequence)) && options.accepts(letter)) due.push(letter)
      }
      yield* Effect.forEach(due, (letter) => tryOne(letter, options.retry), { concurrency: triesAtOnce, discard: true })
    })

  const trim = Effect.gen(function* () {
    const { messages, sizeBytes, sizeBytesMax } = yield* nats.streamState(deadLetters.name)
    if (messages === 0 || sizeBytes <= sizeBytesMax * fullPart) return
    const excess = Math.ceil((sizeBytes - sizeBytesMax * roomyPart) / (sizeBytes / messages))
    const goes: Array<number> = []
    // In the order in which they were written.
    for (const letter of letters.values()) {
      if (goes.length >= Math.min(excess, trimLettersMax)) break
      if (isFinal(letter)) goes.push(letter.sequence)
    }
    if (goes.length === 0) return
    if (trimmed === 0) {
      yield* Effect.logWarning(
        "dead letters that nobody tries again are removed, oldest first: their stream is nearly full"
      )
    }
    yield* Effect.forEach(
      goes,
      (sequence) =>
        nats.deleteMessage(deadLetters.name, sequence).pipe(
          Effect.map((deleted) => {
            if (deleted) trimmed++
            forget(sequence)
          })
        ),
      { concurrency: removesAtOnce, discard: true }
    )
  }).pipe(
    // The next look comes soon.
    Effect.catchIf(
      (error) => error.retryable,
      () => Effect.void
    )
  )

  const follow = ({ isOutdated = () => false }: Pick<RetryOptions<never>, "isOutdated">) =>
    nats.tail({ stream: deadLetters.name, from: 1, headersOnly: true }).pipe(
      Stream.runForEachArray((messages) =>
        Effect.sync(() => {
          for (const message of messages) learn(message, isOutdated)
        })
      )
    )

  return DeadLetters.of({
    run: (options) =>
      Effect.all(
        [
          follow(options),
          look(options).pipe(Effect.repeat(Schedule.spaced(lookPause))),
          trim.pipe(Effect.repeat(Schedule.spaced(lookPause)))
        ],
        { concurrency: "unbounded", discard: true }
      ).pipe(Effect.andThen(Effect.never)),
    wake: (policy) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        for (const letter of letters.values()) {
          if (letter.policy === policy)
            letters.set(letter.sequence, { ...letter, dueMillis: Math.min(letter.dueMillis, now) })
        }
      }),
    waiting: () => [...letters.values()].filter((letter) => !superseded.has(letter.sequence)),
    trimmed: () => trimmed
  })
})

/** The same letter with one attempt more and the newest cause. */
const triedAgain = (
  message: StoredMessage,
  letter: WaitingLetter,
  outcome: Extract<RetryOutcome, { _tag: "Failed" }>
) => {
  const { [headerNames.redriven]: _, ...headers } = headersOf(message)
  const attempts = String(letter.attempts + 1)
  return {
    subject: message.subject,
    id: uuidFrom("dead", "retry", String(letter.sequence), attempts),
    body: message.body,
    headers: {
      ...headers,
      [headerNames.attempts]: attempts,
      [headerNames.cause]: outcome.cause,
      ...(outcome.policy === undefined ? {} : { [headerNames.policy]: outcome.policy }),
      ...(outcome.generation === undefined ? {} : { [headerNames.generation]: String(outcome.generation) }),
      ...(outcome.rule === undefined ? {} : { [headerNames.rule]: outcome.rule })
    }
  }
}
