/**
 * `watch` of policies, and of ReindexJobs. Clients that want the initial state inside of the watch get it, with the bookmark that ends it.
 */
import { Clock, Effect, Result, Stream } from "effect"
import type { KeptObject, KeptObjects, PolicyEvent } from "../../store/PolicyStore.ts"
import { badRequest } from "../ApiFailure.ts"
import { Drain } from "../Drain.ts"
import type { Answer, Call } from "../http/Call.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"
import { initialEventsEnd, initialEventsFrom, resourceVersionFrom } from "../listParameters.ts"
import { type Column, includeObjectFrom, printerFor } from "../Table.ts"
import { frameText, type FrameType, liveFrames } from "../watchFrames.ts"
import { failureOf, type KindNames, versionAhead } from "./policyFailure.ts"
import { policySelector } from "./policySelectors.ts"

/** How objects of one kind are shown. */
export interface ShownKind<A> {
  readonly names: KindNames
  /** @param nowMillis asked for each row: a watch is long */
  readonly columns: (nowMillis: () => number) => ReadonlyArray<Column<A>>
  /** In the version that the client asked for. */
  readonly served: (object: A, apiVersion: string) => A
}

export const watchPolicies = Effect.fn("serve.watchPolicies")(function* <A extends KeptObject>(
  shown: ShownKind<A>,
  store: KeptObjects<A>,
  call: Call,
  request: ResourceRequest
) {
  const failureFrom = failureOf(shown.names)
  const { query } = call
  const selected = yield* Effect.fromResult(Result.mapError(policySelector<A>(query), badRequest))
  const version = yield* Effect.fromResult(resourceVersionFrom(query))
  const initial = yield* Effect.fromResult(initialEventsFrom(query, version))
  const drain = yield* Drain
  // Asked before the answer begins: a version that is gone, or was never there, is a 410.
  if (initial === "none" && version !== undefined) yield* store.known(version).pipe(Effect.mapError(failureFrom))
  const listed =
    initial === "none" && version !== undefined
      ? { policies: [], resourceVersion: version }
      : yield* store.list.pipe(Effect.mapError(failureFrom))
  if (version !== undefined && version > listed.resourceVersion) {
    return yield* versionAhead(version, listed.resourceVersion)
  }
  const apiVersion = `${request.group}/${request.version}`
  const clock = yield* Clock.Clock
  const printer = printerFor<A>(
    call.accepted.form,
    shown.columns(() => clock.currentTimeMillisUnsafe()),
    { apiVersion, kind: shown.names.kind },
    includeObjectFrom(query.get("includeObject"))
  )
  const frame = (type: FrameType, object: A): string => frameText(type, printer.frame(shown.served(object, apiVersion)))
  const position = listed.resourceVersion
  const opening = [
    ...(initial === "none" ? [] : listed.policies.filter(selected).map((policy) => frame("ADDED", policy))),
    ...(initial === "ended" ? [frameText("BOOKMARK", printer.bookmark(String(position), initialEventsEnd))] : [])
  ].join("")
  const live = yield* liveFrames(query, {
    position: () => position,
    next: (from, waitMillis) =>
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
        Effect.catch(() => Effect.succeed(undefined)),
        Effect.raceFirst(Effect.as(drain.awaited, { text: "", position: from })),
        Effect.timeoutOrElse({ duration: waitMillis, orElse: () => Effect.succeed({ text: "", position: from }) })
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
const typeFor = <A>(event: PolicyEvent<A>, selected: (object: A) => boolean): FrameType | undefined => {
  const before = event.previous !== undefined && selected(event.previous)
  const after = event.type !== "DELETED" && selected(event.policy)
  if (before) return after ? "MODIFIED" : "DELETED"
  return after ? "ADDED" : undefined
}
