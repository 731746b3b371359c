/** The verbs of `activitypolicies` and `activitypolicies/status`. Policies are configuration: roles alone decide. */
import { Clock, Effect, Result } from "effect"
import type { ActivityPolicy } from "../../domain/ActivityPolicy.ts"
import { PolicyStore } from "../../store/PolicyStore.ts"
import { type ApiFailure, badRequest, expired } from "../ApiFailure.ts"
import type { Drain } from "../Drain.ts"
import { type Answer, type Call, value } from "../http/Call.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"
import { resourceVersionFrom, resourceVersionTooLarge, versionMatchFault } from "../listParameters.ts"
import { includeObjectFrom, type Printer, printerFor } from "../Table.ts"
import { policyKind } from "./policyBody.ts"
import { policyColumns } from "./policyColumns.ts"
import { policySelector } from "./policySelectors.ts"
import { createPolicy, deletePolicy, failureFrom, patchPolicy, replacePolicy, type Written } from "./policyWrites.ts"
import { watchPolicies } from "./watchPolicies.ts"

export const policyRequest = (
  call: Call,
  request: ResourceRequest
): Effect.Effect<Answer, ApiFailure, Drain | PolicyStore> =>
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
    const served = (policy: ActivityPolicy): ActivityPolicy => ({ ...policy, apiVersion })
    const written =
      (status: number) =>
      ({ policy, warnings }: Written): Answer => ({
        _tag: "Value",
        status,
        value: printer.one(served(policy)),
        warnings
      })
    switch (request.verb) {
      case "create":
        return yield* Effect.map(createPolicy(call, request), written(201))
      case "update":
        return yield* Effect.map(replacePolicy(call, request), written(200))
      case "patch":
        return yield* Effect.map(patchPolicy(call, request), written(200))
      case "delete": {
        const { gone, policy } = yield* deletePolicy(call, request.name)
        return value(gone ? deletedStatus(policy) : printer.one(served(policy)))
      }
      case "get": {
        const store = yield* PolicyStore
        return value(printer.one(served(yield* store.get(request.name).pipe(Effect.mapError(failureFrom)))))
      }
      default: {
        const { policies, resourceVersion } = yield* selectedPolicies(call)
        // A policy that is gone by the time it is its turn is gone, as was asked.
        const shown =
          request.verb === "list"
            ? policies
            : yield* Effect.forEach(policies, (policy) =>
                deletePolicy(call, policy.metadata.name).pipe(
                  Effect.map((deleted) => deleted.policy),
                  Effect.catchIf(
                    (error) => error.reason === "NotFound",
                    () => Effect.succeed(policy)
                  )
                )
              )
        return value(printer.list(shown.map(served), { resourceVersion: String(resourceVersion) }))
      }
    }
  })

/** All that match: there are hundreds at most, so a list is never cut into pages, as the API allows. */
const selectedPolicies = (call: Call) =>
  Effect.gen(function* () {
    const selected = yield* Effect.fromResult(Result.mapError(policySelector(call.query), badRequest))
    const asked = yield* Effect.fromResult(resourceVersionFrom(call.query))
    const mismatch = versionMatchFault(call.query)
    if (mismatch !== undefined) return yield* mismatch
    if ((call.query.get("continue") ?? "") !== "") {
      return yield* expired("The provided continue parameter is too old: start the list again without it")
    }
    const store = yield* PolicyStore
    const { policies, resourceVersion } = yield* store.list.pipe(Effect.mapError(failureFrom))
    if (asked !== undefined && asked > resourceVersion) return yield* resourceVersionTooLarge(asked, resourceVersion)
    return { policies: policies.filter(selected), resourceVersion }
  })

const deletedStatus = (policy: ActivityPolicy) => ({
  kind: "Status",
  apiVersion: "v1",
  metadata: {},
  status: "Success",
  details: { name: policy.metadata.name, group: policyKind.group, kind: policyKind.plural, uid: policy.metadata.uid }
})
