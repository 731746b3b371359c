/** How many requests are answered at once. More are told to come again, so that those that run can end. */
import { Context, Effect, Layer, Option, type Scope, Semaphore } from "effect"
import { type ApiFailure, failure } from "./ApiFailure.ts"

/** Each may hold a body of 3 MiB and an answer of some MiB: together under 1 GiB. */
const requestsMax = 128

/** Each costs a connection and about 120 KiB, nearly all of it TLS and HTTP: together half a GiB. */
const watchesMax = 4_096

/** Of all places: who sends slowly, or never ends, leaves the other half to everybody else. */
const shareOfUser = 1 / 2

export class RequestsInFlight extends Context.Service<
  RequestsInFlight,
  {
    /**
     * Runs it when there is room, and holds its place until it has ended. Watches, which last, have places of their own.
     *
     * @fails ApiFailure TooManyRequests when there is no room
     */
    readonly admit: <A, E, R>(isWatch: boolean, effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | ApiFailure, R>
    /**
     * Counts what was admitted as this user's until the scope ends. One user has at most half of the places.
     *
     * @fails ApiFailure TooManyRequests when it has them
     */
    readonly share: (isWatch: boolean, user: string) => Effect.Effect<void, ApiFailure, Scope.Scope>
  }
>()("activity/serve/RequestsInFlight") {
  static readonly layerOf = (limits: { readonly requestsMax: number; readonly watchesMax: number }) =>
    Layer.effect(
      RequestsInFlight,
      Effect.gen(function* () {
        const requests = yield* makePlaces(limits.requestsMax)
        const watches = yield* makePlaces(limits.watchesMax)
        return RequestsInFlight.of({
          admit: (isWatch, effect) =>
            (isWatch ? watches : requests).all
              .withPermitsIfAvailable(1)(effect)
              .pipe(
                Effect.flatMap(
                  Option.match({
                    onNone: () => Effect.fail(tooMany(`too many ${nameOf(isWatch)}`)),
                    onSome: Effect.succeed
                  })
                )
              ),
          share: (isWatch, user) => {
            const { ofUsers, userMax } = isWatch ? watches : requests
            return Effect.acquireRelease(
              Effect.suspend(() => {
                const held = ofUsers.get(user) ?? 0
                if (held >= userMax) return Effect.fail(tooMany(`too many of your ${nameOf(isWatch)}`))
                ofUsers.set(user, held + 1)
                return Effect.void
              }),
              () =>
                Effect.sync(() => {
                  const held = ofUsers.get(user) ?? 0
                  if (held > 1) ofUsers.set(user, held - 1)
                  else ofUsers.delete(user)
                })
            )
          }
        })
      })
    )

  static readonly layer = this.layerOf({ requestsMax, watchesMax })
}

const makePlaces = (placesMax: number) =>
  Effect.map(Semaphore.make(placesMax), (all) => ({
    all,
    /** How many each user holds; who holds none is not there. */
    ofUsers: new Map<string, number>(),
    userMax: Math.max(1, Math.floor(placesMax * shareOfUser))
  }))

const nameOf = (isWatch: boolean): string => (isWatch ? "watches are open" : "requests are being answered")

const tooMany = (what: string): ApiFailure =>
  failure("TooManyRequests", `${what}: try again later`, { retryAfterSeconds: 1 })
