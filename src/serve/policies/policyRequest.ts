/** The verbs of `activitypolicies` and `activitypolicies/status`. Policies are configuration: roles alone decide. */
import { Clock, Effect, Result } from "effect"
import type { ActivityPolicy } from "../../domain/ActivityPolicy.ts"
import { PolicyStore } from "../../store/PolicyStore.ts"
import { type ApiFailure, badRequest } from "../ApiFailure.ts"
import type { Drain } from "../Drain.ts"
import { type Answer, type Call, value } from "../http/Call.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"
import { limitFrom, resourceVersionFrom, resourceVersionTooLarge, versionMatchFault } from "../listParameters.ts"
import { includeObjectFrom, type ListMetadata, type Printer, printerFor } from "../Table.ts"
import { policyKind } from "./policyBody.ts"
import { policyColumns } from "./policyColumns.ts"
import { policySelector } from "./policySelectors.ts"
import { failureFrom } from "./policyFailure.ts"
import { type Deleted, PolicyWrites, type Written } from "./PolicyWrites.ts"
import { servedPolicy } from "./servedPolicy.ts"
import { watchPolicies } from "./watchPolicies.ts"

export const policyRequest = (
  call: Call,
  request: ResourceRequest
): Effect.Effect<Answer, ApiFailure, Drain | PolicyStore | PolicyWrites> =>
  Effect.gen(function* () {
    if (request.verb === "watch") return yield* watchPolicies(call, request)
    const apiVersion = `${request.group}/${request.version}`
    const clock = yield* Clock.Clock
    const printer: Printer<ActivityPolicy> = printerFor(
      call.accepted.form,
      policyColumns(() => clock.currentTimeMillisUnsafe()),
      { apiVersion, kind: "ActivityPolicy" },
      includeObjectFrom(call.query.get("includeObject"))
    )
    const served = (policy: ActivityPolicy): ActivityPolicy => servedPolicy(policy, apiVersion)
    const written = ({ created, policy, warnings }: Written): Answer => ({
      _tag: "Value",
      status: created ? 201 : 200,
      value: printer.one(served(policy)),
      warnings
    })
    const writes = yield* PolicyWrites
    switch (request.verb) {
      case "create":
        return yield* Effect.map(writes.create(call, request), written)
      case "update":
        return yield* Effect.map(writes.replace(call, request), written)
      case "patch":
        return yield* Effect.map(writes.patch(call, request), written)
      case "delete": {
        const deleted = yield* writes.delete(call, request.name)
        return value(deleted.gone ? deletedStatus(request.name, deleted) : printer.one(served(deleted.policy)))
      }
      case "get": {
        const store = yield* PolicyStore
        return value(printer.one(served(yield* store.get(request.name).pipe(Effect.mapError(failureFrom)))))
      }
      default: {
        const { metadata, policies } = yield* selectedPolicies(call, request.verb)
        // A policy that is gone by the time it is its turn is gone, as was asked.
        const shown =
          request.verb === "list"
            ? policies
            : yield* Effect.forEach(policies, (policy) =>
                writes.delete(call, policy.metadata.name).pipe(
                  Effect.map((deleted) => (deleted.gone ? policy : deleted.policy)),
                  Effect.catchIf(
                    (error) => error.reason === "NotFound",
                    () => Effect.succeed(policy)
                  )
                )
              )
        return value(printer.list(shown.map(served), metadata))
      }
    }
  })

/** More than a page holds would be cut all the same. */
const limitMax = 10_000

/** All that match; of a list with a limit, those that match of a page. What is deleted is never cut. */
const selectedPolicies = (call: Call, verb: string) =>
  Effect.gen(function* () {
    const selected = yield* Effect.fromResult(Result.mapError(policySelector(call.query), badRequest))
    const asked = yield* Effect.fromResult(resourceVersionFrom(call.query))
    const mismatch = versionMatchFault(call.query)
    if (mismatch !== undefined) return yield* mismatch
    const limit = yield* Effect.fromResult(limitFrom(call.query, limitMax))
    const from = call.query.get("continue") ?? ""
    const store = yield* PolicyStore
    const isCut = verb === "list" && (limit !== undefined || from !== "")
    const all = { continue: "", remaining: undefined }
    const page = yield* (
      isCut ? store.page(limit ?? limitMax, from) : Effect.map(store.list, (list) => ({ ...list, ...all }))
    ).pipe(Effect.mapError(failureFrom))
    const { resourceVersion } = page
    if (asked !== undefined && asked > resourceVersion) return yield* resourceVersionTooLarge(asked, resourceVersion)
    const isSelective = ["labelSelector", "fieldSelector"].some((name) => (call.query.get(name) ?? "") !== "")
    const metadata: ListMetadata = {
      resourceVersion: String(resourceVersion),
      ...(page.continue === "" ? {} : { continue: page.continue }),
      // How many of them would match, nobody has counted.
      ...(page.remaining === undefined || isSelective ? {} : { remainingItemCount: page.remaining })
    }
    return { policies: page.policies.filter(selected), metadata }
  })

const deletedStatus = (name: string, { uid }: Deleted & { readonly gone: true }) => ({
  kind: "Status",
  apiVersion: "v1",
  metadata: {},
  status: "Success",
  details: { name, group: policyKind.group, kind: policyKind.plural, uid }
})
