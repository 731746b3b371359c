/**
 * Objects that the cluster's API server keeps: every write goes there twice.
 *
 * First as a dry run, whose answer is the object as it would be, and is looked at: what is wrong is 422 with its causes.
 * Then for real, bound to what was checked by its resourceVersion and uid. When somebody else was faster, it starts again
 * from the dry run, unless the client said which version it changes.
 *
 * JSON and merge patches are applied here, to the object as the client sees it, and sent as the whole object: a policy's
 * rule without a name gets it from its place in the list, which a patch does not tell.
 *
 * @decision 0010-policy-records
 */
import { Effect, Schedule } from "effect"
import type { Kube, KubeAnswer, KubeRequest } from "../../clients/kube/Kube.ts"
import { isJsonObject, type Json, objectAt, textAt } from "../../domain/AuditRecord.ts"
import type { KeptObject, ObjectMetadata } from "../../domain/KeptObject.ts"
import type { KeptRecord } from "../../domain/keptRecord.ts"
import { pathSegmentFault } from "../../domain/pathSegment.ts"
import type { KeptObjects } from "../../store/KeptObjects.ts"
import { type ApiFailure, badRequest, invalid, refusedFor } from "../ApiFailure.ts"
import type { Call } from "../http/Call.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"
import { isDryRun } from "../objects/dryRun.ts"
import { sizeFaults } from "../objects/metadata.ts"
import { jsonBody, mediaType } from "../objects/objectBody.ts"
import { patchOf, patchTypes } from "../objects/patches.ts"
import { contentFaults } from "./admission.ts"
import { failureOf, storeAway } from "./keptFailure.ts"
import type { KeptBody, KeptKind } from "./KeptKind.ts"
import type { Deleted, KeptWrites, Written } from "./KeptWrites.ts"
import { isRace, recordStatus, type RecordStatus } from "./recordStatus.ts"

/** A write that does not say which version it changes is tried so often when others write too. */
const attemptsMax = 5

/** Nothing has this version: an apply that was seen to create conflicts with what is there all the same. */
const versionOfNothing = "1"

/**
 * A write, its dry run and every new beginning together, once the body is here: the client's own API server waits for 60
 * seconds, and ours may be stuck for longer.
 */
const writeTime = "15 seconds"

const applyType = "application/apply-patch+yaml"

type KubeService = Kube["Service"]

/** Where objects of one kind are, and what is known of them. */
interface Kept<A extends KeptObject> {
  readonly kind: KeptKind<A>
  readonly store: KeptObjects<A>
  readonly kube: KubeService
  readonly status: RecordStatus
}

/** Objects are read from the store, and written to the cluster's API server. */
export const recordWrites = <A extends KeptObject>(
  kind: KeptKind<A>,
  store: KeptObjects<A>,
  kube: KubeService
): KeptWrites<A> => {
  const kept: Kept<A> = { kind, store, kube, status: recordStatus(kind) }
  const answeredInTime = <B>(call: Call, write: Effect.Effect<B, ApiFailure>): Effect.Effect<B, ApiFailure> =>
    // A body that comes slowly is the client's time. What is wrong with it, the write tells.
    Effect.andThen(
      Effect.ignore(call.body),
      Effect.timeoutOrElse(write, { duration: writeTime, orElse: () => Effect.fail(storeAway(kind.names)) })
    )
  return {
    create: (call, request) => answeredInTime(call, created(kept, { call, request })),
    replace: (call, request) =>
      answeredInTime(
        call,
        Effect.flatMap(kind.body(call, request), (body) =>
          replaced(kept, { call, request }, () => Effect.succeed(body))
        )
      ),
    patch: (call, request) =>
      answeredInTime(
        call,
        mediaType(call) === applyType
          ? applied(kept, { call, request })
          : Effect.flatMap(patchOf(call, request, mediaType(call), [...patchTypes, applyType], kind), (next) =>
              replaced(kept, { call, request }, next)
            )
      ),
    delete: (call, name) => answeredInTime(call, deleted(kept, call, name))
  }
}

interface Asked {
  readonly call: Call
  readonly request: ResourceRequest
}

