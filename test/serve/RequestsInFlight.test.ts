import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
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

it.effect("one user has at most half of the places, of requests and of watches, until its own have ended", () =>
  Effect.gen(function* () {
    const { share } = yield* RequestsInFlight
    const taken = (isWatch: boolean, user: string) =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        yield* share(isWatch, user).pipe(Effect.provideService(Scope.Scope, scope))
        return Scope.close(scope, Exit.void)
      })
    const end = yield* taken(false, "alice")
    yield* taken(false, "alice")
    for (const isWatch of [true, false]) {
      if (isWatch) yield* taken(isWatch, "alice")
      const error = yield* Effect.flip(taken(isWatch, "alice"))
      assert.strictEqual(error.code, 429)
      assert.deepStrictEqual(error.details, { retryAfterSeconds: 1 })
      yield* taken(isWatch, "bob")
    }
    yield* end
    yield* taken(false, "alice")
    assert.strictEqual((yield* Effect.flip(taken(false, "alice"))).code, 429)
  }).pipe(Effect.provide(RequestsInFlight.layerOf({ requestsMax: 4, watchesMax: 2 })))
)
