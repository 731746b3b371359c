import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger } from "effect"
import { TestClock } from "effect/testing"
import { Health, logHealthChanges } from "../../src/runtime/Health.ts"

describe("Health", () => {
  it.effect("a bad check of role ready makes the replica not ready, an informative one does not", () =>
    Effect.gen(function* () {
      const health = yield* Health
      let problem: string | undefined = "not connected"
      yield* health.register({ name: "store", role: "informative", problem: () => problem })
      assert(health.report().ready)
      yield* health.register({ name: "bus", role: "ready", problem: () => problem })
      assert(!health.report().ready)
      problem = undefined
      assert(health.report().ready)
      assert.deepStrictEqual(
        health.report().checks.map(({ name }) => name),
        ["store", "bus"]
      )
    }).pipe(Effect.provide(Health.layer))
  )

  it.effect("a change is logged once when it lasts, and once when it is over; what heals at once is no news", () => {
    const lines: Array<string> = []
    const logs = Logger.layer([
      Logger.make(({ logLevel, message }) => void lines.push(`${logLevel} ${String(message)}`))
    ])
    return Effect.gen(function* () {
      const health = yield* Health
      let problem: string | undefined
      yield* health.register({ name: "bus", role: "ready", problem: () => problem })
      yield* Effect.forkChild(logHealthChanges)
      const seconds = (count: number) => TestClock.adjust(`${count} seconds`)
      yield* seconds(1)
      problem = "not connected"
      yield* seconds(1)
      problem = undefined
      yield* seconds(3)
      assert.deepStrictEqual(lines, [])
      problem = "not connected"
      yield* seconds(10)
      problem = undefined
      yield* seconds(10)
      assert.deepStrictEqual(lines, ["Warn bus: not connected", "Info bus: is well again"])
    }).pipe(Effect.provide(Layer.mergeAll(Health.layer, logs)))
  })

  it.effect("a check that was never well has five seconds", () => {
    const lines: Array<string> = []
    const logs = Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))])
    return Effect.gen(function* () {
      const health = yield* Health
      let problem: string | undefined = "has not been read yet"
      yield* health.register({ name: "soon", role: "ready", problem: () => problem })
      yield* health.register({ name: "never", role: "ready", problem: () => "is not there" })
      yield* Effect.forkChild(logHealthChanges)
      yield* TestClock.adjust("4 seconds")
      problem = undefined
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(lines, ["never: is not there"])
    }).pipe(Effect.provide(Layer.mergeAll(Health.layer, logs)))
  })
})
