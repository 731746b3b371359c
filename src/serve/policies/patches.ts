/** JSON patch (RFC 6902) and merge patch (RFC 7396). */
import jsonPatch from "fast-json-patch"
import { Effect } from "effect"
import { isJsonObject, type Json } from "../../domain/AuditRecord.ts"
import { type ApiFailure, badRequest, failure } from "../ApiFailure.ts"

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

/** Operations of one JSON patch, as in kube-apiserver. */
const operationsMax = 10_000

/** What all `copy` operations of one JSON patch may copy together, as in kube-apiserver: each may double the document. */
const copiedBytesMax = 3 * 1024 * 1024

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
    if (isJsonObject(operation) && operation["op"] === "copy" && typeof operation["from"] === "string") {
      const copied: unknown = jsonPatch.getValueByPointer(document, operation["from"])
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
