import { assert, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { placeLimits, Places } from "../../src/serve/Places.ts"

const few = Places.layerOf({
  ...placeLimits,
  request: { ...placeLimits.request, placesMax: 2, ofUserMax: 2 },
  watch: { ...placeLimits.watch, placesMax: 1, ofUserMax: 1 }
})

/** Answers how to give it back. */
const taken = <E>(place: Effect.Effect<void, E, Scope.Scope>) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    yield* place.pipe(Effect.provideService(Scope.Scope, scope))
    return Scope.close(scope, Exit.void)
  })

it.effect(
  "what finds no place is 429 with Retry-After; each kind has places of its own; an end gives its place back",
  () =>
    Effect.gen(function* () {
      const { admit } = yield* Places
      const end = yield* taken(admit("request"))
      yield* taken(admit("request"))
      yield* taken(admit("watch"))
      for (const kind of ["request", "watch"] as const) {
        const error = yield* Effect.flip(taken(admit(kind)))
        assert.strictEqual(error.code, 429)
        assert.deepStrictEqual(error.details, { retryAfterSeconds: 1 })
      }
      yield* taken(admit("export"))
      yield* end
      yield* taken(admit("request"))
      assert.strictEqual((yield* Effect.flip(taken(admit("request")))).code, 429)
    }).pipe(Effect.provide(few))
)

it.effect("one user has its share of each kind, and no more, until its own have ended", () =>
  Effect.gen(function* () {
    const { share } = yield* Places
    const end = yield* taken(share("request", "alice"))
    yield* taken(share("request", "alice"))
    yield* taken(share("watch", "alice"))
    for (const kind of ["watch", "request"] as const) {
      const error = yield* Effect.flip(taken(share(kind, "alice")))
      assert.strictEqual(error.code, 429)
      assert.deepStrictEqual(error.details, { retryAfterSeconds: 1 })
      yield* taken(share(kind, "bob"))
    }
    yield* end
    yield* taken(share("request", "alice"))
    assert.strictEqual((yield* Effect.flip(taken(share("request", "alice")))).code, 429)
  }).pipe(Effect.provide(few))
)

it.effect("one user has at most half of the places of requests, of watches, of exports and of backtests", () =>
  Effect.sync(() => {
    for (const { ofUserMax, placesMax } of Object.values(placeLimits)) assert.isAtMost(ofUserMax, placesMax / 2)
  })
)