const created = <A extends KeptObject>(kept: Kept<A>, asked: Asked) => {
  const { kind } = kept
  return Effect.flatMap(kind.body(asked.call, asked.request), ({ object, warnings }) => {
    const fault = sendingFault(kind, object)
    if (fault !== undefined) return Effect.fail(fault)
    const { name, ...metadata } = object.metadata
    const record = kind.records.recordFrom(object)
    return startingAgain(
      writtenTwice(kind, asked, {
        warnings,
        pinned: false,
        send: (dryRun) =>
          sent(kept, asked, dryRun, {
            method: "POST",
            path: kind.records.path,
            // A name that is there and empty would not be made from generateName.
            body: name === "" ? { ...record, metadata } : record
          })
      })
    )
  })
}

/** PUT, and what a patch makes of what is stored. */
const replaced = <A extends KeptObject>(
  kept: Kept<A>,
  asked: Asked,
  next: (stored: A) => Effect.Effect<KeptBody<A>, ApiFailure>
) =>
  startingAgain(
    Effect.gen(function* () {
      const { kind, store } = kept
      const { request } = asked
      const path = yield* asFinal(pathOf(kind, request))
      const stored = yield* store.get(request.name).pipe(Effect.mapError(failureOf(kind.names)), asFinal)
      const before = stored.metadata
      const { object, warnings } = yield* next(stored).pipe(asFinal)
      const fault = sendingFault(kind, object)
      if (fault !== undefined) return yield* asFinal(Effect.fail(fault))
      // The cluster says so too, in its own words.
      const faults = request.subresource === "" ? kind.unchangeableFaults(object, stored) : []
      yield* asFinal(refusedFor(kind.names, request.name, faults))
      const { resourceVersion = "", uid = "" } = object.metadata
      const record = kind.records.recordFrom({
        ...object,
        metadata: boundTo(object.metadata, {
          resourceVersion: resourceVersion === "" ? before.resourceVersion : resourceVersion,
          uid: uid === "" ? before.uid : uid
        })
      })
      return yield* writtenTwice(kind, asked, {
        warnings,
        // What a patch makes has the stored version, unless the patch itself names another.
        pinned: resourceVersion !== "" && (request.verb === "update" || resourceVersion !== before.resourceVersion),
        send: (dryRun) => sent(kept, asked, dryRun, { method: "PUT", path, body: record })
      })
    })
  )

/** Server-side apply: the cluster's API server merges, and keeps who set what. */
const applied = <A extends KeptObject>(kept: Kept<A>, asked: Asked) =>
  Effect.gen(function* () {
    const { kind } = kept
    const { call, request } = asked
    const path = yield* pathOf(kind, request)
    const { object, warnings } = yield* kind.checkedPart(call, request, yield* jsonBody(call))
    const fault = sendingFault(kind, { ...object, metadata: { ...object.metadata, name: request.name } })
    if (fault !== undefined) return yield* fault
    const record = kind.records.recordFrom(object)
    const pinned = (object.metadata?.resourceVersion ?? "") !== ""
    const metadata = { ...record.metadata, name: record.metadata?.name ?? request.name }
    return yield* startingAgain(
      writtenTwice(kind, asked, {
        warnings,
        pinned,
        send: (dryRun, checked) =>
          sent(kept, asked, dryRun, {
            method: "PATCH",
            path,
            headers: { "content-type": applyType },
            body: JSON.stringify(
              checked === undefined
                ? record
                : {
                    ...record,
                    metadata: boundTo(
                      metadata,
                      // The uid of what a dry run creates is nobody's.
                      checked.created
                        ? { resourceVersion: pinned ? undefined : versionOfNothing }
                        : // What is gone by then is not created anew.
                          { ...checked.object.metadata, ...(pinned ? { resourceVersion: undefined } : {}) }
                    )
                  }
            )
          })
      })
    )
  })

const deleted = <A extends KeptObject>(
  { kind, kube, status }: Kept<A>,
  call: Call,
  name: string
): Effect.Effect<Deleted<A>, ApiFailure> =>
  Effect.gen(function* () {
    const options = (yield* call.body).length === 0 ? undefined : yield* forwardedDeleteOptions(call)
    const query = parametersOf(call, ["dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy"])
    const answer = yield* answerOf({ kind, kube, status }, "", {
      method: "DELETE",
      path: `${yield* recordPath(kind, name)}?${query.toString()}`,
      ...(options === undefined ? {} : { body: options })
    })
    return textAt(answer.body, "kind") === "Status"
      ? { gone: true, uid: textAt(objectAt(answer.body, "details"), "uid") }
      : { gone: false, object: objectFrom(kind, answer.body) }
  })

