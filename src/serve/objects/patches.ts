/** JSON patch (RFC 6902) and merge patch (RFC 7396). */
import jsonPatch from "fast-json-patch"
import { Effect } from "effect"
import { isJsonObject, type Json, textAt } from "../../domain/AuditRecord.ts"
import { type ApiFailure, badRequest, failure } from "../ApiFailure.ts"
import type { Call } from "../http/Call.ts"
import { apiVersionOf, type ResourceRequest } from "../http/RequestInfo.ts"
import { jsonBody, unsupported } from "./objectBody.ts"

export interface PatchedKind<A, B> {
  readonly served: (object: A, apiVersion: string) => A
  readonly checked: (call: Call, request: ResourceRequest, body: Json | undefined) => Effect.Effect<B, ApiFailure>
}

export const patchTypes = ["application/json-patch+json", "application/merge-patch+json"]

/**
 * What the request's patch makes of a stored object. The body is read and parsed once.
 *
 * @param type of the body
 * @param kind what the stored object looks like to this client, and the checks of what it becomes
 * @fails ApiFailure UnsupportedMediaType, RequestEntityTooLarge, BadRequest; the same and Invalid when it is applied
 */
export const patchOf = <A, B>(
  call: Call,
  request: ResourceRequest,
  type: string,
  supported: ReadonlyArray<string>,
  kind: PatchedKind<A, B>
): Effect.Effect<(stored: A) => Effect.Effect<B, ApiFailure>, ApiFailure> =>
  Effect.gen(function* () {
    if (!patchTypes.includes(type)) {
      return yield* unsupported(
        type,
        supported,
        type === "application/strategic-merge-patch+json"
          ? "Its objects know no strategic merge: use kubectl patch --type=merge or --type=json."
          : ""
      )
    }
    const patch = yield* jsonBody(call)
    return (stored) => {
      // An object is JSON; the client's version of it is what the patch is about.
      const target = kind.served(stored, apiVersionOf(request)) as unknown as Json
      const patched = type === "application/json-patch+json" ? jsonPatched(target, patch) : merged(target, patch)
      return Effect.flatMap(patched, (body) => kind.checked(call, request, body))
    }
  })

const merged = (target: Json, patch: Json): Effect.Effect<Json, ApiFailure> =>
  Effect.try({
    try: () => mergePatched(target, patch),
    // Nothing else can go wrong with two pieces of JSON.
    catch: () => badRequest("the merge patch is nested too deeply")
  })

/** RFC 7396: null removes, objects merge, everything else replaces. */
export const mergePatched = (target: Json | undefined, patch: Json): Json => {
  if (!isJsonObject(patch)) return patch
  const merged = new Map<string, Json | undefined>(isJsonObject(target) ? Object.entries(target) : [])
  for (const [name, value] of Object.entries(patch)) {
    if (value === null || value === undefined) merged.delete(name)
    else merged.set(name, mergePatched(merged.get(name), value))
  }
  return Object.fromEntries(merged)
}

/** Operations of one JSON patch: a tenth of what kube-apiserver takes, since each may move all rules of a list. */
const operationsMax = 1_000

/**
 * Bytes that all `copy` operations of one JSON patch may copy together, as in kube-apiserver: each may double the
 * document. What stands where something is moved to counts too: the library copies it.
 */
const copiedBytesMax = 3 * 1024 * 1024

const copyingField: Readonly<Record<string, string>> = { copy: "from", move: "path" }

class CopiesTooMuch extends Error {}

/**
 * @fails ApiFailure BadRequest when it is no JSON patch
 * @fails ApiFailure RequestEntityTooLarge when it has too many operations, or copies too much
 * @fails ApiFailure Invalid when it cannot be applied, a failed `test` among it
 */
export const jsonPatched = (target: Json, patch: Json): Effect.Effect<Json, ApiFailure> => {
  if (!Array.isArray(patch)) return Effect.fail(badRequest("a JSON patch is a list of operations"))
  if (patch.length > operationsMax) {
    return Effect.fail(
      failure(
        "RequestEntityTooLarge",
        `The allowed maximum operations in a JSON patch is ${operationsMax}, got ${patch.length}`
      )
    )
  }
  return Effect.try({
    try: () => applied(target, patch),
    catch: (cause) =>
      cause instanceof CopiesTooMuch
        ? failure("RequestEntityTooLarge", cause.message)
        : failure(
            "Invalid",
            `the server rejected our request due to an error in our request: ${cause instanceof Error ? (cause.message.split("\n", 1)[0] ?? "") : String(cause)}`,
            {}
          )
  })
}

/** @throws CopiesTooMuch, and whatever the library does not like */
const applied = (target: Json, patch: ReadonlyArray<Json>): Json => {
  let document: unknown = structuredClone(target)
  let copiedBytes = 0
  for (const [index, operation] of patch.entries()) {
    const copiedFrom = isJsonObject(operation) ? operation[copyingField[textAt(operation, "op")] ?? ""] : undefined
    if (typeof copiedFrom === "string") {
      const copied: unknown = jsonPatch.getValueByPointer(document, copiedFrom)
      copiedBytes += Buffer.byteLength(JSON.stringify(copied) ?? "")
      if (copiedBytes > copiedBytesMax) {
        throw new CopiesTooMuch(
          `Unable to complete the copy, the accumulated size increase of copy is ${copiedBytes}, exceeding the limit ${copiedBytesMax}`
        )
      }
    }
    // The library checks that it is an operation.
    const checked = operation as unknown as jsonPatch.Operation
    document = jsonPatch.applyOperation(document, checked, true, true, true, index).newDocument
  }
  // JSON in, JSON out.
  return document as Json
}
