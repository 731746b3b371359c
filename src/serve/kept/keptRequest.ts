/** The verbs of kinds that are kept, and of their `/status`. They are configuration: roles alone decide. */
import { Clock, Effect, Result } from "effect"
import type { KeptObject } from "../../domain/KeptObject.ts"
import type { KeptObjects } from "../../store/KeptObjects.ts"
import { type ApiFailure, badRequest, type KindNames } from "../ApiFailure.ts"
import type { Drain } from "../Drain.ts"
import { type Answer, type Call, value } from "../http/Call.ts"
import { apiVersionOf, type ResourceRequest } from "../http/RequestInfo.ts"
import { limitFrom, resourceVersionFrom, resourceVersionTooLarge, versionMatchFault } from "../listParameters.ts"
import { deletedStatus } from "../objects/deletion.ts"
import { type ListMetadata, printerFor } from "../Table.ts"
import { failureOf } from "./keptFailure.ts"
import type { KeptKind } from "./KeptKind.ts"
import { keptSelector } from "./keptSelector.ts"
import type { KeptWrites, Written } from "./KeptWrites.ts"
import { watchKept } from "./watchKept.ts"

export const keptRequest = <A extends KeptObject>(
  kind: KeptKind<A>,
  store: KeptObjects<A>,
  writes: KeptWrites<A>,
  call: Call,
  request: ResourceRequest
): Effect.Effect<Answer, ApiFailure, Drain> =>
  Effect.gen(function* () {
    if (request.verb === "watch") return yield* watchKept(kind, store, call, request)
    const failureFrom = failureOf(kind.names)
    const apiVersion = apiVersionOf(request)
    const clock = yield* Clock.Clock
    const columns = kind.columns(() => clock.currentTimeMillisUnsafe())
    const printer = printerFor(call, request, kind.names.kind, columns)
    const served = (object: A): A => kind.served(object, apiVersion)
    const written = ({ created, object, warnings }: Written<A>): Answer => ({
      _tag: "Value",
      status: created ? 201 : 200,
      value: printer.one(served(object)),
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
          deleted.gone
            ? deletedStatus(kind.names, { name: request.name, uid: deleted.uid })
            : printer.one(served(deleted.object))
        )
      }
      case "get":
        return value(printer.one(served(yield* store.get(request.name).pipe(Effect.mapError(failureFrom)))))
      default: {
        const { metadata, objects } = yield* selectedObjects(kind.names, store, call, request.verb)
        // One that is gone by the time it is its turn is gone, as was asked.
        const left =
          request.verb === "list"
            ? objects
            : yield* Effect.forEach(objects, (object) =>
                writes.delete(call, object.metadata.name).pipe(
                  Effect.map((deleted) => (deleted.gone ? object : deleted.object)),
                  Effect.catchIf(
                    (error) => error.reason === "NotFound",
                    () => Effect.succeed(object)
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
const selectedObjects = <A extends KeptObject>(names: KindNames, store: KeptObjects<A>, call: Call, verb: string) =>
  Effect.gen(function* () {
    const selected = yield* Effect.fromResult(Result.mapError(keptSelector<A>(call.query), badRequest))
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
    return { objects: page.objects.filter(selected), metadata }
  })
