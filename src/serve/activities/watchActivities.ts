/**
 * `watch` of activities: what follows a list, without a gap, each (name, resourceVersion) once.
 *
 * Without a resourceVersion it begins with what the default window holds, and so it does for clients that want the
 * initial state inside of the watch; these are told its end by a bookmark. Of what happened before it was opened it
 * tells the latest sight of each activity only: a list may have shown that one, and nothing goes back.
 *
 * It ends at its timeout, when the server stops, and when its client takes too little: then it resumes from the last
 * resourceVersion that it was given.
 *
 * @decision 0012-watch-begins
 */
import { Clock, Effect, Stream } from "effect"
import type { Scope } from "../../domain/Scope.ts"
import { ActivityQueries } from "../../store/ActivityQueries.ts"
import { type ApiFailure, badRequest, statusObject } from "../ApiFailure.ts"
import { Drain } from "../Drain.ts"
import type { Answer, Call } from "../http/Call.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"
import { initialEventsEnd, initialEventsFrom, resourceVersionFrom, resourceVersionTooLarge } from "../listParameters.ts"
import { storeFailureFrom } from "../storeFailure.ts"
import { frameText, liveFrames } from "../watchFrames.ts"
import { ActivityFeed } from "./ActivityFeed.ts"
import { ActivityFrames } from "./ActivityFrames.ts"
import { activityPredicate } from "./activityPredicate.ts"
import { activityRequest } from "./activityRequest.ts"
import type { FeedBatch } from "./HeldActivities.ts"
import { activityWindow, windowTexts } from "./listActivities.ts"
import { activityOf, activityPrinter, apiVersionOf } from "./served.ts"

export const watchActivities = Effect.fn("serve.watchActivities")(function* (
  call: Call,
  request: ResourceRequest,
  scope: Scope
) {
  const asked = yield* activityRequest(call, request)
  if (asked.start !== "" || asked.end !== "") {
    return yield* badRequest(
      "start and end belong to lists: a watch begins at the resourceVersion that a list gave, or, without one, with the last hour"
    )
  }
  const version = yield* Effect.fromResult(resourceVersionFrom(call.query))
  const initially = yield* Effect.fromResult(initialEventsFrom(call.query, version))
  const feed = yield* ActivityFeed
  const drain = yield* Drain
  const queries = yield* ActivityQueries
  const clock = yield* Clock.Clock
  const predicate = activityPredicate(scope, asked)
  const reader = yield* feed.open(
    initially === "none" ? (version ?? (yield* feed.floor)) : yield* stateVersion(feed, version),
    predicate.concerns
  )
  const printer = activityPrinter(call, request, () => clock.currentTimeMillisUnsafe())
  const frames = new ActivityFrames(predicate.shows, printer, apiVersionOf(request), reader.superseded)
  const window = yield* Effect.fromResult(windowTexts(asked, clock.currentTimeMillisUnsafe()))
  const initial =
    initially === "none"
      ? Stream.empty
      : queries.stream(activityWindow(asked, scope, window)).pipe(
          Stream.mapError(storeFailureFrom),
          Stream.mapArray((stored) => [
            frames.initial(
              stored.map((one) => [activityOf(one), one.sequence] as const),
              reader.position
            )
          ])
        )
  const send = (batch: FeedBatch): string => {
    const text = frames.of(batch)
    feed.sent(frames.highest)
    return text
  }
  let reached = reader.position
  const live = yield* liveFrames(call.query, {
    position: () => reached,
    next: (position, waitMillis) =>
      Effect.map(reader.after(position, waitMillis), (batch) =>
        batch === undefined ? undefined : { text: send(batch), position: batch.position }
      ),
    bookmark: (position) => {
      feed.sent(position)
      return frameText("BOOKMARK", printer.bookmark(String(position)))
    }
  })
  const earlier = reader.earlier.pipe(
    Stream.map((batch) => {
      reached = batch.position
      return send(batch)
    }),
    // What is read here is bounded by the stream; a server that stops does not wait for it.
    Stream.interruptWhen(drain.awaited)
  )
  const initialEnd =
    initially === "ended"
      ? Stream.sync(() => frameText("BOOKMARK", printer.bookmark(String(reader.position), initialEventsEnd)))
      : Stream.empty
  const chunks = initial.pipe(
    Stream.concat(initialEnd),
    Stream.concat(earlier),
    Stream.concat(live),
    Stream.filter((text) => text !== ""),
    // The answer has begun: what goes wrong now is told in a frame, and ends the watch.
    Stream.catch((error: ApiFailure) => Stream.succeed(frameText("ERROR", statusObject(error))))
  )
  return {
    _tag: "Chunks",
    contentType: printer.contentType,
    chunks,
    live: true,
    warnings: asked.warnings
  } satisfies Answer
})

/**
 * The version that the initial state has at least, and that the stream goes on from.
 *
 * @fails ApiFailure Timeout when the client knows more than the store does, also after a wait
 */
const stateVersion = (feed: ActivityFeed["Service"], asked: number | undefined): Effect.Effect<number, ApiFailure> =>
  Effect.gen(function* () {
    if (asked !== undefined) yield* feed.reached(asked)
    const floor = yield* feed.floor
    return asked !== undefined && asked > floor ? yield* resourceVersionTooLarge(asked, floor) : floor
  })
