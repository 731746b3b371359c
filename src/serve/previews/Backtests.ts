/** How many backtests run at once. Each takes all of the time that others leave. */
import { Context, Effect, Layer, Option, Semaphore } from "effect"
import { type ApiFailure, failure } from "../ApiFailure.ts"

/** They take turns with each other and with everybody else: more would only take longer. */
const backtestsMax = 4

export class Backtests extends Context.Service<
  Backtests,
  {
    /**
     * Runs it when the user runs none, and there is room.
     *
     * @fails ApiFailure TooManyRequests
     */
    readonly admit: <A, E, R>(user: string, backtest: Effect.Effect<A, E, R>) => Effect.Effect<A, E | ApiFailure, R>
  }
>()("activity/serve/previews/Backtests") {
  static readonly layer = Layer.effect(
    Backtests,
    Effect.gen(function* () {
      const all = yield* Semaphore.make(backtestsMax)
      const users = new Set<string>()
      return Backtests.of({
        admit: (user, backtest) =>
          all
            .withPermitsIfAvailable(1)(
              Effect.scoped(
                Effect.andThen(
                  Effect.acquireRelease(
                    Effect.suspend(() => {
                      if (users.has(user)) return Effect.fail(tooMany("a backtest of yours is running"))
                      users.add(user)
                      return Effect.void
                    }),
                    () => Effect.sync(() => users.delete(user))
                  ),
                  backtest
                )
              )
            )
            .pipe(
              Effect.flatMap(
                Option.match({
                  onNone: () => Effect.fail(tooMany("too many backtests are running")),
                  onSome: Effect.succeed
                })
              )
            )
      })
    })
  )
}

const tooMany = (what: string): ApiFailure =>
  failure("TooManyRequests", `${what}: try again when it has ended`, { retryAfterSeconds: 5 })