/** An API server that reads a body does not read the parameters: a dry run must not become a deletion by that. */
const forwardedDeleteOptions = (call: Call): Effect.Effect<Readonly<Record<string, unknown>>, ApiFailure> =>
  Effect.flatMap(jsonBody(call), (body) => {
    if (!isJsonObject(body)) return Effect.fail(badRequest("the body is no DeleteOptions"))
    // They may come in any version; without one they are understood.
    const { apiVersion: _, dryRun, kind: __, ...options } = body
    const dryRuns = [...(Array.isArray(dryRun) ? dryRun : []), ...call.query.getAll("dryRun")]
    return Effect.succeed({ ...options, ...(dryRuns.length === 0 ? {} : { dryRun: [...new Set(dryRuns)] }) })
  })

const pathOf = <A extends KeptObject>(
  kind: KeptKind<A>,
  { name, subresource }: ResourceRequest
): Effect.Effect<string, ApiFailure> =>
  Effect.map(recordPath(kind, name), (path) => (subresource === "" ? path : `${path}/${subresource}`))

/** @fails ApiFailure BadRequest for a name whose path would be that of another object, or of all */
const recordPath = <A extends KeptObject>(
  { records }: KeptKind<A>,
  name: string
): Effect.Effect<string, ApiFailure> => {
  const fault = pathSegmentFault(name)
  return fault === undefined
    ? Effect.succeed(`${records.path}/${encodeURIComponent(name)}`)
    : Effect.fail(badRequest(`invalid resource name ${JSON.stringify(name)}: [${fault}]`))
}

/**
 * What is refused before the cluster is asked: what is too large to be looked at, there and here, and a resourceVersion
 * that nothing has, which API servers take for a fault of their own.
 */
const sendingFault = <A extends KeptObject>(
  { names }: KeptKind<A>,
  object: Pick<KeptObject, "metadata">
): ApiFailure | undefined => {
  const { name, resourceVersion = "" } = object.metadata
  if (!/^\d{0,20}$/.test(resourceVersion)) {
    return badRequest(
      `metadata.resourceVersion: ${JSON.stringify(resourceVersion.slice(0, 100))} is no version that an object gave`
    )
  }
  const sizes = sizeFaults(object)
  return sizes.length === 0 ? undefined : invalid(names, name, sizes)
}

const boundTo = (
  metadata: ObjectMetadata,
  { resourceVersion, uid }: { readonly resourceVersion?: string | undefined; readonly uid?: string | undefined }
): ObjectMetadata => ({
  ...metadata,
  ...(resourceVersion === undefined ? {} : { resourceVersion }),
  ...(uid === undefined ? {} : { uid })
})

/** A refusal, and whether the whole write may begin again. */
interface Attempted {
  readonly failure: ApiFailure
  readonly again: boolean
}

const asFinal = <A, R>(effect: Effect.Effect<A, ApiFailure, R>): Effect.Effect<A, Attempted, R> =>
  Effect.mapError(effect, (failure) => ({ failure, again: false }))

const startingAgain = <A, R>(attempt: Effect.Effect<A, Attempted, R>): Effect.Effect<A, ApiFailure, R> =>
  attempt.pipe(
    Effect.retry({
      times: attemptsMax - 1,
      schedule: Schedule.jittered(Schedule.spaced("20 millis")),
      while: ({ again }) => again
    }),
    Effect.mapError(({ failure }) => failure)
  )

interface Write<A> {
  readonly warnings: ReadonlyArray<string>
  /** The client said which version it changes: when that is not the one, it has to know. */
  readonly pinned: boolean
  /** @param checked what the dry run gave, when it is for real */
  readonly send: (dryRun: boolean, checked?: Written<A>) => Effect.Effect<Written<A>, ApiFailure>
}

