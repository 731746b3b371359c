/**
 * `watch` of activities: what follows a list, without a gap, each (name, resourceVersion) once.
 *
 * Without a resourceVersion it begins with what the default window holds. It ends at its timeout, when the server
 * stops, and when its client takes too little: then it resumes from the last resourceVersion that it was given.
 */
import { Clock, Effect, Stream } from "effect"
import type { Activity } from "../../domain/Activity.ts"
import type { Scope } from "../../domain/Scope.ts"
import { ActivityQueries } from "../../store/ActivityQueries.ts"
import { type ApiFailure, badRequest, statusObject } from "../ApiFailure.ts"
import { Drain } from "../Drain.ts"
import type { Answer, Call } from "../http/Call.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"
import { initialEventsForbidden, resourceVersionFrom } from "../listParameters.ts"
import type { Printer } from "../Table.ts"
import { frameText, liveFrames } from "../watchFrames.ts"
import type { ServedActivity } from "./activityColumns.ts"
import { ActivityFeed, type FeedBatch } from "./ActivityFeed.ts"
import { type ActivityPredicate, activityPredicate } from "./activityPredicate.ts"
import { activityRequest } from "./activityRequest.ts"
import { activityWindow, failureFrom, windowTexts } from "./listActivities.ts"
import { activityOf, activityPrinter, apiVersionOf, servedActivity } from "./served.ts"

export const watchActivities = Effect.fn("serve.watchActivities")(function* (
  call: Call,
  request: ResourceRequest,
  scope: Scope
) {
  if (call.query.has("sendInitialEvents")) return yield* initialEventsForbidden()
  const asked = yield* activityRequest(call, request)
  if (asked.start !== "" || asked.end !== "") {
    return yield* badRequest(
      "start and end belong to lists: a watch begins at the resourceVersion that a list gave, or, without one, with the last hour"
    )
  }
  const version = yield* Effect.fromResult(resourceVersionFrom(call.query))
  const feed = yield* ActivityFeed
  const drain = yield* Drain
  const queries = yield* ActivityQueries
  const clock = yield* Clock.Clock
  const reader = yield* feed.open(version ?? (yield* feed.floor))
  const printer = activityPrinter(call, request, () => clock.currentTimeMillisUnsafe())
  const frames = new Frames(activityPredicate(scope, asked), printer, apiVersionOf(request))
  const window = yield* Effect.fromResult(windowTexts(asked, clock.currentTimeMillisUnsafe()))
  const initial =
    version !== undefined
      ? Stream.empty
      : queries.stream(activityWindow(asked, scope, window)).pipe(
          Stream.mapError(failureFrom),
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
    next: (position) =>
      Effect.map(reader.after(position), (batch) =>
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
  const chunks = initial.pipe(
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

/** Makes the frames of one watch. */
class Frames {
  highest = 0
  /** Sequences beyond the list's floor that were sent in the initial state: the stream brings them again. */
  readonly #known = new Set<number>()
  readonly #predicate: ActivityPredicate
  readonly #printer: Printer<ServedActivity>
  readonly #apiVersion: string

  constructor(predicate: ActivityPredicate, printer: Printer<ServedActivity>, apiVersion: string) {
    this.#predicate = predicate
    this.#printer = printer
    this.#apiVersion = apiVersion
  }

  initial(activities: ReadonlyArray<readonly [Activity, number]>, floor: number): string {
    return activities
      .map(([activity, sequence]) => {
        if (sequence > floor) this.#known.add(sequence)
        return this.#frame("ADDED", activity, sequence)
      })
      .join("")
  }

  of(batch: FeedBatch): string {
    return batch.messages
      .map(({ activity, mark, sequence }) => {
        if (this.#known.delete(sequence) || !this.#predicate.concerns(activity)) return ""
        if (mark === "deleted") return this.#frame("DELETED", activity, sequence)
        if (this.#predicate.shows(activity))
          return this.#frame(mark === "modified" ? "MODIFIED" : "ADDED", activity, sequence)
        return mark === "modified" ? this.#frame("DELETED", activity, sequence) : ""
      })
      .join("")
  }

  #frame(type: "ADDED" | "MODIFIED" | "DELETED", activity: Activity, sequence: number): string {
    this.highest = Math.max(this.highest, sequence)
    return frameText(type, this.#printer.frame(servedActivity(activity, sequence, this.#apiVersion)))
  }
}
