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

/**
 * @fails ApiFailure BadRequest when it is no JSON patch
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
    // The library checks that each item is an operation.
    try: () =>
      jsonPatch.applyPatch(structuredClone(target), patch as Array<jsonPatch.Operation>, true).newDocument as Json,
    catch: (cause) =>
      failure(
        "Invalid",
        `the server rejected our request due to an error in our request: ${cause instanceof Error ? (cause.message.split("\n", 1)[0] ?? "") : String(cause)}`,
        {}
      )
  })
}
