/**
 * The letters of DEAD_LETTERS, grouped by why they are there.
 *
 * Everything is read from headers, again whenever the stream is not as it was: deletions leave no message that could be
 * followed. Versions are microseconds since 1970, so that what one replica gave another understands.
 *
 * All letters are held, without bodies: a million is read in 19 s of CPU; 170 MB are held then, and 950 MB at the most
 * while they are read.
 */
import { Clock, Context, Effect, Layer, Option, Semaphore, Stream } from "effect"
import {
  Nats,
  type NatsError,
  type OutgoingMessage,
  type StoredMessage,
  type StreamState
} from "../clients/nats/Nats.ts"
import { type DeadLetter, deadLetterFrom, dueMillisOf, headersOf } from "../domain/deadLetter.ts"
import { uuidFrom } from "../domain/identity.ts"
import { deadLetters, headerNames } from "../domain/streams.ts"

/** Letters that one cause explains. */
export interface LetterGroup extends Omit<DeadLetter, "attempts" | "position" | "redriven"> {
  /** `<reason>-` and ten hex digits of what the letters have in common: all of the above but the generation. */
  readonly name: string
  /** In the order in which they were last written, without those that a newer one of the same fact replaces. */
  readonly letters: ReadonlyArray<Letter>
  /** When this replica saw the group change; clients see it as its resourceVersion. */
  readonly version: number
  /** When this replica first saw it. */
  readonly since: number
}

export interface Letter {
  readonly sequence: number
  readonly position: string
  readonly attempts: number
  /** The policy's, when it failed. */
  readonly generation: number
  /** When it was last tried, in milliseconds since 1970. */
  readonly triedMillis: number
  /** When it is tried again by itself; undefined: never. */
  readonly dueMillis: number | undefined
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
     * both, and trying a fact twice changes nothing.
     */
    readonly redrive: (sequences: ReadonlyArray<number>) => Effect.Effect<Settled, NatsError>
    /** Deletes them for good. What another replica redrives in the same moment may be tried once more. */
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

const settledAtOnce = 8

/** Causes that have values in them would make a group of each letter. */
const causesMax = 1_000
const otherCauses = "other causes"

const makeDeadLetterGroups = Effect.gen(function* () {
  const nats = yield* Nats
  const looking = yield* Semaphore.make(1)
  // A discard beside a redrive of the same letters would miss what that writes anew.
  const settling = yield* Semaphore.make(1)
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
    const { letters, state } = yield* readLetters(nats)
    const ended = yield* Clock.currentTimeMillis
    // The whole is as of the beginning, what changed as of the end: who goes on from there may see a change twice, and
    // misses none.
    const noticed = ended * 1000 + 1
    const groups = groupsFrom(letters, known.groups, noticed)
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
    }).pipe(settling.withPermits(1))

  const redriveOne = (sequence: number) =>
    Effect.gen(function* () {
      const letter = yield* nats.messageAt(deadLetters.name, sequence)
      if (Option.isNone(letter)) return false
      yield* nats.publish([redrivenLetter(letter.value)])
      return yield* nats.deleteMessage(deadLetters.name, sequence)
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
    discard: (sequences) => settle(sequences, (sequence) => nats.deleteMessage(deadLetters.name, sequence))
  })
})

const isSame = (one: StreamState, other: StreamState): boolean =>
  one.firstSequence === other.firstSequence &&
  one.lastSequence === other.lastSequence &&
  one.messages === other.messages

interface FiledLetter {
  readonly letter: DeadLetter
  readonly waiting: Letter
}

/** Nothing comes for so long although more should: letters went meanwhile, the last one perhaps. */
const silence = "2 seconds"

