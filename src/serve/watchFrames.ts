/** Frames of watches, how long watches last, and the loop that every live watch is in. */
import { Clock, Effect, Random, Stream } from "effect"
import type { ApiFailure } from "./ApiFailure.ts"
import { Drain } from "./Drain.ts"
import { timeoutMillisFrom, wantsBookmarks } from "./listParameters.ts"

export type FrameType = "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR"

export const frameText = (type: FrameType, object: unknown): string => `${JSON.stringify({ type, object })}\n`

/** A watch without a timeout of its own ends by itself after so long, so that clients spread over replicas. */
const watchMillisRange = [30 * 60_000, 60 * 60_000] as const

const bookmarkEveryMillis = 60_000

/** What follows a position: text for the client, possibly none, and the position behind it. */
export interface LiveBatch {
  readonly text: string
  readonly position: number
}

export interface LiveOptions {
  /** Asked once, when everything before has been sent. */
  readonly position: () => number
  /**
   * Waits, so long at most and no longer than the server runs: then the text is "". Undefined ends the watch: its
   * client resumes from what it has.
   */
  readonly next: (position: number, waitMillis: number) => Effect.Effect<LiveBatch | undefined, ApiFailure>
  readonly bookmark: (position: number) => string
}

/**
 * Everything that follows, with a bookmark a minute and at the end where the client wants them, until the client's
 * timeout, or the server stops.
 *
 * @fails ApiFailure BadRequest for a timeout that is no number
 */
export const liveFrames = (
  query: URLSearchParams,
  options: LiveOptions
): Effect.Effect<Stream.Stream<string, ApiFailure>, ApiFailure, Drain> =>
  Effect.gen(function* () {
    const drain = yield* Drain
    const timeout = yield* Effect.fromResult(timeoutMillisFrom(query))
    const began = yield* Clock.currentTimeMillis
    const deadline = began + (timeout ?? (yield* Random.nextIntBetween(...watchMillisRange)))
    const bookmarks = wantsBookmarks(query)

    interface State {
      readonly position: number
      readonly bookmarkAt: number
      readonly ended: boolean
    }
    const step = (state: State): Effect.Effect<readonly [string, State] | undefined, ApiFailure> =>
      Effect.gen(function* () {
        if (state.ended) return undefined
        const now = yield* Clock.currentTimeMillis
        if (now >= deadline || drain.begun()) {
          return bookmarks ? ([options.bookmark(state.position), { ...state, ended: true }] as const) : undefined
        }
        if (now >= state.bookmarkAt) {
          const text = bookmarks ? options.bookmark(state.position) : ""
          return [text, { ...state, bookmarkAt: now + bookmarkEveryMillis }] as const
        }
        const next = yield* options.next(state.position, Math.min(deadline, state.bookmarkAt) - now)
        return next === undefined ? undefined : ([next.text, { ...state, position: next.position }] as const)
      })
    return Stream.suspend(() =>
      Stream.unfold({ position: options.position(), bookmarkAt: began + bookmarkEveryMillis, ended: false }, step)
    )
  })
