/**
 * The letters of DEAD_LETTERS, grouped by why they are there.
 *
 * Everything is read from headers, again whenever the stream is not as it was: deletions leave no message that could be
 * followed. Versions are microseconds since 1970, so that what one replica gave another understands.
 *
 * All letters are held, without bodies, as a few numbers each: of 200,000 25 MB, and 270 MB at the most while they are read, in 3 s
 * of CPU.
 */
import { randomUUID } from "node:crypto"
import { Clock, Context, Effect, Layer, Option, Semaphore, Stream } from "effect"
import {
  Nats,
  type NatsError,
  type OutgoingMessage,
  type StoredMessage,
  type StreamState
} from "../clients/nats/Nats.ts"
import { type DeadLetter, deadLetterFrom, headersOf, placeOf } from "../domain/deadLetter.ts"
import { uuidFrom } from "../domain/identity.ts"
import { ownTexts } from "../domain/ownTexts.ts"
import { deadLetters, headerNames } from "../domain/streams.ts"

/** Letters that one cause explains. */
export interface LetterGroup extends Omit<DeadLetter, "attempts" | "discarded" | "position" | "redriven"> {
  /** `<reason>-` and ten hex digits of what the letters have in common: all of the above but the generation. */
  readonly name: string
  /** In the order in which they were last written, without those that a newer one of the same fact replaces. */
  readonly letters: ReadonlyArray<Letter>
  /** When this replica saw the group change; clients see it as its resourceVersion. */
  readonly version: number
  /** When this replica first saw it. */
  readonly since: number
}

/** There may be a million: numbers alone. */
export interface Letter {
  readonly sequence: number
  /** In the group's stream, of the message that it was; 0 where it never was one. */
  readonly source: number
  readonly attempts: number
  /** When it was last tried, in milliseconds since 1970. */
  readonly triedMillis: number
  /** Somebody wants it tried at once. */
  readonly redriven: boolean
}

export interface LetterGroups {
  readonly groups: ReadonlyMap<string, LetterGroup>
  /** Holds every change before it. */
  readonly version: number
}

export interface LetterChange {
  readonly type: "ADDED" | "MODIFIED" | "DELETED"
  readonly group: LetterGroup
}

export interface LetterChanges {
  readonly changes: ReadonlyArray<LetterChange>
  /** From where to go on. */
  readonly version: number
}

/** What became of letters that somebody decided about. */
export interface Settled {
  readonly done: number
  /** They were gone already: tried successfully, or settled by somebody else. */
  readonly gone: number
}

export class DeadLetterGroups extends Context.Service<
  DeadLetterGroups,
  {
    /** As they were at most half a second ago; longer ago where there are so many that reading them takes longer. */
    readonly current: Effect.Effect<LetterGroups, NatsError>
    /**
     * What changed after `version`, with what this replica noticed just before it: clocks of replicas differ. Undefined
     * when that is not known here (any more).
     */
    readonly since: (version: number) => Effect.Effect<LetterChanges | undefined, NatsError>
    /** Waits for changes after the version of the last ones. */
    readonly after: (version: number) => Effect.Effect<LetterChanges | undefined, NatsError>
    /** The letter with its body; none when it is gone. */
    readonly letterAt: (sequence: number) => Effect.Effect<Option.Option<StoredMessage>, NatsError>
    /**
     * Their programs try them again at once. Each is written anew before it is deleted: a crash between the two leaves
     * both, of which the newer one counts.
     */
    readonly redrive: (sequences: ReadonlyArray<number>) => Effect.Effect<Settled, NatsError>
    /**
     * Deletes them for good: of this and a redrive of another replica one is done to each, and the other finds it gone. So
     * it finds those that were redriven less than a minute ago, which are their programs' to try.
     *
     * @decision 0033-reindexing-and-dead-letters-of-several
     */
    readonly discard: (sequences: ReadonlyArray<number>) => Effect.Effect<Settled, NatsError>
  }
>()("activity/store/DeadLetterGroups") {
  static readonly layer: Layer.Layer<DeadLetterGroups, never, Nats> = Layer.effect(
    this,
    Effect.suspend(() => makeDeadLetterGroups)
  )
}

/** Between two looks at the stream while somebody waits. */
const lookMillis = 500

/** Of the time, at most this part is spent reading headers: a stream of millions takes seconds. */
const readingPart = 0.2

