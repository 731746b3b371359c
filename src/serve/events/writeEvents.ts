/**
 * `create`, `update`, `patch` and `delete` of Kubernetes Events.
 *
 * A write is answered when the bus has it; it is read at once, and stored as an exporter's Event is. Writers of one Event
 * are serialised by the bus (see {@link EventLog}): who named the resourceVersion that it has read is told of a conflict,
 * who did not starts again.
 *
 * @decision 0026-events-writes
 */
import { Effect, Option, Result, Schedule, Stream } from "effect"
import { eventsResource } from "../../contracts/eventsApis.ts"
import { isJsonObject, type Json, type JsonObject, objectAt } from "../../domain/AuditRecord.ts"
import type { NatsError } from "../../clients/nats/Nats.ts"
import type { KubernetesEvent } from "../../domain/KubernetesEvent.ts"
import type { Scope } from "../../domain/Scope.ts"
import type { Mark } from "../../domain/streams.ts"
import type { Tenant } from "../../domain/Tenant.ts"
import { FactQueries } from "../../store/FactQueries.ts"
import {
  alreadyExists,
  type ApiFailure,
  badRequest,
  conflict,
  failure,
  type FieldFault,
  invalid,
  methodNotAllowed,
  notFound,
  unavailable
} from "../ApiFailure.ts"
import { forbidden } from "../auth/Authorizer.ts"
import type { ScopeOptions } from "../auth/callerScope.ts"
import { isDryRun } from "../dryRun.ts"
import { factRequest } from "../facts/factRequest.ts"
import { apiVersionOf } from "../facts/FactResource.ts"
import { allFacts, factWindow } from "../facts/listFacts.ts"
import { type Answer, type Call, value } from "../http/Call.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"
import { sizeFaults } from "../kept/admission.ts"
import { currentMoment, generatedName, isGone, sameObject } from "../kept/bucketWrites.ts"
import { deleteOptions, preconditionsHold } from "../kept/deleteOptions.ts"
import { raced } from "../kept/keptFailure.ts"
import { jsonPatched, mergePatched } from "../kept/patches.ts"
import { jsonBody, mediaType, unsupported } from "../objectBody.ts"
import { storeFailureFrom } from "../storeFailure.ts"
import { checkedEvent, eventBody, type EventMetadata, type SentEvent } from "./eventBody.ts"
import { createFaults, updateFaults } from "./eventFaults.ts"
import { EventFeed } from "./EventFeed.ts"
import { EventLog } from "./EventLog.ts"
import { inJson } from "./eventProtobuf.ts"
import { always, servedMetadata } from "./eventFacts.ts"
import { servedEvents } from "./servedEvents.ts"
import { strategicMerged } from "./strategicMerge.ts"
import { createdEvent, markedEvent, type StandingEvent, updatedEvent } from "./writtenEvent.ts"

/** A write that does not say what it has read starts again so often when others write too. */
const attemptsMax = 5

/** Written Events that the store does not have yet, all in memory: behind a writer that is away they wait in the bus. */
const unstoredMax = 16_384

/** What a write makes of an Event. Unchanged: nothing is written. */
type Decision =
  | { readonly _tag: "Written"; readonly event: KubernetesEvent; readonly mark: Mark }
  | { readonly _tag: "Unchanged" }

/** What is written: an Event's new state. */
interface Written {
  readonly event: JsonObject
  /** Undefined: nothing was written, and nothing stands. */
  readonly sequence: number | undefined
  readonly mark: Mark
}

type Decide = (standing: StandingEvent | undefined) => Effect.Effect<Decision, ApiFailure>

/** @param scope of the caller, inside a namespace */
export const writeEvents = (sentCall: Call, request: ResourceRequest, scope: Scope, options: ScopeOptions) =>
  Effect.gen(function* () {
    if (request.namespace === "") return yield* methodNotAllowed()
    const call = inJson(sentCall, request.group)
    const owner = ownerFrom(scope, options)
    if (owner === undefined) {
      return yield* forbidden(call.user, request, "Events belong to an organization or a project, not to a person")
    }
    const resource = yield* servedEvents(request)
    const printer = resource.printer(call, request, () => 0)
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
        const patched = yield* patchOf(call)
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
        const written = yield* remove(writer, request.name)
        return written.mark === "deleted" ? value(deletedStatus(names, written.event)) : answer(written, 200, [])
      }
      default: {
        const asked = yield* factRequest(call, request, resource.form)
        const window = factWindow(asked, resource.form, scope, always)
        const gone = yield* allFacts(resource, window).pipe(Stream.mapError(storeFailureFrom), Stream.runCollect)
        const left = yield* Effect.forEach(gone, ({ json }) => {
          const metadata = objectAt(JSON.parse(json) as JsonObject, "metadata")
          return remove(writer, String(metadata?.["name"])).pipe(
            Effect.map((written) => [served(written)]),
            // Gone, as was asked.
            Effect.catchIf(
              (error) => error.reason === "NotFound",
              () => Effect.succeed([])
            )
          )
        })
        return value(printer.list(left.flat(), { resourceVersion: String(yield* resource.feed.floor) }))
      }
    }
  }).pipe(Effect.withSpan(`serve.${request.verb}`, { attributes: { resource: eventsResource.plural } }))

