/**
 * List and watch for ever: whatever the server does, the stream goes on, and says nothing twice that it need not.
 *
 * - 410, and a watch that ends at once without a word twice in a row (a server that has forgotten may do so): a new list
 * - 429 and 5xx: again after 1 s, doubled up to 30 s, with full jitter; not before `Retry-After`, up to 30 s
 * - 401: the credentials are read again; a refusal that stays makes a new list, as the server may be another than before
 * - a watch that ends: a new one from the last position, no list
 * - a watch that says nothing beyond its time: cut, and a new one
 * - a server whose resourceVersions went back, as its etcd was restored from an older snapshot: a new list. A watch from a
 *   version that is not there yet is silent, so it is asked for the newest one when a saved position is resumed, when a
 *   connection was lost, and after each watch that said nothing. One that is past the position again by then goes unseen
 *
 * A list that takes long is not waited for by changes: they follow it.
 *
 * @source https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
 */
import { Clock, Effect, Random, Stream } from "effect"
import { Health } from "../../runtime/Health.ts"
import { Kube, type KubeError, type KubeObject } from "./Kube.ts"
import { isExpired, isStatus, unavailable } from "./kubeFailures.ts"
import { isLower, listPageFrom } from "./listPage.ts"

export type Followed =
  /** A list begins: what it does not hold when `Listed` comes is gone. An unfinished one may begin again. */
  | { readonly _tag: "Listing" }
  /** Within a list, before its pages: resourceVersions went back, and those up to `from` mean something else now. */
  | { readonly _tag: "WentBack"; readonly from: string; readonly to: string }
  | { readonly _tag: "Page"; readonly objects: ReadonlyArray<KubeObject> }
  | { readonly _tag: "Listed"; readonly resourceVersion: string }
  /** In the order in which they happened; `resourceVersion` is the position behind the last. */
  | { readonly _tag: "Changes"; readonly changes: ReadonlyArray<Change>; readonly resourceVersion: string }
  /** Nothing has changed up to here; said again at the end of each watch. */
  | { readonly _tag: "Position"; readonly resourceVersion: string }

export interface Change {
  readonly type: "ADDED" | "MODIFIED" | "DELETED"
  readonly object: KubeObject
}

export interface FollowOptions {
  /** The name of its health check. */
  readonly name: string
  /** Whether this replica does its work without it. */
  readonly role: "ready" | "informative"
  /** Goes on behind this position; without it, it begins with a list. */
  readonly resourceVersion?: string
}

/**
 * A watch lasts so long. The server says nothing when nothing happens (Events have no bookmarks for minutes), so this is
 * how long a connection that froze may go unnoticed; a new watch is one small request.
 */
const watchSecondsMin = 25
const watchSecondsMax = 35
/** Silent for longer, although a watch has ended or been cut by then: no progress. */
const silentMillisMax = 60_000
/** A watch that ends sooner, without a word, is suspicious. */
const shortWatchMillis = 1_000
const emptyWatchesMax = 2
const refusalsMax = 3
const backoffSecondsMin = 1
const backoffSecondsMax = 30
/** Of what a server asks for, on top: those whom it sends away together do not come back together. */
const retryAfterJitterPart = 0.1
/** An answer of one object. */
const newestWaitMillis = 10_000

/**
 * At least once: what is listed again comes again. With a reader that is busy, it waits; nothing is kept for it.
 *
 * @param path of a collection, such as `/api/v1/namespaces`; may carry selectors
 */
