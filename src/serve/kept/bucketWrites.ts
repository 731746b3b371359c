/** Objects that this server keeps itself, in a bucket: it does to a write whatever an API server would. */
import { Effect } from "effect"
import type { KeptObject } from "../../domain/KeptObject.ts"
import type { KeptBucket } from "../../store/keptInBucket.ts"
import type { KeptObjects, KeptObjectsError } from "../../store/KeptObjects.ts"
import { alreadyExists, type ApiFailure, badRequest, refusedFor } from "../ApiFailure.ts"
import type { Call } from "../http/Call.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"
import { deleteOptions, isGone, preconditionsHold } from "../objects/deletion.ts"
import { isDryRun } from "../objects/dryRun.ts"
import { currentMoment, named, sizeFaults } from "../objects/metadata.ts"
import { mediaType, unsupported } from "../objects/objectBody.ts"
import { patchOf, patchTypes } from "../objects/patches.ts"
import { againWhenRaced, sameObject } from "../objects/races.ts"
import { createdObject, isSame, objectFaults, updatedObject, withStatus } from "./admission.ts"
import { failureOf } from "./keptFailure.ts"
import type { KeptBody, KeptKind } from "./KeptKind.ts"
import type { Deleted, KeptWrites, Written } from "./KeptWrites.ts"

/** Objects are read from the store's bucket, and written to it. */
export const bucketWrites = <A extends KeptObject>(
  kind: KeptKind<A>,
  store: KeptObjects<A>,
  bucket: KeptBucket<A>
): KeptWrites<A> => {
  const kept: Kept<A> = { kind, store, bucket, failureFrom: failureOf(kind.names) }
  return {
    create: (call, request) => create(kept, call, request),
    replace: (call, request) => replace(kept, call, request),
    patch: (call, request) => patch(kept, call, request),
    delete: (call, name) => deleteOne(kept, call, name)
  }
}

interface Kept<A extends KeptObject> {
  readonly kind: KeptKind<A>
  readonly store: KeptObjects<A>
  readonly bucket: KeptBucket<A>
  readonly failureFrom: (error: KeptObjectsError) => ApiFailure
}

const create = <A extends KeptObject>(
  { bucket, failureFrom, kind, store }: Kept<A>,
  call: Call,
  request: ResourceRequest
) =>
  Effect.gen(function* () {
    const dryRun = yield* isDryRun(call.query.getAll("dryRun"))
    const { object: sent, warnings } = yield* kind.body(call, request)
    if ((sent.metadata.resourceVersion ?? "") !== "") {
      return yield* badRequest("resourceVersion should not be set on objects to be created")
    }
    const moment = yield* currentMoment
    const created = createdObject(kind, named(sent, moment.uid), moment)
    yield* admitted(kind, created)
    if (!dryRun) {
      return { object: yield* bucket.create(created).pipe(Effect.mapError(failureFrom)), created: true, warnings }
    }
    const exists = yield* store
      .get(created.metadata.name)
      .pipe(Effect.as(true), Effect.catch(missing(false, failureFrom)))
    if (exists) return yield* alreadyExists(kind.names, created.metadata.name)
    return { object: created, created: true, warnings }
  })

const replace = <A extends KeptObject>(kept: Kept<A>, call: Call, request: ResourceRequest) =>
  Effect.gen(function* () {
    const body = yield* kept.kind.body(call, request)
    return yield* change(kept, call, request, () => Effect.succeed(body))
  })

/** JSON patch and merge patch. */
const patch = <A extends KeptObject>(kept: Kept<A>, call: Call, request: ResourceRequest) =>
  Effect.gen(function* () {
    const type = mediaType(call)
    if (type === "application/apply-patch+yaml" || type === "application/apply-patch+cbor") {
      return yield* unsupported(
        type,
        patchTypes,
        "This server has no server-side apply: use client-side apply (kubectl apply without --server-side)."
      )
    }
    const next = yield* patchOf(call, request, type, patchTypes, kept.kind)
    return yield* change(kept, call, request, next)
  })

/** Reads, changes, admits and stores; again from the start when somebody else was faster and the client did not say what it had read. */
const change = <A extends KeptObject>(
  { bucket, failureFrom, kind, store }: Kept<A>,
  call: Call,
  request: ResourceRequest,
  next: (stored: A) => Effect.Effect<KeptBody<A>, ApiFailure>
): Effect.Effect<Written<A>, ApiFailure> => {
  const attempt = Effect.gen(function* () {
    const dryRun = yield* isDryRun(call.query.getAll("dryRun"))
    const stored = yield* store.get(request.name).pipe(Effect.mapError(failureFrom))
    const { object: sent, warnings } = yield* next(stored)
    yield* sameObject(kind.names, sent, stored)
    const updated =
      request.subresource === "status"
        ? withStatus(stored, sent)
        : updatedObject(kind, stored, sent, yield* currentMoment)
    yield* request.subresource === ""
      ? admitted(kind, updated, stored)
      : refusedFor(kind.names, updated.metadata.name, sizeFaults(updated))
    if (isSame(updated, stored)) return { object: stored, created: false, warnings }
    if (isGone(updated)) {
      if (!dryRun)
        yield* bucket
          .delete(stored.metadata.name, stored.metadata.resourceVersion ?? "0")
          .pipe(Effect.mapError(failureFrom))
      return { object: updated, created: false, warnings }
    }
    return {
      object: dryRun ? updated : yield* bucket.update(updated).pipe(Effect.mapError(failureFrom)),
      created: false,
      warnings
    }
  })
  return againWhenRaced(attempt)
}

const deleteOne = <A extends KeptObject>(
  { bucket, failureFrom, kind, store }: Kept<A>,
  call: Call,
  name: string
): Effect.Effect<Deleted<A>, ApiFailure> =>
  Effect.gen(function* () {
    const options = yield* deleteOptions(call)
    const stored = yield* store.get(name).pipe(Effect.mapError(failureFrom))
    const { metadata } = stored
    yield* preconditionsHold(kind.names, options, metadata)
    if ((metadata.finalizers ?? []).length > 0) {
      if (metadata.deletionTimestamp !== undefined) return { object: stored, gone: false as const }
      const { now } = yield* currentMoment
      const marked = { ...stored, metadata: { ...metadata, deletionTimestamp: now } }
      return {
        object: options.dryRun ? marked : yield* bucket.update(marked).pipe(Effect.mapError(failureFrom)),
        gone: false as const
      }
    }
    if (!options.dryRun) {
      yield* bucket.delete(name, metadata.resourceVersion ?? "0").pipe(Effect.mapError(failureFrom))
    }
    return { uid: metadata.uid ?? "", gone: true as const }
  }).pipe(againWhenRaced)

const admitted = <A extends KeptObject>(kind: KeptKind<A>, object: A, stored?: A): Effect.Effect<void, ApiFailure> =>
  Effect.suspend(() => refusedFor(kind.names, object.metadata.name, objectFaults(kind, object, stored)))

const missing =
  <A>(value: A, failureFrom: (error: KeptObjectsError) => ApiFailure) =>
  (error: KeptObjectsError): Effect.Effect<A, ApiFailure> =>
    error.reason._tag === "ObjectMissing" ? Effect.succeed(value) : Effect.fail(failureFrom(error))
