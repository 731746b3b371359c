/**
 * One write of an Event against all others: what stands is read, the next state decided, and written behind what was read.
 *
 * @decision 0026-events-writes
 */
import { Effect, Option } from "effect"
import type { NatsError } from "../../clients/nats/Nats.ts"
import type { JsonObject } from "../../domain/AuditRecord.ts"
import type { KubernetesEvent } from "../../domain/KubernetesEvent.ts"
import type { Scope } from "../../domain/Scope.ts"
import type { Mark } from "../../domain/streams.ts"
import { FactQueries, type PlacedFact } from "../../store/FactQueries.ts"
import { type ApiFailure, failure, type KindNames, notFound, unavailable } from "../ApiFailure.ts"
import type { Unstored } from "../facts/FactFeed.ts"
import type { Call } from "../http/Call.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"
import { againWhenRaced, racedConflict } from "../objects/races.ts"
import { storeFailureFrom } from "../storeFailure.ts"
import { EventFeed } from "./EventFeed.ts"
import { EventLog } from "./EventLog.ts"
import type { SeenEvent } from "./SeenEvent.ts"
import { servedEvents } from "./servedEvents.ts"
import type { EventOwner, StandingEvent } from "./writtenEvent.ts"

/** Written Events that the store does not have yet, all in memory: behind a writer that is away they wait in the bus. */
const unstoredMax = 16_384

/** What a write makes of an Event. Unchanged: nothing is written. */
export type Decision =
  | { readonly _tag: "Written"; readonly event: KubernetesEvent; readonly mark: Mark }
  | { readonly _tag: "Unchanged" }

/** What is written: an Event's new state. */
export interface Written {
  readonly event: JsonObject
  /** Undefined: nothing was written, and nothing stands. */
  readonly sequence: number | undefined
  readonly mark: Mark
}

type Decide = (standing: StandingEvent | undefined) => Effect.Effect<Decision, ApiFailure>

/** Who writes, what was asked, and whose Events they are. */
export interface Writer {
  readonly call: Call
  readonly request: ResourceRequest
  readonly scope: Scope
  readonly owner: EventOwner
  readonly names: KindNames
}

/** What a write follows: where its Event's subject ended, and the Event as all before that has left it. */
export interface Beginning {
  readonly end: number
  readonly standing: StandingEvent | undefined
}

/**
 * From the start when another write came between, some times.
 *
 * @param begun what the first attempt goes by; the others read it anew
 * @fails ApiFailure Conflict when others write all the time
 * @fails ApiFailure ServiceUnavailable when bus or store are away
 */
export const settled = (writer: Writer, name: string, dryRun: boolean, decide: Decide, begun?: Beginning) => {
  const { names } = writer
  let beginning = begun
  const attempt = Effect.gen(function* () {
    const log = yield* EventLog
    const { end, standing } = beginning ?? (yield* begin(writer, name, dryRun))
    beginning = undefined
    const decision = yield* decide(standing)
    if (decision._tag === "Unchanged") {
      // Only what stands stays as it is.
      if (standing === undefined) return yield* notFound(names, name)
      return { event: standing.event, sequence: standing.sequence, mark: "modified" } satisfies Written
    }
    const { event, mark } = decision
    if (dryRun) return { event: event.body, sequence: standing?.sequence, mark } satisfies Written
    const sequence = yield* log.write({ event, mark, end }).pipe(Effect.mapError(busFailureFrom(names, name)))
    return { event: event.body, sequence, mark } satisfies Written
  })
  return againWhenRaced(attempt)
}

const begin = (writer: Writer, name: string, dryRun: boolean) =>
  Effect.gen(function* () {
    const end = dryRun ? 0 : yield* endOf(writer, name)
    const resource = yield* servedEvents(writer.request)
    const sights = yield* unstoredSights
    const found = yield* resource
      .get(writer.scope, name, writer.request.namespace)
      .pipe(Effect.mapError(storeFailureFrom))
    const standings = yield* standingEvents(writer, sights, Option.toArray(found))
    const standing = Option.isNone(found) ? undefined : standings.get(found.value.position.id)
    if (Option.isSome(found) && standing === undefined) return yield* racedConflict(writer.names, name)
    return { end, standing } satisfies Beginning
  })

