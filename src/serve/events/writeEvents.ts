/**
 * `create`, `update`, `patch` and `delete` of Kubernetes Events.
 *
 * A write is answered when the bus has it; it is read at once, and stored as an exporter's Event is. Writers of one Event
 * are serialised by the bus (EventLog.ts): who named the resourceVersion that it has read is told of a conflict,
 * who did not starts again.
 *
 * @decision 0026-events-writes
 */
import { Clock, Effect, Result, Schedule, Stream } from "effect"
import { eventsResource } from "../../contracts/eventsApis.ts"
import { type Json, type JsonObject, objectAt, textAt } from "../../domain/AuditRecord.ts"
import type { KubernetesEvent } from "../../domain/KubernetesEvent.ts"
import type { Scope } from "../../domain/Scope.ts"
import type { StoredFact } from "../../store/FactQueries.ts"
import {
  alreadyExists,
  type ApiFailure,
  badRequest,
  type FieldFault,
  invalid,
  methodNotAllowed,
  notFound,
  refusedFor
} from "../ApiFailure.ts"
import { forbidden } from "../auth/Authorizer.ts"
import type { ScopeOptions } from "../auth/callerScope.ts"
import { factRequest } from "../facts/factRequest.ts"
import { allFacts, factWindow } from "../facts/listFacts.ts"
import { type Answer, type Call, value } from "../http/Call.ts"
import { apiVersionOf, type ResourceRequest } from "../http/RequestInfo.ts"
import { deletedStatus, type DeleteOptions, deleteOptions, isGone, preconditionsHold } from "../objects/deletion.ts"
import { isDryRun } from "../objects/dryRun.ts"
import { currentMoment, named, sizeFaults } from "../objects/metadata.ts"
import { sameObject } from "../objects/races.ts"
import { storeFailureFrom } from "../storeFailure.ts"
import { checkedEvent, eventBody, type EventMetadata, type SentEvent } from "./eventBody.ts"
import { always, servedMetadata } from "./eventFacts.ts"
import { createFaults, updateFaults } from "./eventFaults.ts"
import { eventPatch } from "./eventPatch.ts"
import { inJson } from "./eventProtobuf.ts"
import { servedEvents } from "./servedEvents.ts"
import { type Beginning, begunTogether, settled, type Writer, type Written } from "./settleEvent.ts"
import { createdEvent, markedEvent, type StandingEvent, updatedEvent } from "./writtenEvent.ts"

/** A collection may have millions: all go, page by page, and so many of them are in the answer. */
const deletedToldMax = 500

/** Read together, by two statements, and deleted before the next are: half a MB. */
const deletedTogether = 256
const deletedAtOnce = 64

/** What is deleted faster than it is stored waits ten seconds for the store. */
const storedSoon = { schedule: Schedule.spaced("200 millis"), times: 50 }