export const follow = (path: string, options: FollowOptions): Stream.Stream<Followed, never, Kube | Health> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const kube = yield* Kube
      const health = yield* Health
      const clock = yield* Clock.Clock
      const now = () => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
      const progress = new Progress(now, (options.resourceVersion ?? "") === "")
      yield* Effect.acquireRelease(
        health.register({ name: options.name, role: options.role, problem: () => progress.problem() }),
        // Nobody waits for it any more.
        () => health.register({ name: options.name, role: options.role, problem: () => undefined })
      )

      let position = options.resourceVersion ?? ""
      /** The last position, whether or not it is gone on from. */
      let reached = position
      /** The server may be another than before. */
      let isDoubted = true
      /** The newest version of a server that went back, until the list that follows. */
      let wentBackTo = ""
      /** Failures and suspicious ends since something last went well. */
      let setbacks = 0
      let emptyWatches = 0
      let refusals = 0
      const wentWell = () => {
        setbacks = 0
        emptyWatches = 0
        refusals = 0
        progress.well()
      }

      const listing: Stream.Stream<Followed, KubeError> = Stream.suspend(() => {
        let resourceVersion = ""
        return Stream.concat(
          Stream.succeed<Followed>({ _tag: "Listing" }),
          Stream.concat(
            kube.list(path).pipe(
              Stream.mapEffect((page) =>
                Effect.gen(function* () {
                  resourceVersion = page.resourceVersion
                  progress.heard()
                  const found: Followed = { _tag: "Page", objects: page.items }
                  const to = isLower(resourceVersion, reached) ? resourceVersion : wentBackTo
                  if (to === "") return [found]
                  const from = reached
                  reached = resourceVersion
                  wentBackTo = ""
                  yield* Effect.logWarning("the API server's resourceVersions went back", { path, from, to })
                  return [{ _tag: "WentBack", from, to } satisfies Followed, found]
                })
              ),
              Stream.flattenIterable
            ),
            Stream.suspend(() => {
              position = resourceVersion
              reached = resourceVersion
              isDoubted = false
              emptyWatches = 0
              refusals = 0
              progress.well()
              return Stream.succeed<Followed>({ _tag: "Listed", resourceVersion })
            })
          )
        )
      })

      /** Whether the server is still where it was. One that refuses to say so may be watched all the same. */
      const looking: Stream.Stream<Followed, KubeError> = Stream.fromEffectDrain(
        kube.call({ method: "GET", path: `${path}${path.includes("?") ? "&" : "?"}limit=1` }).pipe(
          Effect.timeoutOrElse({
            duration: newestWaitMillis,
            orElse: () => Effect.fail(unavailable(path, new Error("no answer in time")))
          }),
          Effect.flatMap((answer) => Effect.fromResult(listPageFrom(path, answer))),
          Effect.map(({ resourceVersion }) => {
            if (isLower(resourceVersion, position)) startOver(resourceVersion)
          }),
          Effect.catchIf(
            (error) => error.reason._tag === "KubeRefused",
            () => Effect.void
          ),
          Effect.tap(() => Effect.sync(() => void (isDoubted = false)))
        )
      )
      const startOver = (newest: string) => {
        wentBackTo = newest
        position = ""
        progress.failed(`resourceVersions went back to ${newest}`, true)
      }

      const watching: Stream.Stream<Followed, KubeError> = Stream.unwrap(
        Effect.gen(function* () {
          const timeoutSeconds = yield* Random.nextIntBetween(watchSecondsMin, watchSecondsMax)
          const openedAt = now()
          let heard = false
          const frames = kube.watch(path, {
            resourceVersion: position,
            timeoutSeconds,
            opened: Effect.sync(() => progress.opened())
          })
          return frames.pipe(
            Stream.mapArray((batch) => {
              heard = true
              wentWell()
              const changes = batch.filter((frame) => frame.type !== "BOOKMARK")
              const last = batch[batch.length - 1]!
              const isBookmark = last.type === "BOOKMARK"
              const next = (isBookmark ? last.resourceVersion : last.object.metadata.resourceVersion) || position
              if (isBookmark && isLower(next, position)) startOver(next)
              else reached = position = next
              const found: Followed =
                changes.length === 0
                  ? { _tag: "Position", resourceVersion: reached }
                  : { _tag: "Changes", changes, resourceVersion: reached }
              return [found] as const
            }),
            Stream.takeUntil(() => position === ""),
            Stream.concat(
              Stream.unwrap(
                Effect.suspend((): Effect.Effect<Stream.Stream<Followed>> => {
                  if (position === "") return Effect.succeed(Stream.empty)
                  if (heard || now() - openedAt >= shortWatchMillis) {
                    isDoubted = !heard
                    wentWell()
                    return Effect.succeed(Stream.succeed({ _tag: "Position", resourceVersion: position }))
                  }
                  emptyWatches++
                  if (emptyWatches >= emptyWatchesMax) position = ""
                  return Effect.as(pause(0), Stream.empty)
                })
              )
            )
          )
        })
      )

      const pause = (retryAfterSeconds: number) =>
        Effect.gen(function* () {
          const ceiling = Math.min(backoffSecondsMax, backoffSecondsMin * 2 ** Math.min(setbacks, 10))
          setbacks++
          const asked =
            Math.min(backoffSecondsMax, retryAfterSeconds) * (1 + (yield* Random.next) * retryAfterJitterPart)
          const seconds = Math.max(asked, (yield* Random.next) * ceiling)
          yield* Effect.sleep(seconds * 1_000)
        })

      const recover = (error: KubeError) =>
        Effect.gen(function* () {
          const { reason } = error
          const wasListing = position === ""
          progress.failed(error.message, wasListing || isExpired(error))
          if (reason._tag === "KubeUnavailable") isDoubted = true
          if (isExpired(error) || isStatus(error, 400)) position = ""
          // Whoever answers the same for ever may have lost what it knew, and a list is answered.
          else if (reason._tag === "KubeRefused" && !isStatus(error, 401, 403, 429) && ++refusals >= refusalsMax)
            position = ""
          yield* pause(reason._tag === "KubeRefused" ? reason.retryAfterSeconds : 0)
        })

      return Stream.suspend(() => (position === "" ? listing : isDoubted ? looking : watching)).pipe(
        Stream.catch((error) => Stream.fromEffectDrain(recover(error))),
        Stream.forever
      )
    })
  )

/** What the probes are told. */
class Progress {
  readonly #now: () => number
  #heardAt: number
  #failure: string | undefined = undefined
  #behind: boolean

  constructor(now: () => number, behind: boolean) {
    this.#now = now
    this.#behind = behind
    this.#heardAt = now()
  }

  heard(): void {
    this.#heardAt = this.#now()
  }

  /** The server takes requests again; whether it knows our position is not said yet. */
  opened(): void {
    this.heard()
    this.#failure = undefined
  }

  /** Everything up to the position is known. */
  well(): void {
    this.opened()
    this.#behind = false
  }

  failed(why: string, behind: boolean): void {
    this.#failure = why
    this.#behind ||= behind
  }

  problem(): string | undefined {
    if (this.#failure !== undefined) return this.#failure
    if (this.#behind) return "not listed yet"
    const seconds = Math.round((this.#now() - this.#heardAt) / 1000)
    return seconds * 1000 > silentMillisMax ? `nothing was heard for ${seconds} s` : undefined
  }
}
