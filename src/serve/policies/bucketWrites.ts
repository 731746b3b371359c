/** Policies that this server keeps itself, in a bucket: it does to a write whatever an API server would. */
import { Clock, Effect, Layer, Schedule } from "effect"
import { randomUUID } from "node:crypto"
import type { ActivityPolicy } from "../../domain/ActivityPolicy.ts"
import { isJsonObject, objectAt, textAt } from "../../domain/AuditRecord.ts"
import { secondsTimestampText } from "../../domain/instant.ts"
import { PolicyBucket } from "../../store/PolicyBucket.ts"
import { PolicyStore, type PolicyStoreError } from "../../store/PolicyStore.ts"
import { alreadyExists, type ApiFailure, badRequest, conflict, type FieldFault, invalid } from "../ApiFailure.ts"
import type { Call } from "../http/Call.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"
import { createdPolicy, isSame, policyFaults, sizeFaults, updatedPolicy, withStatus } from "./admission.ts"
import { patchOf, patchTypes } from "./patches.ts"
import { isDryRun } from "./dryRun.ts"
import { jsonBody, mediaType, unsupported } from "../objectBody.ts"
import { type PolicyBody, policyBody, policyKind } from "./policyBody.ts"
import { failureFrom, raced } from "./policyFailure.ts"
import { type Deleted, PolicyWrites, type Written } from "./PolicyWrites.ts"

/** Policies are read from the store's bucket, and written to it. */
export const bucketWritesLayer = Layer.effect(
  PolicyWrites,
  Effect.gen(function* () {
    const context = yield* Effect.context<PolicyStore | PolicyBucket>()
    return PolicyWrites.of({
      create: (call, request) => Effect.provide(createPolicy(call, request), context),
      replace: (call, request) => Effect.provide(replacePolicy(call, request), context),
      patch: (call, request) => Effect.provide(patchPolicy(call, request), context),
      delete: (call, name) => Effect.provide(deletePolicy(call, name), context)
    })
  })
)

/** A write without a resourceVersion of its own starts again so often when others write too. */
const attemptsMax = 5

const generatedNameLetters = "bcdfghjklmnpqrstvwxz2456789"

const createPolicy = (call: Call, request: ResourceRequest) =>
  Effect.gen(function* () {
    const dryRun = yield* isDryRun(call.query.getAll("dryRun"))
    const { policy: sent, warnings } = yield* policyBody(call, request)
    if ((sent.metadata.resourceVersion ?? "") !== "") {
      return yield* badRequest("resourceVersion should not be set on objects to be created")
    }
    const moment = yield* currentMoment
    const created = createdPolicy(named(sent, moment.uid), moment)
    yield* admitted(created)
    const [store, bucket] = [yield* PolicyStore, yield* PolicyBucket]
    if (!dryRun) {
      return { policy: yield* bucket.create(created).pipe(Effect.mapError(failureFrom)), created: true, warnings }
    }
    const exists = yield* store.get(created.metadata.name).pipe(Effect.as(true), Effect.catch(missing(false)))
    if (exists) return yield* alreadyExists(policyKind, created.metadata.name)
    return { policy: created, created: true, warnings }
  })

const replacePolicy = (call: Call, request: ResourceRequest) =>
  Effect.gen(function* () {
    const body = yield* policyBody(call, request)
    return yield* change(call, request, () => Effect.succeed(body))
  })

/** JSON patch and merge patch. */
const patchPolicy = (call: Call, request: ResourceRequest) =>
  Effect.gen(function* () {
    const type = mediaType(call)
    if (type === "application/apply-patch+yaml" || type === "application/apply-patch+cbor") {
      return yield* unsupported(
        type,
        patchTypes,
        "This server has no server-side apply: use client-side apply (kubectl apply without --server-side)."
      )
    }
    const next = yield* patchOf(call, request, type)
    return yield* change(call, request, next)
  })

