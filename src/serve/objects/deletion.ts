/** What a DELETE asks besides what it deletes, and what it comes to. */
import { Effect } from "effect"
import { metaReference } from "../../contracts/metaSchemas.ts"
import { isJsonObject, objectAt, textAt } from "../../domain/AuditRecord.ts"
import { type ApiFailure, badRequest, conflict, type KindNames } from "../ApiFailure.ts"
import type { KeptObject, ObjectMetadata } from "../../domain/KeptObject.ts"
import type { Call } from "../http/Call.ts"
import { jsonBody } from "./objectBody.ts"
import { isDryRun } from "./dryRun.ts"
import { fieldProblems } from "./fieldProblems.ts"

export interface DeleteOptions {
  readonly dryRun: boolean
  /** Of the object as the client knows it; "" where any will do. */
  readonly uid: string
  readonly resourceVersion: string
}

/** @fails ApiFailure BadRequest, RequestEntityTooLarge, Invalid */
export const deleteOptions = (call: Call): Effect.Effect<DeleteOptions, ApiFailure> =>
  Effect.gen(function* () {
    const bytes = yield* call.body
    const body = bytes.length === 0 ? {} : yield* jsonBody(call)
    if (!isJsonObject(body)) return yield* badRequest("the body is no DeleteOptions")
    // A precondition that cannot be read is none that holds.
    const [mismatch] = fieldProblems(metaReference("DeleteOptions"), body).mismatches
    if (mismatch !== undefined) return yield* badRequest(`the body is no DeleteOptions: ${mismatch}`)
    const preconditions = objectAt(body, "preconditions")
    const listed = body["dryRun"]
    const inBody = Array.isArray(listed) ? listed.map(String) : []
    return {
      dryRun: yield* isDryRun([...call.query.getAll("dryRun"), ...inBody]),
      uid: textAt(preconditions, "uid"),
      resourceVersion: textAt(preconditions, "resourceVersion")
    }
  })

/** @fails ApiFailure Conflict when the object is another one, or another version of it */
export const preconditionsHold = (
  of: KindNames,
  asked: DeleteOptions,
  {
    name,
    resourceVersion = "",
    uid = ""
  }: { readonly name: string; readonly uid?: string; readonly resourceVersion?: string }
): Effect.Effect<void, ApiFailure> => {
  if (asked.uid !== "" && asked.uid !== uid) {
    return Effect.fail(
      conflict(of, name, `Precondition failed: UID in precondition: ${asked.uid}, UID in object meta: ${uid}`)
    )
  }
  return asked.resourceVersion !== "" && asked.resourceVersion !== resourceVersion
    ? Effect.fail(
        conflict(
          of,
          name,
          `Precondition failed: ResourceVersion in precondition: ${asked.resourceVersion}, ResourceVersion in object meta: ${resourceVersion}`
        )
      )
    : Effect.void
}

/** It was deleted before, and nobody holds it any more. */
export const isGone = ({ metadata }: Pick<KeptObject, "metadata">): boolean =>
  metadata.deletionTimestamp !== undefined && (metadata.finalizers ?? []).length === 0

/** The answer about an object that is gone. */
export const deletedStatus = (
  { group, plural }: KindNames,
  { name, uid = "" }: Pick<ObjectMetadata, "name" | "uid">
) => ({
  kind: "Status",
  apiVersion: "v1",
  metadata: {},
  status: "Success",
  details: { name, ...(group === "" ? {} : { group }), kind: plural, uid }
})