/** Of each fact's letters the one that was tried most often, with the state of the stream that they are of. */
const readLetters = (
  nats: Nats["Service"]
): Effect.Effect<{ readonly letters: ReadonlyArray<FiledLetter>; readonly state: StreamState }, NatsError> =>
  Effect.gen(function* () {
    const state = yield* nats.streamState(deadLetters.name)
    const letters = new Map<string, FiledLetter>()
    let left = state.messages
    let isWhole = left === 0
    if (!isWhole) {
      yield* nats.tail({ stream: deadLetters.name, from: 1, headersOnly: true }).pipe(
        Stream.timeout(silence),
        Stream.takeUntil((message) => {
          file(letters, message)
          left--
          isWhole = left === 0 || message.sequence >= state.lastSequence
          return isWhole
        }),
        Stream.runDrain
      )
    }
    return isWhole ? { letters: [...letters.values()], state } : yield* readLetters(nats)
  })

const file = (letters: Map<string, FiledLetter>, message: StoredMessage): void => {
  const letter = deadLetterFrom(message)
  const key = letter.position === "" ? String(message.sequence) : `${message.subject} ${letter.position}`
  if ((letters.get(key)?.letter.attempts ?? 0) > letter.attempts) return
  letters.set(key, {
    letter,
    waiting: {
      sequence: message.sequence,
      // A copy: a part of a text keeps the whole, which is all of its headers.
      position: Buffer.from(letter.position).toString(),
      attempts: letter.attempts,
      generation: letter.generation,
      triedMillis: message.timeMillis,
      dueMillis: dueMillisOf(letter, message.timeMillis)
    }
  })
}

/** @param noticed the version of groups that are not as they were in `before` */
const groupsFrom = (
  filed: ReadonlyArray<FiledLetter>,
  before: ReadonlyMap<string, LetterGroup>,
  noticed: number
): ReadonlyMap<string, LetterGroup> => {
  const groups = new Map<string, LetterGroup>()
  for (const [key, members] of membersByCause(filed)) {
    const { cause, policy, program, reason, rule, stream } = members[0]!.letter
    const name = `${reason}-${uuidFrom("dead", "group", key).replaceAll("-", "").slice(-10)}`
    const known = before.get(name)
    const group = {
      ...{ name, stream, program, reason, policy, rule, cause },
      generation: members.reduce((highest, { letter }) => Math.max(highest, letter.generation), 0),
      letters: members.map(({ waiting }) => waiting).toSorted((one, other) => one.sequence - other.sequence)
    }
    const isAsBefore = known !== undefined && sequencesOf(known) === sequencesOf(group)
    groups.set(name, isAsBefore ? known : { ...group, version: noticed, since: known?.since ?? noticed })
  }
  return groups
}

/** The causes of most letters, the newest of equals; what is left of each rule, or program, is one group. */
const membersByCause = (filed: ReadonlyArray<FiledLetter>): ReadonlyMap<string, ReadonlyArray<FiledLetter>> => {
  const byCause = Map.groupBy(filed, ({ letter }) => keyOf(letter))
  if (byCause.size <= causesMax) return byCause
  const ranked = [...byCause.values()].toSorted(
    (one, other) => other.length - one.length || newestOf(other) - newestOf(one)
  )
  const others = ranked
    .slice(causesMax)
    .flat()
    .map(({ letter, waiting }) => ({ letter: { ...letter, cause: otherCauses }, waiting }))
  return Map.groupBy([...ranked.slice(0, causesMax).flat(), ...others], ({ letter }) => keyOf(letter))
}

const keyOf = ({ cause, policy, program, reason, rule, stream }: DeadLetter): string =>
  JSON.stringify([stream, program, reason, policy, rule, cause])

const newestOf = (members: ReadonlyArray<FiledLetter>): number => members.at(-1)?.waiting.sequence ?? 0

const sequencesOf = ({ letters }: Pick<LetterGroup, "letters">): string =>
  letters.map(({ sequence }) => sequence).join()

/** The same letter, to be tried at once. */
const redrivenLetter = (message: StoredMessage): OutgoingMessage => ({
  subject: message.subject,
  id: uuidFrom("dead", "redrive", String(message.sequence)),
  body: message.body,
  headers: {
    ...headersOf(message),
    [headerNames.attempts]: String(deadLetterFrom(message).attempts + 1),
    [headerNames.redriven]: "true"
  }
})
