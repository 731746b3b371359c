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
import { FactQueries } from "../../store/FactQueries.ts"
import { type ApiFailure, failure, notFound, unavailable } from "../ApiFailure.ts"
import type { Call } from "../http/Call.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"
import { againWhenRaced, racedConflict } from "../kept/keptFailure.ts"
import type { KindNames } from "../kept/KeptKind.ts"
import { storeFailureFrom } from "../storeFailure.ts"
import { EventFeed } from "./EventFeed.ts"
import { EventLog } from "./EventLog.ts"
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

/**
 * From the start when another write came between, some times.
 *
 * @fails ApiFailure Conflict when others write all the time
 * @fails ApiFailure ServiceUnavailable when bus or store are away
 */
export const settled = (writer: Writer, name: string, dryRun: boolean, decide: Decide) => {
  const { names, owner, scope } = writer
  const attempt = Effect.gen(function* () {
    const log = yield* EventLog
    const failed = Effect.mapError(busFailureFrom(names, name))
    const end = dryRun ? 0 : yield* log.end({ ...owner, name }).pipe(failed)
    const standing = yield* standingEvent(writer, scope, name)
    const decision = yield* decide(standing)
    if (decision._tag === "Unchanged") {
      // Only what stands stays as it is.
      if (standing === undefined) return yield* notFound(names, name)
      return { event: standing.event, sequence: standing.sequence, mark: "modified" } satisfies Written
    }
    const { event, mark } = decision
    if (dryRun) return { event: event.body, sequence: standing?.sequence, mark } satisfies Written
    const sequence = yield* log.write({ event, mark, end }).pipe(failed)
    return { event: event.body, sequence, mark } satisfies Written
  })
  return againWhenRaced(attempt)
}

/**
 * The Event as all that was written before has left it.
 *
 * @fails ApiFailure ServiceUnavailable when that cannot be told, or the store is too far behind
 */
const standingEvent = ({ names, request }: Writer, scope: Scope, name: string) =>
  Effect.gen(function* () {
    const resource = yield* servedEvents(request)
    const { isComplete, sights } = yield* (yield* EventFeed).unstored
    if (!isComplete) return yield* unavailable("what was written last is not known yet: try again")
    if (sights.size >= unstoredMax) return yield* unavailable("the store is too far behind: try again later")
    const found = yield* resource.get(scope, name, request.namespace).pipe(Effect.mapError(storeFailureFrom))
    if (Option.isNone(found)) return undefined
    const { json, position, sequence } = found.value
    // The store and the feed hold only what was normalised: Events, as JSON objects.
    const event = JSON.parse(json) as JsonObject
    const sight = sights.get(position.id)
    if (sight?.sequence === sequence) return { event, sequence, cluster: sight.fact.cluster, order: sight.order }
    const queries = yield* FactQueries
    const origin = yield* queries.eventOrigin(scope, position).pipe(Effect.mapError(storeFailureFrom))
    if (Option.isNone(origin) || origin.value.sequence !== sequence) return yield* racedConflict(names, name)
    return { event, ...origin.value }
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