/** @param scope of the caller, inside a namespace */
export const writeEvents = (sentCall: Call, request: ResourceRequest, scope: Scope, scopes: ScopeOptions) =>
  Effect.gen(function* () {
    if (request.namespace === "") return yield* methodNotAllowed()
    const call = inJson(sentCall, request.group)
    const owner = ownerFrom(scope, scopes)
    if (owner === undefined) {
      return yield* forbidden(call.user, request, "Events belong to an organization or a project, not to a person")
    }
    const resource = yield* servedEvents(request)
    const clock = yield* Clock.Clock
    const printer = resource.printer(call, request, () => clock.currentTimeMillisUnsafe())
    const names = resource.form.of
    const apiVersion = apiVersionOf(request)
    const served = ({ event, sequence }: Written) => {
      const seen = { ...owner, event }
      const object = resource.served(seen, sequence ?? 0, apiVersion)
      if (sequence !== undefined) return object
      const { resourceVersion: _, ...metadata } = servedMetadata(event, 0)
      return { ...object, metadata: { ...metadata, resourceVersion: "" } }
    }
    const writer: Writer = { call, request, scope, owner: { ...owner, namespace: request.namespace }, names }
    const answer = (written: Written, status: number, warnings: ReadonlyArray<string>): Answer => ({
      _tag: "Value",
      status,
      value: printer.one(served(written)),
      warnings
    })
    switch (request.verb) {
      case "create": {
        const { sent, written } = yield* create(writer)
        return answer(written, 201, sent.warnings)
      }
      case "update": {
        const sent = yield* eventBody(call, request)
        return answer(yield* change(writer, () => Effect.succeed(sent)), 200, sent.warnings)
      }
      case "patch": {
        const patched = yield* eventPatch(call)
        let warnings: ReadonlyArray<string> = []
        const next = (standing: StandingEvent) =>
          // The client's version of it, as JSON.
          Effect.flatMap(
            patched(JSON.parse(JSON.stringify(served({ ...standing, mark: "modified" }))) as Json),
            (body) =>
              Effect.tap(checkedEvent(call, request, body), (sent) =>
                Effect.sync(() => void (warnings = sent.warnings))
              )
          )
        return answer(yield* change(writer, next), 200, warnings)
      }
      case "delete": {
        const written = yield* remove(writer, request.name, yield* deleteOptions(call))
        return written.mark === "deleted"
          ? value(deletedStatus(names, asMetadata(written.event)))
          : answer(written, 200, [])
      }
      default: {
        const asked = yield* factRequest(call, request, resource.form)
        const window = factWindow(asked, resource.form, scope, always)
        const told: Array<ReturnType<typeof served>> = []
        let untold = 0
        const options = yield* deleteOptions(call)
        yield* allFacts(resource, window).pipe(
          Stream.mapError(storeFailureFrom),
          Stream.grouped(deletedTogether),
          Stream.mapEffect((facts) => removeAll(writer, facts, options)),
          Stream.runForEach((gone) =>
            Effect.sync(() => {
              for (const written of gone) {
                if (told.length < deletedToldMax) told.push(served(written))
                else untold++
              }
            })
          )
        )
        const resourceVersion = String(yield* resource.feed.floor)
        return value(printer.list(told, { resourceVersion, ...(untold === 0 ? {} : { remainingItemCount: untold }) }))
      }
    }
  }).pipe(Effect.withSpan(`serve.${request.verb}`, { attributes: { resource: eventsResource.plural } }))

/** Whose Events a caller of the scope writes. Undefined: nobody's. */
const ownerFrom = (scope: Scope, { cluster }: ScopeOptions) => {
  switch (scope._tag) {
    case "Tenant":
      return { cluster, tenant: scope.tenant }
    case "Namespace":
      return { cluster: scope.cluster, tenant: scope.tenant }
    default:
      return undefined
  }
}

const create = (writer: Writer) =>
  Effect.gen(function* () {
    const { call, names, owner, request } = writer
    const body = yield* eventBody(call, request)
    if ((body.metadata.resourceVersion ?? "") !== "") {
      return yield* badRequest("resourceVersion should not be set on objects to be created")
    }
    const moment = yield* currentMoment
    const sent = named(body, moment.uid)
    yield* inNamespace(sent, owner.namespace)
    yield* refusedFor(names, sent.metadata.name, [...sizeFaults(sent), ...createFaults(judged(writer, sent))])
    const event = yield* readable(writer, sent.metadata.name, createdEvent(sent, owner, moment))
    const written = yield* settled(
      writer,
      sent.metadata.name,
      yield* isDryRun(call.query.getAll("dryRun")),
      (standing) =>
        standing === undefined
          ? Effect.succeed({ _tag: "Written", event, mark: "added" })
          : Effect.fail(alreadyExists(names, sent.metadata.name))
    )
    return { sent, written }
  })

const change = (writer: Writer, next: (standing: StandingEvent) => Effect.Effect<SentEvent, ApiFailure>) =>
  Effect.gen(function* () {
    const { call, names, owner, request } = writer
    return yield* settled(writer, request.name, yield* isDryRun(call.query.getAll("dryRun")), (standing) =>
      Effect.gen(function* () {
        if (standing === undefined) return yield* notFound(names, request.name)
        const sent = yield* next(standing)
        yield* inNamespace(sent, owner.namespace)
        const metadata = { ...sent.metadata, name: sent.metadata.name === "" ? request.name : sent.metadata.name }
        yield* refusedFor(names, request.name, request.verb === "patch" ? uidFaults(metadata, standing) : [])
        yield* sameObject(names, { metadata }, { metadata: metadataOf(standing) })
        const updated = yield* readable(writer, request.name, updatedEvent(standing, sent, owner.tenant))
        yield* refusedFor(names, request.name, [
          ...sizeFaults(sent),
          ...updateFaults(judged(writer, { ...sent, metadata }), updated.body, standing.event)
        ])
        if (isSame(updated.body, standing.event)) return { _tag: "Unchanged" }
        const mark = isGone({ metadata: asMetadata(updated.body) }) ? "deleted" : "modified"
        return { _tag: "Written", event: updated, mark }
      })
    )
  })

