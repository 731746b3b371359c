/** How many requests are answered at once. More are told to come again, so that those that run can end. */
import { Context, Effect, Layer, Option, Semaphore } from "effect"
import { type ApiFailure, failure } from "./ApiFailure.ts"

/** Each may hold a body of 3 MiB and an answer of some MiB: together under 1 GiB. */
const requestsMax = 128

/** Each costs a connection and about 50 KiB. */
const watchesMax = 4_096

export class RequestsInFlight extends Context.Service<
  RequestsInFlight,
  {
    /**
     * Runs it when there is room, and holds its place until it has ended. Watches, which last, have places of their own.
     *
     * @fails ApiFailure TooManyRequests when there is no room
     */
    readonly admit: <A, E, R>(isWatch: boolean, effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | ApiFailure, R>
  }
>()("activity/serve/RequestsInFlight") {
  static readonly layerOf = (limits: { readonly requestsMax: number; readonly watchesMax: number }) =>
    Layer.effect(
      RequestsInFlight,
      Effect.gen(function* () {
        const requests = yield* Semaphore.make(limits.requestsMax)
        const watches = yield* Semaphore.make(limits.watchesMax)
        return RequestsInFlight.of({
          admit: (isWatch, effect) =>
            (isWatch ? watches : requests)
              .withPermitsIfAvailable(1)(effect)
              .pipe(
                Effect.flatMap(Option.match({ onNone: () => Effect.fail(tooMany(isWatch)), onSome: Effect.succeed }))
              )
        })
      })
    )

  static readonly layer = this.layerOf({ requestsMax, watchesMax })
}

const tooMany = (isWatch: boolean): ApiFailure =>
  failure(
    "TooManyRequests",
    `too many ${isWatch ? "watches are open" : "requests are being answered"}: try again later`,
    {
      retryAfterSeconds: 1
    }
  )
