import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { keptAnswers } from "../../../src/serve/auth/keptAnswers.ts"

it.effect("the oldest answer makes room for the newest", () =>
  Effect.gen(function* () {
    const asked: Array<string> = []
    const ask = yield* keptAnswers({
      ask: (question: string) => Effect.sync(() => asked.push(question)),
      keptMillis: 1_000,
      answersMax: 2
    })
    yield* Effect.forEach(["a", "b", "c", "b", "c", "a"], ask)
    assert.deepStrictEqual(asked, ["a", "b", "c", "a"])
  })
)