/** Clocks of replicas differ by less: what happened so long before is told once more, which changes nothing. */
const clockSkewMicroseconds = 5_000_000

const tombstonesMax = 1_000

const settledAtOnce = 32

/** Programs try what is redriven within a second or two; one that is away is not waited for longer. */
const redrivenMillis = 60_000

/** Causes that have values in them would make a group of each letter. */
const causesMax = 1_000
const otherCauses = "other causes"

const makeDeadLetterGroups = Effect.gen(function* () {
  const nats = yield* Nats
  const looking = yield* Semaphore.make(1)
  let known: LetterGroups = { groups: new Map(), version: 0 }
  let seen: StreamState | undefined
  /** What went, oldest first. */
  const tombstones: Array<LetterGroup> = []
  /** Changes up to here are not all known. */
  let oldest = 0
  let restUntil = 0

  const look = Effect.gen(function* () {
    const began = yield* Clock.currentTimeMillis
    if (began < restUntil) return
    if (seen !== undefined && isSame(seen, yield* nats.streamState(deadLetters.name))) {
      known = { ...known, version: Math.max(known.version, began * 1000) }
      restUntil = began + lookMillis
      return
    }
    const { groups: read, state } = yield* readLetters(nats)
    const ended = yield* Clock.currentTimeMillis
    // The whole is as of the beginning, what changed as of the end: who goes on from there may see a change twice, and
    // misses none.
    const noticed = ended * 1000 + 1
    const groups = groupsFrom(read, known.groups, noticed)
    if (seen === undefined) oldest = began * 1000
    for (const [name, group] of known.groups) if (!groups.has(name)) tombstones.push({ ...group, version: noticed })
    const forgotten = tombstones.splice(0, Math.max(0, tombstones.length - tombstonesMax))
    oldest = forgotten.at(-1)?.version ?? oldest
    seen = state
    known = { groups, version: Math.max(known.version, began * 1000) }
    restUntil = ended + Math.max(lookMillis, (ended - began) * (1 / readingPart - 1))
  }).pipe(looking.withPermits(1))

  const changesFrom = (from: number): LetterChanges | undefined => {
    if (from < oldest) return undefined
    const changed = [...known.groups.values()].filter(({ version }) => version > from)
    const changes: ReadonlyArray<LetterChange> = [
      ...tombstones.filter(({ version }) => version > from).map((group) => ({ type: "DELETED" as const, group })),
      ...changed.map((group) => ({ type: group.since > from ? ("ADDED" as const) : ("MODIFIED" as const), group }))
    ]
    return { changes, version: changes.reduce((highest, { group }) => Math.max(highest, group.version), from) }
  }

  const after = (version: number): Effect.Effect<LetterChanges | undefined, NatsError> =>
    Effect.gen(function* () {
      for (;;) {
        yield* look
        const found = changesFrom(version)
        if (found === undefined || found.changes.length > 0) return found
        yield* Effect.sleep(lookMillis)
      }
    })

  const settle = (sequences: ReadonlyArray<number>, one: (sequence: number) => Effect.Effect<boolean, NatsError>) =>
    Effect.gen(function* () {
      const done = yield* Effect.forEach(sequences, one, { concurrency: settledAtOnce })
      // What is asked for next is what this has left.
      restUntil = 0
      return { done: done.filter(Boolean).length, gone: done.filter((did) => !did).length }
    })

  /** @returns its sequence, undefined when somebody else was faster */
  const writtenInPlace = (letter: StoredMessage, message: OutgoingMessage, last: number) =>
    nats.publishAfter({ stream: deadLetters.name, last, message }).pipe(
      Effect.tap(() => nats.deleteMessage(deadLetters.name, letter.sequence)),
      Effect.map((ack): number | undefined => ack.sequence),
      Effect.catchIf(
        ({ reason }) => reason._tag === "RevisionMismatch",
        () => Effect.succeed(undefined)
      )
    )

  const redriveOne = (sequence: number) =>
    Effect.gen(function* () {
      const letter = Option.getOrUndefined(yield* nats.messageAt(deadLetters.name, sequence))
      const place = letter === undefined ? undefined : placeOf(letter)
      if (letter === undefined || place === undefined) return false
      const written = yield* writtenInPlace(letter, redrivenLetter(letter, place.subject), place.last)
      return written !== undefined
    })

  const discardOne = (sequence: number) =>
    Effect.gen(function* () {
      const letter = Option.getOrUndefined(yield* nats.messageAt(deadLetters.name, sequence))
      if (letter === undefined) return false
      const place = placeOf(letter)
      if (place === undefined) return yield* nats.deleteMessage(deadLetters.name, sequence)
      const since = (yield* Clock.currentTimeMillis) - letter.timeMillis
      if (deadLetterFrom(letter).redriven && since < redrivenMillis) return false
      const written = yield* writtenInPlace(letter, discardedLetter(letter, place.subject), place.last).pipe(
        // What makes room needs none: nobody redrives it into a full stream.
        Effect.catchIf(
          ({ reason }) => reason._tag === "StreamFull",
          () => Effect.map(nats.deleteMessage(deadLetters.name, sequence), (did) => (did ? sequence : undefined))
        )
      )
      if (written === undefined) return false
      if (written !== sequence) yield* nats.deleteMessage(deadLetters.name, written)
      return true
    })

  return DeadLetterGroups.of({
    current: Effect.map(look, () => known),
    since: (version) =>
      Effect.map(look, () =>
        changesFrom(version < oldest ? version : Math.max(oldest, version - clockSkewMicroseconds))
      ),
    after,
    letterAt: (sequence) => nats.messageAt(deadLetters.name, sequence),
    redrive: (sequences) => settle(sequences, redriveOne),
    discard: (sequences) => settle(sequences, discardOne)
  })
})

