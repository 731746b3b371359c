/** The server is going away: watches end, and nobody is told to come here any more. */
import { Context, Deferred, Effect, Layer } from "effect"

export class Drain extends Context.Service<
  Drain,
  {
    readonly begin: Effect.Effect<void>
    readonly begun: () => boolean
    /** Ends when draining begins. */
    readonly awaited: Effect.Effect<void>
  }
>()("activity/serve/Drain") {
  static readonly layer = Layer.effect(
    Drain,
    Effect.gen(function* () {
      const signal = yield* Deferred.make<void>()
      return Drain.of({
        begin: Effect.asVoid(Deferred.succeed(signal, undefined)),
        begun: () => Deferred.isDoneUnsafe(signal),
        awaited: Deferred.await(signal)
      })
    })
  )
}