const writtenTwice = <A extends KeptObject>(
  kind: KeptKind<A>,
  { call, request }: Asked,
  { pinned, send, warnings }: Write<A>
): Effect.Effect<Written<A>, Attempted> =>
  Effect.gen(function* () {
    const wantsDryRun = yield* asFinal(isDryRun(call.query.getAll("dryRun")))
    const attempted = (isLost: (failure: ApiFailure) => boolean) =>
      Effect.mapError((failure: ApiFailure): Attempted => ({ failure, again: !pinned && isLost(failure) }))
    const told = (written: Written<A>): Written<A> => ({
      ...written,
      warnings: [...new Set([...warnings, ...written.warnings])]
    })
    // A status has no rules.
    if (request.subresource === "status") return told(yield* send(wantsDryRun).pipe(attempted(isRace)))
    const checked = yield* send(true).pipe(attempted(isRace))
    // As any API server asks when an apply turns out to create.
    if (checked.created && request.verb !== "create") yield* asFinal(call.authorize({ ...request, verb: "create" }))
    const faults = contentFaults(kind, checked.object)
    yield* asFinal(refusedFor(kind.names, checked.object.metadata.name, faults))
    if (wantsDryRun) return told(checked)
    // What was accepted a moment ago and is not valid now meets another object than the one that was checked.
    return told(
      yield* send(false, checked).pipe(attempted((failure) => isRace(failure) || failure.reason === "Invalid"))
    )
  })

/** With whatever of the client's request is about how it is written. */
const sent = <A extends KeptObject>(
  kept: Kept<A>,
  { call, request }: Asked,
  dryRun: boolean,
  write: KubeRequest
): Effect.Effect<Written<A>, ApiFailure> => {
  const isApply = write.method === "PATCH"
  const query = parametersOf(call, ["fieldManager", "fieldValidation", ...(isApply ? ["force"] : [])])
  const manager = managerFrom(call.header("user-agent"))
  // Who applies has to say a name; of who does not, the API server has words for it.
  if (!query.has("fieldManager") && manager !== "" && !isApply) query.set("fieldManager", manager)
  if (dryRun) query.set("dryRun", "All")
  return Effect.map(
    answerOf(kept, request.version, { ...write, path: `${write.path}?${query.toString()}` }),
    (answer) => ({
      object: objectFrom(kept.kind, answer.body),
      created: answer.status === 201,
      warnings: answer.warnings
    })
  )
}

const parametersOf = (call: Call, names: ReadonlyArray<string>): URLSearchParams =>
  new URLSearchParams(names.flatMap((name) => call.query.getAll(name).map((value) => [name, value])))

const managerLengthMax = 128

/** As API servers name who says no name: by the first part of its User-Agent. */
const managerFrom = (userAgent: string): string =>
  (userAgent.split("/", 1)[0] ?? "").replaceAll(/[^\x20-\x7e]/g, "").slice(0, managerLengthMax)

interface AcceptedWrite {
  readonly status: number
  readonly body: Json | undefined
  readonly warnings: ReadonlyArray<string>
}

/** @fails ApiFailure whatever the cluster's API server answers but 2xx, and ServiceUnavailable when it does not */
const answerOf = <A extends KeptObject>(
  { kind, kube, status }: Pick<Kept<A>, "kind" | "kube" | "status">,
  version: string,
  request: KubeRequest
): Effect.Effect<AcceptedWrite, ApiFailure> =>
  kube
    .send({
      ...request,
      headers: { accept: "application/json", "content-type": "application/json", ...request.headers }
    })
    .pipe(
      Effect.tapError((error) => Effect.logDebug("the cluster's API server does not answer a write", error)),
      Effect.mapError(() => storeAway(kind.names)),
      Effect.flatMap((answer) => {
        const body = bodyOf(answer)
        return answer.status < 300
          ? Effect.succeed({ status: answer.status, body, warnings: warningsIn(answer.headers("warning")) })
          : Effect.fail(status.failureFrom(answer.status, body, version))
      })
    )

const decoder = new TextDecoder()

const bodyOf = ({ body }: KubeAnswer): Json | undefined => {
  try {
    // Whatever parses is JSON.
    return JSON.parse(decoder.decode(body)) as Json
  } catch {
    return undefined
  }
}

/** The texts of `299 - "text"`. */
const warningsIn = (headers: ReadonlyArray<string>): ReadonlyArray<string> =>
  headers.flatMap((header) =>
    [...header.matchAll(/299 \S+ "((?:[^"\\]|\\.)*)"/g)].map(([, text = ""]) => text.replaceAll(/\\(.)/g, "$1"))
  )

/** In the version that the store gives; the request's own is put on when it is printed. */
const objectFrom = <A extends KeptObject>({ names, records }: KeptKind<A>, body: Json | undefined): A =>
  // The answer to a write of a record is a record.
  records.objectFrom(body as unknown as KeptRecord<A>, `${names.group}/v1alpha1`)