const isSame = (one: StreamState, other: StreamState): boolean =>
  one.firstSequence === other.firstSequence &&
  one.lastSequence === other.lastSequence &&
  one.messages === other.messages

/** Letters of one cause, while they are read. */
interface ReadGroup extends Pick<LetterGroup, "cause" | "policy" | "program" | "reason" | "rule" | "stream"> {
  readonly letters: Array<Letter>
  generation: number
}

/** Nothing comes for so long although more should: letters went meanwhile, the last one perhaps. */
const silence = "2 seconds"

/** Of each fact's letters the one that was tried most often, with the state of the stream that they are of. */
const readLetters = (
  nats: Nats["Service"]
): Effect.Effect<{ readonly groups: ReadonlyArray<ReadGroup>; readonly state: StreamState }, NatsError> =>
  Effect.gen(function* () {
    const state = yield* nats.streamState(deadLetters.name)
    const filing = makeFiling()
    let left = state.messages
    let isWhole = left === 0
    if (!isWhole) {
      yield* nats.tail({ stream: deadLetters.name, from: 1, headersOnly: true }).pipe(
        Stream.timeout(silence),
        Stream.takeUntil((message) => {
          filing.file(message)
          left--
          isWhole = left === 0 || message.sequence >= state.lastSequence
          return isWhole
        }),
        Stream.runDrain
      )
    }
    return isWhole ? { groups: filing.groups(), state } : yield* readLetters(nats)
  })

/** Letters as they come, by cause. Nothing of a message is held but a few numbers. */
const makeFiling = () => {
  const ownText = ownTexts()
  /** By what they have in common but the cause, then by cause. */
  const byRule = new Map<string, Map<string, ReadGroup>>()
  /** By what letters of a fact have in common but where it was, then by that. */
  const facts = new Map<string, Map<number, Letter>>()
  const replaced = new Set<Letter>()

  const groupOf = (letter: DeadLetter): ReadGroup => {
    const { policy, program, reason, rule, stream } = letter
    const causes = inner(byRule, JSON.stringify([stream, program, reason, policy, rule]))
    const found = causes.get(letter.cause)
    if (found !== undefined) return found
    const cause = ownText(letter.cause)
    const group = {
      stream: ownText(stream),
      program: ownText(program),
      reason: ownText(reason),
      policy: ownText(policy),
      rule: ownText(rule),
      cause,
      letters: [],
      generation: 0
    }
    causes.set(cause, group)
    return group
  }

  /** True: it is the newest of its fact. */
  const isNewest = (message: StoredMessage, read: DeadLetter, letter: Letter): boolean => {
    if (letter.source === 0) return true
    const { policy, program, reason, stream } = read
    const known = inner(facts, JSON.stringify([stream, program, reason, policy]))
    const before = known.get(letter.source)
    if (before !== undefined && !read.discarded && before.attempts > letter.attempts) return false
    if (before !== undefined) replaced.add(before)
    if (read.discarded) known.delete(letter.source)
    else known.set(letter.source, letter)
    return !read.discarded
  }

  return {
    file: (message: StoredMessage): void => {
      const read = deadLetterFrom(message)
      const letter: Letter = {
        sequence: message.sequence,
        source: sourceOf(read),
        attempts: read.attempts,
        triedMillis: message.timeMillis,
        redriven: read.redriven
      }
      if (!isNewest(message, read, letter)) return
      const group = groupOf(read)
      group.letters.push(letter)
      group.generation = Math.max(group.generation, read.generation)
    },
    groups: (): ReadonlyArray<ReadGroup> =>
      [...byRule.values()].flatMap((causes) =>
        [...causes.values()].flatMap((group) => {
          const letters = replaced.size === 0 ? group.letters : group.letters.filter((letter) => !replaced.has(letter))
          return letters.length === 0 ? [] : [{ ...group, letters }]
        })
      )
  }
}

