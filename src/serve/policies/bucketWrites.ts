/** Policies and ReindexJobs that this server keeps itself, in a bucket: it does to a write whatever an API server would. */
import { Clock, Effect, Layer, Schedule } from "effect"
import { randomUUID } from "node:crypto"
import type { ActivityPolicy } from "../../domain/ActivityPolicy.ts"
import { isJsonObject, objectAt, textAt } from "../../domain/AuditRecord.ts"
import { secondsTimestampText } from "../../domain/instant.ts"
import { type KeptObjectWrites, PolicyBucket } from "../../store/PolicyBucket.ts"
import { type KeptObject, type KeptObjects, PolicyStore, type PolicyStoreError } from "../../store/PolicyStore.ts"
import { alreadyExists, type ApiFailure, badRequest, conflict, type FieldFault, invalid } from "../ApiFailure.ts"
import type { Call } from "../http/Call.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"
import { createdPolicy, isSame, type Moment, policyFaults, sizeFaults, updatedPolicy, withStatus } from "./admission.ts"
import { type PatchedKind, patchOf, patchTypes } from "./patches.ts"
import { isDryRun } from "./dryRun.ts"
import { jsonBody, mediaType, unsupported } from "../objectBody.ts"
import { checkedPolicy, policyBody, policyKind } from "./policyBody.ts"
import { failureOf, type KindNames, raced } from "./policyFailure.ts"
import { type Deleted, type KeptWrites, PolicyWrites, type Written } from "./PolicyWrites.ts"
import { servedPolicy } from "./servedPolicy.ts"

/** What the server does to objects of one kind. */
export interface KeptKind<A> extends PatchedKind<A, KeptBody<A>> {
  readonly names: KindNames
  /** Of a whole object. */
  readonly body: (call: Call, request: ResourceRequest) => Effect.Effect<KeptBody<A>, ApiFailure>
  /** As it is stored first. */
  readonly created: (sent: A, moment: Moment) => A
  /** As it is stored after a write of everything but the status. */
  readonly updated: (stored: A, sent: A, moment: Moment) => A
  /** Every reason to refuse it. `stored` is what it would replace. */
  readonly faults: (object: A, stored?: A) => ReadonlyArray<FieldFault>
}

export interface KeptBody<A> {
  readonly policy: A
  /** For Warning headers. */
  readonly warnings: ReadonlyArray<string>
}

export const keptPolicies: KeptKind<ActivityPolicy> = {
  names: policyKind,
  body: policyBody,
  checked: checkedPolicy,
  served: servedPolicy,
  created: createdPolicy,
  updated: updatedPolicy,
  faults: policyFaults
}

/** Objects are read from the store's bucket, and written to it. */
export const bucketWrites = <A extends KeptObject>(
  kind: KeptKind<A>,
  store: KeptObjects<A>,
  bucket: KeptObjectWrites<A>
): KeptWrites<A> => {
  const kept: Kept<A> = { kind, store, bucket, failureFrom: failureOf(kind.names) }
  return {
    create: (call, request) => create(kept, call, request),
    replace: (call, request) => replace(kept, call, request),
    patch: (call, request) => patch(kept, call, request),
    delete: (call, name) => deleteOne(kept, call, name)
  }
}

export const bucketWritesLayer = Layer.effect(
  PolicyWrites,
  Effect.gen(function* () {
    return PolicyWrites.of(bucketWrites(keptPolicies, yield* PolicyStore, yield* PolicyBucket))
  })
)

interface Kept<A> {
  readonly kind: KeptKind<A>
  readonly store: KeptObjects<A>
  readonly bucket: KeptObjectWrites<A>
  readonly failureFrom: (error: PolicyStoreError) => ApiFailure
}

/** A write without a resourceVersion of its own starts again so often when others write too. */
const attemptsMax = 5

const generatedNameLetters = "bcdfghjklmnpqrstvwxz2456789"

const create = <A extends KeptObject>(
  { bucket, failureFrom, kind, store }: Kept<A>,
  call: Call,
  request: ResourceRequest
) =>
  Effect.gen(function* () {
    const dryRun = yield* isDryRun(call.query.getAll("dryRun"))
    const { policy: sent, warnings } = yield* kind.body(call, request)
    if ((sent.metadata.resourceVersion ?? "") !== "") {
      return yield* badRequest("resourceVersion should not be set on objects to be created")
    }
    const moment = yield* currentMoment
    const created = kind.created(named(sent, moment.uid), moment)
    yield* admitted(kind, created)
    if (!dryRun) {
      return { policy: yield* bucket.create(created).pipe(Effect.mapError(failureFrom)), created: true, warnings }
    }
    const exists = yield* store
      .get(created.metadata.name)
      .pipe(Effect.as(true), Effect.catch(missing(false, failureFrom)))
    if (exists) return yield* alreadyExists(kind.names, created.metadata.name)
    return { policy: created, created: true, warnings }
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
    const { policy: sent, warnings } = yield* next(stored)
    yield* sameObject(kind.names, sent, stored)
    const updated =
      request.subresource === "status" ? withStatus(stored, sent) : kind.updated(stored, sent, yield* currentMoment)
    yield* request.subresource === ""
      ? admitted(kind, updated, stored)
      : refusedFor(kind.names, updated, sizeFaults(updated))
    if (isSame(updated, stored)) return { policy: stored, created: false, warnings }
    if (isGone(updated)) {
      if (!dryRun)
        yield* bucket
          .delete(stored.metadata.name, stored.metadata.resourceVersion ?? "0")
          .pipe(Effect.mapError(failureFrom))
      return { policy: updated, created: false, warnings }
    }
    return {
      policy: dryRun ? updated : yield* bucket.update(updated).pipe(Effect.mapError(failureFrom)),
      created: false,
      warnings
    }
  })
  return attempt.pipe(
    Effect.retry({
      times: attemptsMax - 1,
      schedule: Schedule.spaced("10 millis"),
      while: (error) => error.reason === "Conflict" && error.text.endsWith(raced)
    })
  )
}

