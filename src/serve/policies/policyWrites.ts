/** Create, replace, patch and delete policies: each admitted, stored only when nothing changed meanwhile. */
import { Clock, Effect, Schedule } from "effect"
import { randomUUID } from "node:crypto"
import type { ActivityPolicy } from "../../domain/ActivityPolicy.ts"
import { isJsonObject, type Json, objectAt, textAt } from "../../domain/AuditRecord.ts"
import { secondsTimestampText } from "../../domain/instant.ts"
import { PolicyStore, type PolicyStoreError } from "../../store/PolicyStore.ts"
import {
  alreadyExists,
  type ApiFailure,
  badRequest,
  conflict,
  expired,
  type FieldFault,
  invalid,
  notFound,
  unavailable
} from "../ApiFailure.ts"
import type { Call } from "../http/Call.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"
import { createdPolicy, isSame, policyFaults, sizeFaults, updatedPolicy, withStatus } from "./admission.ts"
import { jsonPatched, mergePatched } from "./patches.ts"
import {
  checkedPolicy,
  jsonBody,
  mediaType,
  type PolicyBody,
  policyBody,
  policyKind,
  unsupported
} from "./policyBody.ts"

/** What was written, and what the client should be told besides. */
export interface Written {
  readonly policy: ActivityPolicy
  readonly warnings: ReadonlyArray<string>
}

/** A write without a resourceVersion of its own starts again so often when others write too. */
const attemptsMax = 5

const generatedNameLetters = "bcdfghjklmnpqrstvwxz2456789"

export const createPolicy = (call: Call, request: ResourceRequest) =>
  Effect.gen(function* () {
    const dryRun = yield* isDryRun(call.query.getAll("dryRun"))
    const { policy: sent, warnings } = yield* policyBody(call, request)
    if ((sent.metadata.resourceVersion ?? "") !== "") {
      return yield* badRequest("resourceVersion should not be set on objects to be created")
    }
    const moment = yield* currentMoment
    const created = createdPolicy(named(sent, moment.uid), moment)
    yield* admitted(created)
    const store = yield* PolicyStore
    if (!dryRun) return { policy: yield* store.create(created).pipe(Effect.mapError(failureFrom)), warnings }
    const exists = yield* store.get(created.metadata.name).pipe(Effect.as(true), Effect.catch(missing(false)))
    if (exists) return yield* alreadyExists(policyKind, created.metadata.name)
    return { policy: created, warnings }
  })

/** PUT, of the policy or of its status. */
export const replacePolicy = (call: Call, request: ResourceRequest) =>
  Effect.gen(function* () {
    const body = yield* policyBody(call, request)
    return yield* change(call, request, () => Effect.succeed(body))
  })

/** PATCH, of the policy or of its status: JSON patch and merge patch. */
export const patchPolicy = (call: Call, request: ResourceRequest) =>
  Effect.gen(function* () {
    const type = mediaType(call)
    const supported = ["application/json-patch+json", "application/merge-patch+json"]
    if (type === "application/apply-patch+yaml" || type === "application/apply-patch+cbor") {
      return yield* unsupported(
        type,
        supported,
        "This server has no server-side apply: use client-side apply (kubectl apply without --server-side)."
      )
    }
    if (!supported.includes(type)) {
      return yield* unsupported(
        type,
        supported,
        type === "application/strategic-merge-patch+json"
          ? "ActivityPolicies know no strategic merge: use kubectl patch --type=merge or --type=json."
          : ""
      )
    }
    const patch = yield* jsonBody(call)
    return yield* change(call, request, (stored) =>
      Effect.gen(function* () {
        // A policy is JSON; the client's version of it is what the patch is about.
        const target = { ...stored, apiVersion: `${request.group}/${request.version}` } as unknown as Json
        const patched = yield* type === "application/json-patch+json"
          ? jsonPatched(target, patch)
          : mergedPolicy(target, patch)
        return yield* checkedPolicy(call, request, patched)
      })
    )
  })

