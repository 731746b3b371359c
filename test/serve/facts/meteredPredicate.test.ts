import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { filterFor } from "../../../src/cel/Filter.ts"
import { meteredPredicate } from "../../../src/serve/facts/meteredPredicate.ts"

const filterOf = (source: string) => Result.getOrThrow(filterFor("activity")(source)).expression

/** Each question takes `costMillis`, and `pauseMillis` pass before the next. */
const asked = (source: string, costMillis: number, pauseMillis: number, times: number) => {
  let now = 1_000
  const holds = (): boolean => {
    now += costMillis
    return false
  }
  const predicate = meteredPredicate({ concerns: holds, shows: holds }, filterOf(source), () => now)
  for (let index = 0; index < times; index++) {
    predicate.concerns("a fact")
    now += pauseMillis
  }
  return predicate
}

const pattern = "spec.summary.matches('a')"

describe("a watch's filter", () => {
  it("that takes its share of the time is asked on", () => {
    assert.isUndefined(asked(pattern, 1, 30, 10_000).fault())
  })

  it("that takes more is no longer asked, wakes its watch, and says why", () => {
    const predicate = asked(pattern, 3, 0, 100)
    assert.strictEqual(predicate.fault()?.code, 400)
    assert.isTrue(predicate.concerns("another fact"))
  })

  it("that takes more later on is found then too", () => {
    assert.isUndefined(asked(pattern, 3, 0, 30).fault())
    assert.isDefined(asked("spec.links.exists(l, l.marker == 'a')", 3, 10, 1_000).fault())
  })

  it("without patterns and exists() is not measured", () => {
    assert.isUndefined(asked("spec.summary == 'a'", 3, 0, 1_000).fault())
  })
})
