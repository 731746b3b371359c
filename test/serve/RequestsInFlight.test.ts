import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { RequestsInFlight } from "../../src/serve/RequestsInFlight.ts"

it.effect(
  "what finds no place is 429 with Retry-After; watches have places of their own; an end gives its place back",
  () =>
    Effect.gen(function* () {
      const { admit } = yield* RequestsInFlight
      const end = yield* Deferred.make<void>()
      const running = yield* Effect.forEach([false, false, true], (isWatch) =>
        Effect.forkChild(admit(isWatch, Deferred.await(end)), { startImmediately: true })
      )
      for (const isWatch of [false, true]) {
        const error = yield* Effect.flip(admit(isWatch, Effect.void))
        assert.strictEqual(error.code, 429)
        assert.deepStrictEqual(error.details, { retryAfterSeconds: 1 })
      }
      yield* Deferred.succeed(end, undefined)
      yield* Effect.forEach(running, Fiber.join)
      yield* admit(false, Effect.void)
      yield* admit(true, Effect.void)
      yield* Effect.forkChild(admit(false, Effect.never), { startImmediately: true }).pipe(
        Effect.flatMap(Fiber.interrupt)
      )
      yield* Effect.all([admit(false, Effect.void), admit(false, Effect.void)], { concurrency: 2 })
    }).pipe(Effect.provide(RequestsInFlight.layerOf({ requestsMax: 2, watchesMax: 1 })))
)
