/** Patches of Events: of JSON, merging, and strategic, which is what the event recorders of client-go send. */
import { Effect } from "effect"
import { isJsonObject, type Json } from "../../domain/AuditRecord.ts"
import { type ApiFailure, badRequest } from "../ApiFailure.ts"
import type { Call } from "../http/Call.ts"
import { jsonBody, mediaType, unsupported } from "../objects/objectBody.ts"
import { jsonPatched, mergePatched } from "../objects/patches.ts"
import { strategicMerged } from "./strategicMerge.ts"

const patchTypes: Readonly<Record<string, (target: Json, patch: Json) => Effect.Effect<Json, ApiFailure>>> = {
  "application/json-patch+json": jsonPatched,
  "application/merge-patch+json": (target, patch) => Effect.sync(() => mergePatched(target, patch)),
  "application/strategic-merge-patch+json": (target, patch) => Effect.sync(() => strategicMerged(target, patch))
}

/**
 * The body is read once; what it makes of an Event may be asked again.
 *
 * @fails ApiFailure UnsupportedMediaType, RequestEntityTooLarge, BadRequest; the same and Invalid when it is applied
 */
export const eventPatch = (call: Call): Effect.Effect<(target: Json) => Effect.Effect<Json, ApiFailure>, ApiFailure> =>
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