const remove = (writer: Writer, name: string, asked: DeleteOptions, begun?: Beginning) =>
  Effect.gen(function* () {
    const { names, owner } = writer
    const { now } = yield* currentMoment
    return yield* settled(
      writer,
      name,
      asked.dryRun,
      (standing) =>
        Effect.gen(function* () {
          if (standing === undefined) return yield* notFound(names, name)
          const metadata = metadataOf(standing)
          yield* preconditionsHold(names, asked, metadata)
          const isHeld = (metadata.finalizers ?? []).length > 0
          if (isHeld && metadata.deletionTimestamp !== undefined) return { _tag: "Unchanged" }
          const marked = markedEvent(standing, isHeld ? { deletionTimestamp: now } : {}, owner.tenant)
          const event = yield* readable(writer, name, marked)
          return { _tag: "Written", event, mark: isHeld ? "modified" : "deleted" }
        }),
      begun
    )
  })

/** @returns what was deleted; what is gone already is as was asked */
const removeAll = (writer: Writer, facts: ReadonlyArray<StoredFact>, asked: DeleteOptions) =>
  Effect.gen(function* () {
    // What was stored is an Event.
    const eventNames = facts.map(({ json }) => textAt((JSON.parse(json) as JsonObject)["metadata"], "name"))
    const beginnings = yield* begunTogether(writer, [...new Set(eventNames)], asked.dryRun).pipe(
      Effect.retry({ ...storedSoon, while: ({ reason }) => reason === "ServiceUnavailable" })
    )
    const gone = yield* Effect.forEach(
      eventNames,
      (name) => {
        const begun = beginnings.get(name)
        // Several may have one name: the next reads what this one leaves.
        beginnings.delete(name)
        return remove(writer, name, asked, begun).pipe(
          Effect.map((written) => [written]),
          Effect.catchIf(
            (error) => error.reason === "NotFound",
            () => Effect.succeed([])
          )
        )
      },
      { concurrency: deletedAtOnce }
    )
    return gone.flat()
  })

const inNamespace = ({ metadata: { namespace = "" } }: SentEvent, asked: string): Effect.Effect<void, ApiFailure> =>
  namespace === "" || namespace === asked
    ? Effect.void
    : Effect.fail(badRequest("the namespace of the provided object does not match the namespace sent on the request"))

const judged = ({ owner, request }: Writer, { fields, metadata }: SentEvent) => ({
  group: request.group,
  metadata,
  namespace: owner.namespace,
  fields
})

/** Of an object that is sent whole the uid says which one is meant; a patch that has one would change it. */
const uidFaults = ({ uid = "" }: EventMetadata, standing: StandingEvent): ReadonlyArray<FieldFault> =>
  uid === "" || uid === metadataOf(standing).uid
    ? []
    : [
        {
          field: "metadata.uid",
          reason: "FieldValueInvalid",
          message: `Invalid value: ${JSON.stringify(uid)}: field is immutable`
        }
      ]

/** What the schema lets pass and no store can hold: a time of another century. */
const readable = (
  { names }: Writer,
  name: string,
  read: ReturnType<typeof createdEvent>
): Effect.Effect<KubernetesEvent, ApiFailure> =>
  Effect.fromResult(
    Result.mapError(read, ({ field, reason }) =>
      invalid(names, name, [{ field, reason: "FieldValueInvalid", message: `Invalid value: ${reason}` }])
    )
  )

/** As clients know it: its resourceVersion is the sequence. */
const metadataOf = ({ event, sequence }: StandingEvent): EventMetadata => ({
  ...asMetadata(event),
  resourceVersion: String(sequence)
})

/** It was checked when it was written, here or by its cluster. */
const asMetadata = (event: JsonObject): EventMetadata => ({ name: "", ...objectAt(event, "metadata") }) as EventMetadata

/** But for how often it was written. */
const isSame = (one: JsonObject, other: JsonObject): boolean => comparable(one) === comparable(other)

const comparable = (event: JsonObject): string =>
  JSON.stringify({ ...event, metadata: { ...objectAt(event, "metadata"), resourceVersion: "" } })
