/** `watch` of dead letters: each group that changes, as it then is. */
import { Clock, Effect, Stream } from "effect"
import { DeadLetterGroups, type LetterChange, type LetterChanges } from "../../store/DeadLetterGroups.ts"
import { expired } from "../ApiFailure.ts"
import { Drain } from "../Drain.ts"
import type { Answer, Call } from "../http/Call.ts"
import { apiVersionOf, type ResourceRequest } from "../http/RequestInfo.ts"
import { initialEventsEnd, initialEventsFrom, resourceVersionFrom } from "../listParameters.ts"
import { frameText, liveFrames } from "../watchFrames.ts"
import { busFailureFrom } from "./busFailure.ts"
import { deadLetterPrinter } from "./deadLetterPrinter.ts"
import { deadLetterSelector } from "./deadLetterSelectors.ts"
import { servedDeadLetter } from "./servedDeadLetter.ts"

export const watchDeadLetters = Effect.fn("serve.watchDeadLetters")(function* (call: Call, request: ResourceRequest) {
  const { query } = call
  const selected = yield* Effect.fromResult(deadLetterSelector(query))
  const version = yield* Effect.fromResult(resourceVersionFrom(query))
  const initially = yield* Effect.fromResult(initialEventsFrom(query, version))
  const letters = yield* DeadLetterGroups
  const drain = yield* Drain
  const clock = yield* Clock.Clock
  const printer = deadLetterPrinter(call, request, () => clock.currentTimeMillisUnsafe())
  const frames = ({ changes }: Pick<LetterChanges, "changes">): string =>
    changes
      .filter(({ group }) => selected(group))
      .map(({ group, type }) => frameText(type, printer.frame(servedDeadLetter(group, apiVersionOf(request)))))
      .join("")
  const opening: LetterChanges | undefined =
    initially === "none" && version !== undefined
      ? yield* letters.since(version).pipe(Effect.mapError(busFailureFrom))
      : yield* letters.current.pipe(
          Effect.mapError(busFailureFrom),
          Effect.map(({ groups, version: current }) => ({
            version: current,
            changes:
              initially === "none" ? [] : [...groups.values()].map((group): LetterChange => ({ type: "ADDED", group }))
          }))
        )
  if (opening === undefined) return yield* expired(`too old resource version: ${version}`)
  const bookmark = (at: number, annotations?: Readonly<Record<string, string>>): string =>
    frameText("BOOKMARK", printer.bookmark(String(at), annotations))
  const live = yield* liveFrames(query, {
    position: () => opening.version,
    next: (position, waitMillis) =>
      letters.after(position).pipe(
        Effect.map((found) => (found === undefined ? undefined : { text: frames(found), position: found.version })),
        // The client resumes from what it has, and learns there that the bus is away.
        Effect.catch(() => Effect.succeed(undefined)),
        Effect.raceFirst(Effect.as(drain.awaited, { text: "", position })),
        Effect.timeoutOrElse({ duration: waitMillis, orElse: () => Effect.succeed({ text: "", position }) })
      ),
    bookmark: (at) => bookmark(at)
  })
  const initial = frames(opening) + (initially === "ended" ? bookmark(opening.version, initialEventsEnd) : "")
  return {
    _tag: "Chunks",
    contentType: printer.contentType,
    chunks: Stream.concat(Stream.succeed(initial), live).pipe(Stream.filter((text) => text !== "")),
    live: true
  } satisfies Answer
})
