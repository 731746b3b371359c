/**
 * `watch` of policies. Clients that want the initial state inside of the watch get it, with the bookmark that ends it.
 */
import { Clock, Effect, Result, Stream } from "effect"
import type { ActivityPolicy } from "../../domain/ActivityPolicy.ts"
import { type PolicyEvent, PolicyStore } from "../../store/PolicyStore.ts"
import { badRequest, expired, invalid } from "../ApiFailure.ts"
import type { Answer, Call } from "../http/Call.ts"
import { isTrue, type ResourceRequest } from "../http/RequestInfo.ts"
import { initialEventsForbidden, resourceVersionFrom } from "../listParameters.ts"
import { includeObjectFrom, printerFor } from "../Table.ts"
import { frameText, type FrameType, liveFrames } from "../watchFrames.ts"
import { policyColumns } from "./policyColumns.ts"
import { policySelector } from "./policySelectors.ts"
import { failureFrom } from "./policyWrites.ts"

const initialEventsEnd = { "k8s.io/initial-events-end": "true" }

export const watchPolicies = Effect.fn("serve.watchPolicies")(function* (call: Call, request: ResourceRequest) {
  const { query } = call
  const selected = yield* Effect.fromResult(Result.mapError(policySelector(query), badRequest))
  const version = yield* Effect.fromResult(resourceVersionFrom(query))
  const wantsInitial = isTrue(query.get("sendInitialEvents"))
  if (query.has("sendInitialEvents") && query.get("resourceVersionMatch") !== "NotOlderThan") {
    return yield* invalid({ group: "meta.k8s.io", plural: "", kind: "ListOptions" }, "", [
      {
        field: "resourceVersionMatch",
        reason: "FieldValueForbidden",
        message: "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
      }
    ])
  }
  // The end of the initial state is told by a bookmark: without bookmarks the client would wait for ever.
  if (wantsInitial && !isTrue(query.get("allowWatchBookmarks"))) return yield* initialEventsForbidden()
  const store = yield* PolicyStore
  const listed = yield* store.list.pipe(Effect.mapError(failureFrom))
  if (version !== undefined && version > listed.resourceVersion) {
    return yield* expired(
      `resource version ${version} is beyond the current one (${listed.resourceVersion}): list again`
    )
  }
  const apiVersion = `${request.group}/${request.version}`
  const clock = yield* Clock.Clock
  const printer = printerFor<ActivityPolicy>(
    call.accepted.form,
    policyColumns(() => clock.currentTimeMillisUnsafe()),
    { apiVersion, kind: "ActivityPolicy" },
    includeObjectFrom(query.get("includeObject"))
  )
  const frame = (type: FrameType, policy: ActivityPolicy): string =>
    frameText(type, printer.frame({ ...policy, apiVersion }))
  const initial = wantsInitial || (version === undefined && !query.has("sendInitialEvents"))
  const position = initial ? listed.resourceVersion : (version ?? listed.resourceVersion)
  // Asked before the answer begins: a version that is gone is a 410.
  if (!initial) yield* store.known(position).pipe(Effect.mapError(failureFrom))
  const opening = initial
    ? listed.policies
        .filter(selected)
        .map((policy) => frame("ADDED", policy))
        .join("") + (wantsInitial ? frameText("BOOKMARK", printer.bookmark(String(position), initialEventsEnd)) : "")
    : ""
  const live = yield* liveFrames(query, {
    position: () => position,
    next: (from) =>
      store.after(from).pipe(
        Effect.map((batch) => ({
          text: batch.events
            .map((event) => {
              const type = typeFor(event, selected)
              return type === undefined ? "" : frame(type, event.policy)
            })
            .join(""),
          position: batch.position
        })),
        // Too far behind: the client resumes from its last resourceVersion, and learns there that it is gone.
        Effect.catch(() => Effect.succeed(undefined))
      ),
    bookmark: (at) => frameText("BOOKMARK", printer.bookmark(String(at)))
  })
  return {
    _tag: "Chunks",
    contentType: printer.contentType,
    chunks: Stream.concat(Stream.succeed(opening), live).pipe(Stream.filter((text) => text !== "")),
    live: true
  } satisfies Answer
})

/** What the change is for a watch that sees only what it selected. */
const typeFor = (event: PolicyEvent, selected: (policy: ActivityPolicy) => boolean): FrameType | undefined => {
  const before = event.previous !== undefined && selected(event.previous)
  const after = event.type !== "DELETED" && selected(event.policy)
  if (before) return after ? "MODIFIED" : "DELETED"
  return after ? "ADDED" : undefined
}