const mergedPolicy = (target: Json, patch: Json): Effect.Effect<Json, ApiFailure> =>
  Effect.try({
    try: () => mergePatched(target, patch),
    // Nothing else can go wrong with two pieces of JSON.
    catch: () => badRequest("the merge patch is nested too deeply")
  })

/** Reads, changes, admits and stores; again from the start when somebody else was faster and the client did not say what it had read. */
const change = (
  call: Call,
  request: ResourceRequest,
  next: (stored: ActivityPolicy) => Effect.Effect<PolicyBody, ApiFailure>
): Effect.Effect<Written, ApiFailure, PolicyStore> => {
  const attempt = Effect.gen(function* () {
    const dryRun = yield* isDryRun(call.query.getAll("dryRun"))
    const store = yield* PolicyStore
    const stored = yield* store.get(request.name).pipe(Effect.mapError(failureFrom))
    const { policy: sent, warnings } = yield* next(stored)
    yield* sameObject(sent, stored)
    const updated =
      request.subresource === "status" ? withStatus(stored, sent) : updatedPolicy(stored, sent, yield* currentMoment)
    yield* request.subresource === "" ? admitted(updated, stored) : refusedFor(updated, sizeFaults(updated))
    if (isSame(updated, stored)) return { policy: stored, warnings }
    if (isGone(updated)) {
      if (!dryRun)
        yield* store
          .delete(stored.metadata.name, stored.metadata.resourceVersion ?? "0")
          .pipe(Effect.mapError(failureFrom))
      return { policy: updated, warnings }
    }
    return { policy: dryRun ? updated : yield* store.update(updated).pipe(Effect.mapError(failureFrom)), warnings }
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
const raced = "another write came between"

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

export interface Deleted {
  readonly policy: ActivityPolicy
  /** False: finalizers hold it, it is only marked. */
  readonly gone: boolean
}

export const deletePolicy = (call: Call, name: string): Effect.Effect<Deleted, ApiFailure, PolicyStore> =>
  Effect.gen(function* () {
    const options = yield* deleteOptions(call)
    const store = yield* PolicyStore
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
      if (metadata.deletionTimestamp !== undefined) return { policy: stored, gone: false }
      const { now } = yield* currentMoment
      const marked = { ...stored, metadata: { ...metadata, deletionTimestamp: now } }
      return {
        policy: options.dryRun ? marked : yield* store.update(marked).pipe(Effect.mapError(failureFrom)),
        gone: false
      }
    }
    if (!options.dryRun) {
      yield* store.delete(name, metadata.resourceVersion ?? "0").pipe(Effect.mapError(failureFrom))
    }
    return { policy: stored, gone: true }
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

const isDryRun = (values: ReadonlyArray<string>): Effect.Effect<boolean, ApiFailure> => {
  const wrong = values.find((value) => value !== "All" && value !== "")
  return wrong === undefined
    ? Effect.succeed(values.includes("All"))
    : Effect.fail(
        invalid({ group: "meta.k8s.io", plural: "", kind: "CreateOptions" }, "", [
          {
            field: "dryRun",
            reason: "FieldValueNotSupported",
            message: `Unsupported value: ${JSON.stringify(wrong)}: supported values: "All"`
          }
        ])
      )
}

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

export const failureFrom = (error: PolicyStoreError): ApiFailure => {
  const { reason } = error
  switch (reason._tag) {
    case "PolicyMissing":
      return notFound(policyKind, reason.name)
    case "PolicyExists":
      return alreadyExists(policyKind, reason.name)
    case "PolicyChanged":
      return conflict(policyKind, reason.name, raced)
    case "PolicyVersionExpired":
      return expired(`too old resource version: ${reason.resourceVersion} (${reason.oldest})`)
    case "PolicyStoreUnavailable":
      return unavailable("the store of policies does not answer: try again")
  }
}
