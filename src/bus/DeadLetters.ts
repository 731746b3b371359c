/**
 * Dead letters that are tried again: those of policies 1 minute after they were written, then twice as long each time,
 * at most 24 hours, and at once when their policy has changed, also while nobody ran; and every other one when somebody
 * wants it.
 *
 * What is due is kept in memory and rebuilt from headers at start; nothing is kept anywhere else. A letter that fails
 * again is written anew with one attempt more, and only then is the old one deleted: a crash between the two leaves
 * both, and the older is deleted when it is seen. Several replicas may run this at once; what they do twice has the same
 * ids. What somebody redrives or discards while it is tried is not written anew.
 *
 * Letters that nobody tries again (what cannot be read stays so) are kept for people to look at, as long as there is
 * room: they are removed, oldest first, when the stream is nearly full, so that it has room for those that can be mended.
 */
import { Clock, Context, Effect, Layer, Option, Schedule, Stream } from "effect"
import { Nats, type NatsError, type OutgoingMessage, type StoredMessage } from "../clients/nats/Nats.ts"
import {
  type DeadLetter,
  deadLetterFrom,
  dueMillisOf,
  factOf,
  headersOf,
  placeOf,
  policyFailed
} from "../domain/deadLetter.ts"
import { uuidFrom } from "../domain/identity.ts"
import { ownTexts } from "../domain/ownTexts.ts"
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

export interface WaitingLetter extends Pick<
  DeadLetter,
  "attempts" | "discarded" | "generation" | "policy" | "program" | "reason" | "redriven"
> {
  readonly sequence: number
  /** What letters of one fact have in common; undefined: it is the only one. */
  readonly fact: string | undefined
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

/** Whoever discarded a letter knows what became of it by then: what stands for it is in nobody's way. */
const discardedMillis = 60_000

/** All of them are held: nothing of the message stays with them. */
const letterFrom = (message: StoredMessage, ownText: (text: string) => string): WaitingLetter => {
  const letter = deadLetterFrom(message)
  const { attempts, discarded, generation, redriven } = letter
  const due = discarded ? message.timeMillis + discardedMillis : dueMillisOf(letter, message.timeMillis)
  return {
    ...{ attempts, discarded, generation, redriven },
    program: ownText(letter.program),
    reason: ownText(letter.reason),
    policy: ownText(letter.policy),
    sequence: message.sequence,
    fact: factOf(message),
    dueMillis: due ?? Infinity
  }
}

/** It stays as it is however often it is tried. */
const isFinal = (letter: WaitingLetter): boolean =>
  letter.reason !== policyFailed && !letter.redriven && !letter.discarded

const makeDeadLetters = Effect.gen(function* () {
  const nats = yield* Nats
  const ownText = ownTexts()
  const letters = new Map<number, WaitingLetter>()
  /** The newest letter of one failing fact. */
  const newest = new Map<string, number>()
  /** Replaced by a newer one. */
  const superseded = new Set<number>()
  let trimmed = 0

  const learn = (message: StoredMessage, isOutdated: (letter: WaitingLetter) => boolean): void => {
    const read = letterFrom(message, ownText)
    const isDue = !read.discarded && isOutdated(read)
    const letter = isDue ? { ...read, dueMillis: message.timeMillis } : read
    letters.set(letter.sequence, letter)
    const { fact } = letter
    if (fact === undefined) return
    const known = letters.get(newest.get(fact) ?? 0)
    // What comes behind a discarded letter is another failure of its fact.
    const isNewest = known === undefined || known.discarded || letter.discarded || known.attempts <= letter.attempts
    if (isNewest) newest.set(fact, letter.sequence)
    const older = isNewest ? known : letter
    if (older !== undefined && older.sequence !== newest.get(fact)) superseded.add(older.sequence)
  }

  const forget = (sequence: number): void => {
    const letter = letters.get(sequence)
    letters.delete(sequence)
    superseded.delete(sequence)
    const fact = letter?.fact
    if (fact !== undefined && newest.get(fact) === sequence) newest.delete(fact)
  }

  const remove = (sequence: number) =>
    nats.deleteMessage(deadLetters.name, sequence).pipe(Effect.andThen(Effect.sync(() => forget(sequence))))

  /** False: somebody else has redriven or discarded it meanwhile, and deletes it. */
  const writtenAnew = (found: StoredMessage, message: OutgoingMessage): Effect.Effect<boolean, NatsError> => {
    const place = placeOf(found)
    if (place === undefined) return Effect.as(nats.publish([message]), true)
    const { last, subject } = place
    return nats.publishAfter({ stream: deadLetters.name, last, message: { ...message, subject } }).pipe(
      Effect.as(true),
      Effect.catchIf(
        ({ reason }) => reason._tag === "RevisionMismatch",
        () => Effect.succeed(false)
      )
    )
  }

  const later = (letter: WaitingLetter) =>
    Effect.map(
      Clock.currentTimeMillis,
      (now) => void letters.set(letter.sequence, { ...letter, dueMillis: now + pauseMillis })
    )

  const tryOne = <E extends { readonly retryable: boolean }, R>(
    letter: WaitingLetter,
    retry: RetryOptions<E, R>["retry"]
  ) =>
    Effect.gen(function* () {
      if (superseded.has(letter.sequence) || letter.discarded) return yield* remove(letter.sequence)
      const found = yield* nats.messageAt(deadLetters.name, letter.sequence)
      if (Option.isNone(found)) return forget(letter.sequence)
      const outcome = yield* retry(found.value)
      if (outcome._tag === "Failed") {
        const isWritten = yield* writtenAnew(found.value, triedAgain(found.value, letter, outcome))
        if (!isWritten) return yield* later(letter)
      }
      yield* remove(letter.sequence)
    }).pipe(
      Effect.catchIf(
        (error) => error.retryable,
        () => later(letter)
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
    waiting: () => [...letters.values()].filter((letter) => !letter.discarded && !superseded.has(letter.sequence)),
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