const modified = "the object has been modified; please apply your changes to the latest version and try again"

/** What the client says that it changes is what is stored. */
const sameObject = (names: KindNames, sent: KeptObject, stored: KeptObject): Effect.Effect<void, ApiFailure> => {
  const { name, resourceVersion = "", uid = "" } = sent.metadata
  if (name !== stored.metadata.name) {
    return Effect.fail(
      badRequest(`the name of the object (${name}) does not match the name on the URL (${stored.metadata.name})`)
    )
  }
  if (uid !== "" && uid !== stored.metadata.uid) {
    return Effect.fail(
      conflict(
        names,
        name,
        `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${stored.metadata.uid ?? ""}`
      )
    )
  }
  return resourceVersion !== "" && resourceVersion !== stored.metadata.resourceVersion
    ? Effect.fail(conflict(names, name, modified))
    : Effect.void
}

/** It was deleted before, and nobody holds it any more. */
const isGone = (policy: KeptObject): boolean =>
  policy.metadata.deletionTimestamp !== undefined && (policy.metadata.finalizers ?? []).length === 0

const deleteOne = <A extends KeptObject>(
  { bucket, failureFrom, kind, store }: Kept<A>,
  call: Call,
  name: string
): Effect.Effect<Deleted<A>, ApiFailure> =>
  Effect.gen(function* () {
    const options = yield* deleteOptions(call)
    const stored = yield* store.get(name).pipe(Effect.mapError(failureFrom))
    const { metadata } = stored
    if (options.uid !== "" && options.uid !== metadata.uid) {
      return yield* conflict(
        kind.names,
        name,
        `Precondition failed: UID in precondition: ${options.uid}, UID in object meta: ${metadata.uid ?? ""}`
      )
    }
    if (options.resourceVersion !== "" && options.resourceVersion !== metadata.resourceVersion) {
      return yield* conflict(
        kind.names,
        name,
        `Precondition failed: ResourceVersion in precondition: ${options.resourceVersion}, ResourceVersion in object meta: ${metadata.resourceVersion ?? ""}`
      )
    }
    if ((metadata.finalizers ?? []).length > 0) {
      if (metadata.deletionTimestamp !== undefined) return { policy: stored, gone: false as const }
      const { now } = yield* currentMoment
      const marked = { ...stored, metadata: { ...metadata, deletionTimestamp: now } }
      return {
        policy: options.dryRun ? marked : yield* bucket.update(marked).pipe(Effect.mapError(failureFrom)),
        gone: false as const
      }
    }
    if (!options.dryRun) {
      yield* bucket.delete(name, metadata.resourceVersion ?? "0").pipe(Effect.mapError(failureFrom))
    }
    return { uid: metadata.uid ?? "", gone: true as const }
  }).pipe(
    Effect.retry({
      times: attemptsMax - 1,
      schedule: Schedule.spaced("10 millis"),
      while: (error) => error.reason === "Conflict" && error.text.endsWith(raced)
    })
  )

const deleteOptions = (call: Call) =>
  Effect.gen(function* () {
    const bytes = yield* call.body
    const body = bytes.length === 0 ? {} : yield* jsonBody(call)
    if (!isJsonObject(body)) return yield* badRequest("the body is no DeleteOptions")
    const preconditions = objectAt(body, "preconditions")
    const listed = body["dryRun"]
    const inBody = Array.isArray(listed) ? listed.map(String) : []
    return {
      dryRun: yield* isDryRun([...call.query.getAll("dryRun"), ...inBody]),
      uid: textAt(preconditions, "uid"),
      resourceVersion: textAt(preconditions, "resourceVersion")
    }
  })

const currentMoment = Effect.map(Clock.currentTimeMillis, (millis) => ({
  now: secondsTimestampText(BigInt(millis) * 1000n),
  uid: randomUUID()
}))

/** With a name, made from generateName where there is none. */
const named = <A extends KeptObject>(policy: A, uid: string): A => {
  // Whoever sends none has chosen a name.
  const { generateName = "" } = policy.metadata as { readonly generateName?: string }
  if (policy.metadata.name !== "" || generateName === "") return policy
  const letters = Array.from(Buffer.from(uid.replaceAll("-", ""), "hex").subarray(0, 5), (byte) =>
    generatedNameLetters.charAt(byte % generatedNameLetters.length)
  )
  return { ...policy, metadata: { ...policy.metadata, name: `${generateName}${letters.join("")}` } }
}

const admitted = <A extends KeptObject>(kind: KeptKind<A>, object: A, stored?: A): Effect.Effect<void, ApiFailure> =>
  Effect.suspend(() => refusedFor(kind.names, object, kind.faults(object, stored)))

const refusedFor = (
  names: KindNames,
  { metadata }: KeptObject,
  faults: ReadonlyArray<FieldFault>
): Effect.Effect<void, ApiFailure> =>
  faults.length === 0 ? Effect.void : Effect.fail(invalid(names, metadata.name, faults))

const missing =
  <A>(value: A, failureFrom: (error: PolicyStoreError) => ApiFailure) =>
  (error: PolicyStoreError): Effect.Effect<A, ApiFailure> =>
    error.reason._tag === "PolicyMissing" ? Effect.succeed(value) : Effect.fail(failureFrom(error))
