/**
 * The verbs of `activitypolicies` and `reindexjobs`, and of their `/status`. They are configuration: roles alone decide.
 */
import { Clock, Effect, Result } from "effect"
import type { ActivityPolicy } from "../../domain/ActivityPolicy.ts"
import { type KeptObject, type KeptObjects, PolicyStore } from "../../store/PolicyStore.ts"
import { type ApiFailure, badRequest } from "../ApiFailure.ts"
import type { Drain } from "../Drain.ts"
import { type Answer, type Call, value } from "../http/Call.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"
import { limitFrom, resourceVersionFrom, resourceVersionTooLarge, versionMatchFault } from "../listParameters.ts"
import { includeObjectFrom, type ListMetadata, type Printer, printerFor } from "../Table.ts"
import { policyKind } from "./policyBody.ts"
import { policyColumns } from "./policyColumns.ts"
import { policySelector } from "./policySelectors.ts"
import { failureOf, type KindNames } from "./policyFailure.ts"
import { type KeptWrites, PolicyWrites, type Written } from "./PolicyWrites.ts"
import { servedPolicy } from "./servedPolicy.ts"
import { type ShownKind, watchPolicies } from "./watchPolicies.ts"

export const policyRequest = (call: Call, request: ResourceRequest) =>
  Effect.gen(function* () {
    return yield* keptRequest(policies, yield* PolicyStore, yield* PolicyWrites, call, request)
  })

const policies: ShownKind<ActivityPolicy> = {
  names: policyKind,
  columns: policyColumns,
  served: servedPolicy
}

export const keptRequest = <A extends KeptObject>(
  shown: ShownKind<A>,
  store: KeptObjects<A>,
  writes: KeptWrites<A>,
  call: Call,
  request: ResourceRequest
): Effect.Effect<Answer, ApiFailure, Drain> =>
  Effect.gen(function* () {
    if (request.verb === "watch") return yield* watchPolicies(shown, store, call, request)
    const { kind } = shown.names
    const failureFrom = failureOf(shown.names)
    const apiVersion = `${request.group}/${request.version}`
    const clock = yield* Clock.Clock
    const printer: Printer<A> = printerFor(
      call.accepted.form,
      shown.columns(() => clock.currentTimeMillisUnsafe()),
      { apiVersion, kind },
      includeObjectFrom(call.query.get("includeObject"))
    )
    const served = (object: A): A => shown.served(object, apiVersion)
    const written = ({ created, policy, warnings }: Written<A>): Answer => ({
      _tag: "Value",
      status: created ? 201 : 200,
      value: printer.one(served(policy)),
      warnings
    })
    switch (request.verb) {
      case "create":
        return yield* Effect.map(writes.create(call, request), written)
      case "update":
        return yield* Effect.map(writes.replace(call, request), written)
      case "patch":
        return yield* Effect.map(writes.patch(call, request), written)
      case "delete": {
        const deleted = yield* writes.delete(call, request.name)
        return value(
          deleted.gone ? deletedStatus(shown.names, request.name, deleted) : printer.one(served(deleted.policy))
        )
      }
      case "get":
        return value(printer.one(served(yield* store.get(request.name).pipe(Effect.mapError(failureFrom)))))
      default: {
        const { metadata, policies } = yield* selectedPolicies(shown.names, store, call, request.verb)
        // One that is gone by the time it is its turn is gone, as was asked.
        const left =
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
        return value(printer.list(left.map(served), metadata))
      }
    }
  })

/** More than a page holds would be cut all the same. */
const limitMax = 10_000

/** All that match; of a list with a limit, those that match of a page. What is deleted is never cut. */
const selectedPolicies = <A extends KeptObject>(names: KindNames, store: KeptObjects<A>, call: Call, verb: string) =>
  Effect.gen(function* () {
    const selected = yield* Effect.fromResult(Result.mapError(policySelector<A>(call.query), badRequest))
    const asked = yield* Effect.fromResult(resourceVersionFrom(call.query))
    const mismatch = versionMatchFault(call.query)
    if (mismatch !== undefined) return yield* mismatch
    const limit = yield* Effect.fromResult(limitFrom(call.query, limitMax))
    const from = call.query.get("continue") ?? ""
    const isCut = verb === "list" && (limit !== undefined || from !== "")
    const all = { continue: "", remaining: undefined }
    const page = yield* (
      isCut ? store.page(limit ?? limitMax, from) : Effect.map(store.list, (list) => ({ ...list, ...all }))
    ).pipe(Effect.mapError(failureOf(names)))
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

const deletedStatus = (of: KindNames, name: string, { uid }: { readonly uid: string }) => ({
  kind: "Status",
  apiVersion: "v1",
  metadata: {},
  status: "Success",
  details: { name, group: of.group, kind: of.plural, uid }
})