const inner = <K, V>(outer: Map<string, Map<K, V>>, key: string): Map<K, V> => {
  const found = outer.get(key)
  if (found !== undefined) return found
  const made = new Map<K, V>()
  outer.set(key, made)
  return made
}

/** Its position is of the stream that its subject names. */
const sourceOf = ({ position }: DeadLetter): number => Number(position.slice(position.lastIndexOf(":") + 1)) || 0

/** @param noticed the version of groups that are not as they were in `before` */
const groupsFrom = (
  read: ReadonlyArray<ReadGroup>,
  before: ReadonlyMap<string, LetterGroup>,
  noticed: number
): ReadonlyMap<string, LetterGroup> => {
  const groups = new Map<string, LetterGroup>()
  for (const group of toldApart(read)) {
    const { cause, policy, program, reason, rule, stream } = group
    const key = JSON.stringify([stream, program, reason, policy, rule, cause])
    const name = `${reason}-${uuidFrom("dead", "group", key).replaceAll("-", "").slice(-10)}`
    const known = before.get(name)
    const isAsBefore = known !== undefined && areSame(known.letters, group.letters)
    groups.set(name, isAsBefore ? known : { ...group, name, version: noticed, since: known?.since ?? noticed })
  }
  return groups
}

/** The causes of most letters, the newest of equals; what is left of each rule, or program, is one group. */
const toldApart = (groups: ReadonlyArray<ReadGroup>): ReadonlyArray<ReadGroup> => {
  if (groups.length <= causesMax) return groups
  const ranked = groups.toSorted(
    (one, other) => other.letters.length - one.letters.length || newestOf(other) - newestOf(one)
  )
  const rest = Map.groupBy(ranked.slice(causesMax), ({ policy, program, reason, rule, stream }) =>
    JSON.stringify([stream, program, reason, policy, rule])
  )
  const others = [...rest.values()].map((members): ReadGroup => {
    const letters = members.flatMap((member) => member.letters).toSorted((one, other) => one.sequence - other.sequence)
    const generation = members.reduce((highest, member) => Math.max(highest, member.generation), 0)
    return { ...members[0]!, cause: otherCauses, letters, generation }
  })
  return [...ranked.slice(0, causesMax), ...others]
}

const newestOf = ({ letters }: ReadGroup): number => letters.at(-1)?.sequence ?? 0

const areSame = (some: ReadonlyArray<Letter>, others: ReadonlyArray<Letter>): boolean =>
  some.length === others.length && some.every(({ sequence }, index) => sequence === others[index]?.sequence)

/** The same letter, to be tried at once. */
const redrivenLetter = (message: StoredMessage, subject: string): OutgoingMessage => ({
  subject,
  id: uuidFrom("dead", "redrive", String(message.sequence), randomUUID()),
  body: message.body,
  headers: {
    ...headersOf(message),
    [headerNames.attempts]: String(deadLetterFrom(message).attempts + 1),
    [headerNames.redriven]: "true"
  }
})

/** Whoever crashes before both are deleted leaves it: programs delete both then. */
const discardedLetter = (message: StoredMessage, subject: string): OutgoingMessage => ({
  subject,
  id: uuidFrom("dead", "discard", String(message.sequence), randomUUID()),
  body: new Uint8Array(0),
  headers: {
    [headerNames.position]: message.header(headerNames.position),
    [headerNames.policy]: message.header(headerNames.policy),
    [headerNames.discarded]: "true"
  }
})
