/**
 * `watch` of what is kept. Clients that want the initial state inside of the watch get it, with the bookmark that ends it.
 */
import { Clock, Effect, Result, Stream } from "effect"
import type { KeptObject } from "../../domain/KeptObject.ts"
import type { KeptEvent, KeptObjects } from "../../store/KeptObjects.ts"
import { badRequest } from "../ApiFailure.ts"
import { Drain } from "../Drain.ts"
import type { Answer, Call } from "../http/Call.ts"
import { apiVersionOf, type ResourceRequest } from "../http/RequestInfo.ts"
import { initialEventsEnd, initialEventsFrom, resourceVersionFrom } from "../listParameters.ts"
import { printerFor } from "../Table.ts"
import { frameText, type FrameType, liveFrames } from "../watchFrames.ts"
import { failureOf, versionAhead } from "./keptFailure.ts"
import type { KeptKind } from "./KeptKind.ts"
import { keptSelector } from "./keptSelector.ts"

export const watchKept = Effect.fn("serve.watchKept")(function* <A extends KeptObject>(
  kind: KeptKind<A>,
  store: KeptObjects<A>,
  call: Call,
  request: ResourceRequest
) {
  const failureFrom = failureOf(kind.names)
  const { query } = call
  const selected = yield* Effect.fromResult(Result.mapError(keptSelector<A>(query), badRequest))
  const version = yield* Effect.fromResult(resourceVersionFrom(query))
  const initial = yield* Effect.fromResult(initialEventsFrom(query, version))
  const drain = yield* Drain
  // Asked before the answer begins: a version that is gone, or was never there, is a 410.
  if (initial === "none" && version !== undefined) yield* store.known(version).pipe(Effect.mapError(failureFrom))
  const listed =
    initial === "none" && version !== undefined
      ? { objects: [], resourceVersion: version }
      : yield* store.list.pipe(Effect.mapError(failureFrom))
  if (version !== undefined && version > listed.resourceVersion) {
    return yield* versionAhead(version, listed.resourceVersion)
  }
  const apiVersion = apiVersionOf(request)
  const clock = yield* Clock.Clock
  const columns = kind.columns(() => clock.currentTimeMillisUnsafe())
  const printer = printerFor(call, request, kind.names.kind, columns)
  const frame = (type: FrameType, object: A): string => frameText(type, printer.frame(kind.served(object, apiVersion)))
  const position = listed.resourceVersion
  const opening = [
    ...(initial === "none" ? [] : listed.objects.filter(selected).map((object) => frame("ADDED", object))),
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
              return type === undefined ? "" : frame(type, event.object)
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
const typeFor = <A>(event: KeptEvent<A>, selected: (object: A) => boolean): FrameType | undefined => {
  const before = event.previous !== undefined && selected(event.previous)
  const after = event.type !== "DELETED" && selected(event.object)
  if (before) return after ? "MODIFIED" : "DELETED"
  return after ? "ADDED" : undefined
}