/** Reads, changes, admits and stores; again from the start when somebody else was faster and the client did not say what it had read. */
const change = (
  call: Call,
  request: ResourceRequest,
  next: (stored: ActivityPolicy) => Effect.Effect<PolicyBody, ApiFailure>
): Effect.Effect<Written, ApiFailure, PolicyStore | PolicyBucket> => {
  const attempt = Effect.gen(function* () {
    const dryRun = yield* isDryRun(call.query.getAll("dryRun"))
    const [store, bucket] = [yield* PolicyStore, yield* PolicyBucket]
    const stored = yield* store.get(request.name).pipe(Effect.mapError(failureFrom))
    const { policy: sent, warnings } = yield* next(stored)
    yield* sameObject(sent, stored)
    const updated =
      request.subresource === "status" ? withStatus(stored, sent) : updatedPolicy(stored, sent, yield* currentMoment)
    yield* request.subresource === "" ? admitted(updated, stored) : refusedFor(updated, sizeFaults(updated))
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
const sameObject = (sent: ActivityPolicy, stored: ActivityPolicy): Effect.Effect<void, ApiFailure> => {
  const { name, resourceVersion = "", uid = "" } = sent.metadata
  if (name !== stored.metadata.name) {
    return Effect.fail(
      badRequest(`the name of the object (${name}) does not match the name on the URL (${stored.metadata.name})`)
    )
  }
  if (uid !== "" && uid !== stored.metadata.uid) {
    return Effect.fail(
      conflict(
        policyKind,
        name,
        `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${stored.metadata.uid ?? ""}`
      )
    )
  }
  return resourceVersion !== "" && resourceVersion !== stored.metadata.resourceVersion
    ? Effect.fail(conflict(policyKind, name, modified))
    : Effect.void
}

/** It was deleted before, and nobody holds it any more. */
const isGone = (policy: ActivityPolicy): boolean =>
  policy.metadata.deletionTimestamp !== undefined && (policy.metadata.finalizers ?? []).length === 0

const deletePolicy = (call: Call, name: string): Effect.Effect<Deleted, ApiFailure, PolicyStore | PolicyBucket> =>
  Effect.gen(function* () {
    const options = yield* deleteOptions(call)
    const [store, bucket] = [yield* PolicyStore, yield* PolicyBucket]
    const stored = yield* store.get(name).pipe(Effect.mapError(failureFrom))
    const { metadata } = stored
    if (options.uid !== "" && options.uid !== metadata.uid) {
      return yield* conflict(
        policyKind,
        name,
        `Precondition failed: UID in precondition: ${options.uid}, UID in object meta: ${metadata.uid ?? ""}`
      )
    }
    if (options.resourceVersion !== "" && options.resourceVersion !== metadata.resourceVersion) {
      return yield* conflict(
        policyKind,
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
const named = (policy: ActivityPolicy & { metadata: { generateName?: string } }, uid: string): ActivityPolicy => {
  const { generateName = "" } = policy.metadata
  if (policy.metadata.name !== "" || generateName === "") return policy
  const letters = Array.from(Buffer.from(uid.replaceAll("-", ""), "hex").subarray(0, 5), (byte) =>
    generatedNameLetters.charAt(byte % generatedNameLetters.length)
  )
  return { ...policy, metadata: { ...policy.metadata, name: `${generateName}${letters.join("")}` } }
}

const admitted = (policy: ActivityPolicy, stored?: ActivityPolicy): Effect.Effect<void, ApiFailure> =>
  Effect.suspend(() => refusedFor(policy, policyFaults(policy, stored)))

const refusedFor = (policy: ActivityPolicy, faults: ReadonlyArray<FieldFault>): Effect.Effect<void, ApiFailure> =>
  faults.length === 0 ? Effect.void : Effect.fail(invalid(policyKind, policy.metadata.name, faults))

const missing =
  <A>(value: A) =>
  (error: PolicyStoreError): Effect.Effect<A, ApiFailure> =>
    error.reason._tag === "PolicyMissing" ? Effect.succeed(value) : Effect.fail(failureFrom(error))