/** Subjects whose end is asked for at once: one answer each. */
const endsAtOnce = 64

/**
 * The same of many Events, read together: two statements instead of two for each. Those that others write at the moment are
 * left out.
 *
 * @param eventNames each once
 */
export const begunTogether = (writer: Writer, eventNames: ReadonlyArray<string>, dryRun: boolean) =>
  Effect.gen(function* () {
    // Before they are read.
    const ends = dryRun
      ? eventNames.map(() => 0)
      : yield* Effect.forEach(
          eventNames,
          (name) =>
            endOf(writer, name).pipe(
              Effect.catchIf(
                ({ reason }) => reason === "Conflict",
                () => Effect.succeed(undefined)
              )
            ),
          { concurrency: endsAtOnce }
        )
    const resource = yield* servedEvents(writer.request)
    const sights = yield* unstoredSights
    const { found, isWhole } = yield* resource
      .getAll(writer.scope, eventNames, writer.request.namespace)
      .pipe(Effect.mapError(storeFailureFrom))
    const standings = yield* standingEvents(writer, sights, [...found.values()])
    const beginnings = new Map<string, Beginning>()
    for (const [index, name] of eventNames.entries()) {
      const end = ends[index]
      const fact = found.get(name)
      const standing = fact === undefined ? undefined : standings.get(fact.position.id)
      const isKnown = fact === undefined ? isWhole : standing !== undefined
      if (end !== undefined && isKnown) beginnings.set(name, { end, standing })
    }
    return beginnings
  })

const endOf = ({ names, owner }: Writer, name: string) =>
  EventLog.use((log) => log.end({ ...owner, name })).pipe(Effect.mapError(busFailureFrom(names, name)))

/** @fails ApiFailure ServiceUnavailable when that cannot be told, or the store is too far behind */
const unstoredSights = Effect.gen(function* () {
  const { isComplete, sights } = yield* (yield* EventFeed).unstored
  if (!isComplete) return yield* unavailable("what was written last is not known yet: try again")
  if (sights.size >= unstoredMax) return yield* unavailable("the store is too far behind: try again later")
  return sights
})

/**
 * Events as all that was written before has left them, by key; without those that were written again since they were read.
 *
 * @param sights as they were before that
 */
const standingEvents = (
  { scope }: Pick<Writer, "scope">,
  sights: Unstored<SeenEvent>["sights"],
  found: ReadonlyArray<PlacedFact>
) =>
  Effect.gen(function* () {
    const isSight = ({ position, sequence }: PlacedFact): boolean => sights.get(position.id)?.sequence === sequence
    const stored = found.filter((fact) => !isSight(fact))
    const queries = yield* FactQueries
    const origins = yield* queries
      .eventOrigins(
        scope,
        stored.map(({ position }) => position)
      )
      .pipe(Effect.mapError(storeFailureFrom))
    const standings = new Map<string, StandingEvent>()
    for (const fact of found) {
      const { json, position, sequence } = fact
      // The store and the feed hold only what was normalised: Events, as JSON objects.
      const event = JSON.parse(json) as JsonObject
      const sight = isSight(fact) ? sights.get(position.id) : undefined
      const origin = origins.get(position.id)
      if (sight !== undefined) {
        standings.set(position.id, { event, sequence, cluster: sight.fact.cluster, order: sight.order })
      } else if (origin !== undefined && origin.sequence === sequence) standings.set(position.id, { event, ...origin })
    }
    return standings
  })

const busFailureFrom =
  (names: Writer["names"], name: string) =>
  ({ reason }: NatsError): ApiFailure => {
    switch (reason._tag) {
      case "RevisionMismatch":
        return racedConflict(names, name)
      case "MessageTooLarge":
        return failure("RequestEntityTooLarge", `Request entity too large: limit is ${reason.sizeBytesMax}`)
      default:
        return unavailable("Events cannot be written now: the bus does not take them; try again")
    }
  }