interface Writer {
  readonly call: Call
  readonly request: ResourceRequest
  readonly scope: Scope
  readonly owner: { readonly cluster: string; readonly tenant: Tenant; readonly namespace: string }
  readonly names: { readonly group: string; readonly plural: string; readonly kind: string }
}

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
    const { generateName = "", name } = body.metadata
    const sent: SentEvent =
      name !== "" || generateName === ""
        ? body
        : { ...body, metadata: { ...body.metadata, name: generatedName(generateName, moment.uid) } }
    yield* inNamespace(sent, owner.namespace)
    yield* refusedFor(writer, sent.metadata.name, [...sizeFaults(sent), ...createFaults(judged(writer, sent))])
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
        yield* sameObject(names, { metadata }, { metadata: metadataOf(standing) })
        const updated = yield* readable(writer, request.name, updatedEvent(standing, sent, owner.tenant))
        yield* refusedFor(writer, request.name, [
          ...sizeFaults(sent),
          ...updateFaults(judged(writer, { ...sent, metadata }), updated.body, standing.event)
        ])
        if (isSame(updated.body, standing.event)) return { _tag: "Unchanged" }
        const mark = isGone({ metadata: asMetadata(updated.body) }) ? "deleted" : "modified"
        return { _tag: "Written", event: updated, mark }
      })
    )
  })

const remove = (writer: Writer, name: string) =>
  Effect.gen(function* () {
    const { call, names, owner } = writer
    const asked = yield* deleteOptions(call)
    const { now } = yield* currentMoment
    return yield* settled(writer, name, asked.dryRun, (standing) =>
      Effect.gen(function* () {
        if (standing === undefined) return yield* notFound(names, name)
        const metadata = metadataOf(standing)
        yield* preconditionsHold(names, asked, metadata)
        const isHeld = (metadata.finalizers ?? []).length > 0
        if (isHeld && metadata.deletionTimestamp !== undefined) return { _tag: "Unchanged" }
        const marked = markedEvent(standing, isHeld ? { deletionTimestamp: now } : {}, owner.tenant)
        const event = yield* readable(writer, name, marked)
        return { _tag: "Written", event, mark: isHeld ? "modified" : "deleted" }
      })
    )
  })

/** Reads what stands, decides, and writes; from the start when another write came between. */
const settled = (writer: Writer, name: string, dryRun: boolean, decide: Decide) => {
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
  return attempt.pipe(
    Effect.retry({
      times: attemptsMax - 1,
      schedule: Schedule.spaced("10 millis"),
      while: (error) => error.reason === "Conflict" && error.text.endsWith(raced)
    })
  )
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
    if (Option.isNone(origin) || origin.value.sequence !== sequence) return yield* conflict(names, name, raced)
    return { event, ...origin.value }
  })

const patchTypes: Readonly<Record<string, (target: Json, patch: Json) => Effect.Effect<Json, ApiFailure>>> = {
  "application/json-patch+json": jsonPatched,
  "application/merge-patch+json": (target, patch) => Effect.sync(() => mergePatched(target, patch)),
  "application/strategic-merge-patch+json": (target, patch) => Effect.sync(() => strategicMerged(target, patch))
}

/** The body is read once; what it makes of an Event may be asked again. */
const patchOf = (call: Call): Effect.Effect<(target: Json) => Effect.Effect<Json, ApiFailure>, ApiFailure> =>
  Effect.gen(function* () {
    const type = mediaType(call)
    const apply = Object.hasOwn(patchTypes, type) ? patchTypes[type] : undefined
    if (apply === undefined) {
      return yield* unsupported(
        type,
        Object.keys(patchTypes),
        type.startsWith("application/apply-patch")
          ? "This server has no server-side apply: use client-side apply (kubectl apply without --server-side)."
          : ""
      )
    }
    const patch = yield* jsonBody(call)
    if (type !== "application/json-patch+json" && !isJsonObject(patch)) {
      return yield* badRequest("a merge patch is an object")
    }
    return (target) => apply(target, patch)
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

const refusedFor = (
  { names }: Writer,
  name: string,
  faults: ReadonlyArray<FieldFault>
): Effect.Effect<void, ApiFailure> => (faults.length === 0 ? Effect.void : Effect.fail(invalid(names, name, faults)))

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

const busFailureFrom =
  (names: Writer["names"], name: string) =>
  ({ reason }: NatsError): ApiFailure => {
    switch (reason._tag) {
      case "RevisionMismatch":
        return conflict(names, name, raced)
      case "MessageTooLarge":
        return failure("RequestEntityTooLarge", `Request entity too large: limit is ${reason.sizeBytesMax}`)
      default:
        return unavailable("Events cannot be written now: the bus does not take them; try again")
    }
  }

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

const deletedStatus = ({ group, plural }: Writer["names"], event: JsonObject) => {
  const { name, uid = "" } = asMetadata(event)
  return {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Success",
    details: { name, ...(group === "" ? {} : { group }), kind: plural, uid }
  }
}
