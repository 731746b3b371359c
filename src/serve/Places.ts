/** How much is done at once, in all and for one user. More is told to come again, so that what runs can end. */
import { Context, Effect, Layer, type Scope } from "effect"
import { type ApiFailure, failure } from "./ApiFailure.ts"

export type PlaceKind = "request" | "watch" | "state" | "export" | "backtest"

interface PlaceLimit {
  readonly placesMax: number
  /** Of them. */
  readonly ofUserMax: number
  /** What those do who hold the places: for who finds none. */
  readonly held: string
  readonly retryAfterSeconds: number
}

export type PlaceLimits = Readonly<Record<PlaceKind, PlaceLimit>>

/** Who sends slowly, or never ends, leaves half of the requests and watches to everybody else. */
export const placeLimits: PlaceLimits = {
  // Each may hold a body of 3 MiB and an answer of some MiB: together under 1 GiB.
  request: { placesMax: 128, ofUserMax: 64, held: "requests are being answered", retryAfterSeconds: 1 },
  // Each costs a connection and about 120 KiB, nearly all of it TLS and HTTP: together half a GiB.
  watch: { placesMax: 4_096, ofUserMax: 2_048, held: "watches are open", retryAfterSeconds: 1 },
  // What watches begin with is read as lists are. Together with those it stays below the 256 statements that may wait for
  // the embedded engine: beyond them everybody's fail, the writer's too.
  state: { placesMax: 64, ofUserMax: 32, held: "watches are told what there is", retryAfterSeconds: 1 },
  // Each holds a page, of 4 MiB, five times over while it is made into lines: together 160 MiB.
  export: { placesMax: 8, ofUserMax: 2, held: "exports are being given", retryAfterSeconds: 5 },
  // They take turns with each other and with everybody else: more would only take longer.
  backtest: { placesMax: 4, ofUserMax: 1, held: "backtests are running", retryAfterSeconds: 5 }
}

export class Places extends Context.Service<
  Places,
  {
    /**
     * Holds a place until the scope ends.
     *
     * @fails ApiFailure TooManyRequests when there is none
     */
    readonly admit: (kind: PlaceKind) => Effect.Effect<void, ApiFailure, Scope.Scope>
    /**
     * Counts a place that is held as this user's until the scope ends.
     *
     * @fails ApiFailure TooManyRequests when the user has its share
     */
    readonly share: (kind: PlaceKind, user: string) => Effect.Effect<void, ApiFailure, Scope.Scope>
  }
>()("activity/serve/Places") {
  static readonly layerOf = (limits: PlaceLimits) =>
    Layer.sync(Places, () => {
      const all = new Map<string, number>()
      const ofUsers = new Map<string, number>()
      return Places.of({
        admit: (kind) => oneOf(all, kind, limits[kind].placesMax, tooMany(limits[kind], "")),
        share: (kind, user) =>
          oneOf(ofUsers, `${kind} ${user}`, limits[kind].ofUserMax, tooMany(limits[kind], "of your "))
      })
    })

  static readonly layer = this.layerOf(placeLimits)
}

/** @param held how many each holder has; who has none is not there */
const oneOf = (held: Map<string, number>, holder: string, heldMax: number, refusal: ApiFailure) => {
  const change = (by: 1 | -1) => {
    const left = (held.get(holder) ?? 0) + by
    if (left > 0) held.set(holder, left)
    else held.delete(holder)
  }
  return Effect.acquireRelease(
    Effect.suspend(() => ((held.get(holder) ?? 0) >= heldMax ? Effect.fail(refusal) : Effect.sync(() => change(1)))),
    () => Effect.sync(() => change(-1))
  )
}

const tooMany = ({ held, retryAfterSeconds }: PlaceLimit, whose: "" | "of your "): ApiFailure =>
  failure("TooManyRequests", `too many ${whose}${held}: try again later`, { retryAfterSeconds })
