/**
 * `watch` of facts: what follows a list, without a gap, each (name, resourceVersion) once.
 *
 * Without a resourceVersion it begins with what the default window holds, and so it does for clients that want the
 * initial state inside of the watch; these are told its end by a bookmark. Of what happened before it was opened it
 * tells the latest sight of each fact only: a list may have shown that one, and nothing goes back.
 *
 * It ends at its timeout, when the server stops, and when its client takes too little: then it resumes from the last
 * resourceVersion that it was given.
 *
 * @decision 0012-watch-begins
 */
import { Clock, Effect, Exit, Scope as Lifetime, Stream } from "effect"
import type { Scope } from "../../domain/Scope.ts"
import { type ApiFailure, badRequest, statusObject } from "../ApiFailure.ts"
import { Drain } from "../Drain.ts"
import type { Answer, Call } from "../http/Call.ts"
import { apiVersionOf, type ResourceRequest } from "../http/RequestInfo.ts"
import { initialEventsEnd, initialEventsFrom, resourceVersionFrom, resourceVersionTooLarge } from "../listParameters.ts"
import { Places } from "../Places.ts"
import { storeFailureFrom } from "../storeFailure.ts"
import { frameText, liveFrames } from "../watchFrames.ts"
import type { FactFeed } from "./FactFeed.ts"
import { FactFrames, type ServedFact } from "./FactFrames.ts"
import { factRequest } from "./factRequest.ts"
import type { FactResource } from "./FactResource.ts"
import type { FeedBatch } from "./HeldFacts.ts"
import { allFacts, factWindow, windowTexts } from "./listFacts.ts"
import { meteredPredicate } from "./meteredPredicate.ts"

export const watchFacts = Effect.fnUntraced(function* <A, O extends ServedFact>(
  call: Call,
  request: ResourceRequest,
  scope: Scope,
  resource: FactResource<A, O>
) {
  const { feed, form } = resource
  const asked = yield* factRequest(call, request, form)
  if (asked.start !== "" || asked.end !== "") {
    return yield* badRequest(
      "start and end belong to lists: a watch begins at the resourceVersion that a list gave, or, without one, with what a list shows"
    )
  }
  const version = yield* Effect.fromResult(resourceVersionFrom(call.query))
  const initially = yield* Effect.fromResult(initialEventsFrom(call.query, version))
  const drain = yield* Drain
  const clock = yield* Clock.Clock
  const predicate = yield* meteredPredicate(resource.predicate(scope, asked), asked.filter?.expression, call.user.name)
  const reader = yield* feed.open(
    initially === "none" ? (version ?? (yield* feed.floor)) : yield* stateVersion(feed, version),
    predicate.concerns
  )
  const printer = resource.printer(call, request, () => clock.currentTimeMillisUnsafe())
  const apiVersion = apiVersionOf(request)
  const frames = new FactFrames<A, O>({
    shows: predicate.shows,
    served: (fact, sequence) => resource.served(fact, sequence, apiVersion),
    printer,
    superseded: reader.superseded
  })
  const window = yield* Effect.fromResult(windowTexts(asked, form, clock.currentTimeMillisUnsafe()))
  const initial =
    initially === "none"
      ? Stream.empty
      : allFacts(resource, factWindow(asked, form, scope, window)).pipe(
          Stream.ensuring(yield* statePlace(call.user.name)),
          Stream.mapError(storeFailureFrom),
          Stream.mapArray((stored) => [
            frames.initial(
              stored.map((one) => resource.stored(one, apiVersion)),
              reader.position
            )
          ])
        )
  const send = (batch: FeedBatch<A>): Effect.Effect<string, ApiFailure> =>
    Effect.suspend(() => {
      const text = predicate.fault() === undefined ? frames.of(batch) : ""
      const fault = predicate.fault()
      if (fault !== undefined) return Effect.fail(fault)
      feed.sent(frames.highest)
      return Effect.succeed(text)
    })
  let reached = reader.position
  const live = yield* liveFrames(call.query, {
    position: () => reached,
    next: (position, waitMillis) =>
      Effect.flatMap(reader.after(position, waitMillis), (batch) =>
        batch === undefined ? Effect.undefined : Effect.map(send(batch), (text) => ({ text, position: batch.position }))
      ),
    bookmark: (position) => {
      feed.sent(position)
      return frameText("BOOKMARK", printer.bookmark(String(position)))
    }
  })
  const earlier = reader.earlier.pipe(
    Stream.mapEffect((batch) => {
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
 * Takes a place among the watches that are told what there is.
 *
 * @returns how it is given back; at the latest it is when the watch ends
 * @fails ApiFailure TooManyRequests when there is none
 */
const statePlace = (user: string) =>
  Effect.gen(function* () {
    const places = yield* Places
    const place = yield* Lifetime.fork(yield* Effect.scope)
    yield* Effect.andThen(places.admit("state"), places.share("state", user)).pipe(Lifetime.provide(place))
    return Lifetime.close(place, Exit.void)
  })

/**
 * The version that the initial state has at least, and that the stream goes on from.
 *
 * @fails ApiFailure Timeout when the client knows more than the store does, also after a wait
 */
const stateVersion = <A>(feed: FactFeed<A>, asked: number | undefined): Effect.Effect<number, ApiFailure> =>
  Effect.gen(function* () {
    if (asked !== undefined) yield* feed.reached(asked)
    const floor = yield* feed.floor
    return asked !== undefined && asked > floor ? yield* resourceVersionTooLarge(asked, floor) : floor
  })
