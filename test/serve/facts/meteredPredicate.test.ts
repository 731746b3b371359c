import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Result, Scope } from "effect"
import { filterFor } from "../../../src/cel/Filter.ts"
import { FilterTime } from "../../../src/serve/facts/FilterTime.ts"
import { meteredPredicate } from "../../../src/serve/facts/meteredPredicate.ts"

const filterOf = (source: string) => Result.getOrThrow(filterFor("activity")(source)).expression

/** A server whose clock goes on as its watches are asked. */
const server = () => {
  let now = 1_000
  const scope = Effect.runSync(Scope.make())
  const context = Effect.runSync(Layer.buildWithScope(FilterTime.layerOf({ nowMillis: () => now }), scope))
  return {
    wait: (millis: number) => void (now += millis),
    watch: (user: string, source: string, costMillis: number) => {
      const holds = (): boolean => {
        now += costMillis
        return false
      }
      return Effect.runSync(
        meteredPredicate({ concerns: holds, shows: holds }, filterOf(source), user).pipe(
          Effect.provide(context),
          Effect.provideService(Scope.Scope, scope),
          Effect.result
        )
      )
    }
  }
}

const opened = <A>(result: Result.Result<A, unknown>): A =>
  Result.isSuccess(result) ? result.success : assert.fail("it was refused")

/** Each question takes `costMillis`, and `pauseMillis` pass before the next. */
const asked = (source: string, costMillis: number, pauseMillis: number, times: number) => {
  const { wait, watch } = server()
  const predicate = opened(watch("alice", source, costMillis))
  for (let index = 0; index < times; index++) {
    predicate.concerns("a fact")
    wait(pauseMillis)
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

  it("that was quiet for an hour may not take minutes then", () => {
    const { wait, watch } = server()
    const predicate = opened(watch("alice", pattern, 10))
    wait(3_600_000)
    for (let index = 0; index < 20; index++) predicate.concerns("a fact")
    assert.isDefined(predicate.fault())
  })

  it("has the share of its user, however many watches that one has or opens again", () => {
    const { wait, watch } = server()
    const watches = Array.from({ length: 100 }, () => opened(watch("alice", pattern, 3)))
    for (const predicate of [...watches, ...watches]) predicate.concerns("a fact")
    assert.isAbove(watches.filter((predicate) => predicate.fault() !== undefined).length, 30)
    assert.isTrue(Result.isFailure(watch("alice", pattern, 3)))
    assert.isTrue(Result.isSuccess(watch("bob", pattern, 3)))
    wait(10_000)
    assert.isTrue(Result.isSuccess(watch("alice", pattern, 3)))
  })

  it("ends, and not another of its user's that takes little", () => {
    const { watch } = server()
    const [costly, other] = [opened(watch("alice", pattern, 3)), opened(watch("alice", pattern, 0.01))]
    for (let index = 0; index < 100; index++) {
      costly.concerns("a fact")
      other.concerns("a fact")
    }
    assert.isDefined(costly.fault())
    assert.isUndefined(other.fault())
  })

  it("without patterns and exists() is not measured", () => {
    assert.isUndefined(asked("spec.summary == 'a'", 3, 0, 1_000).fault())
  })
})
