import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { ClickHouse, ClickHouseError, ClickHouseUnavailable } from "../../../src/clients/clickhouse/ClickHouse.ts"
import { watchClickHouse } from "../../../src/clients/clickhouse/watchClickHouse.ts"
import { Health } from "../../../src/runtime/Health.ts"

it.effect("the check tells an outage, and that it has passed, within ten seconds", () => {
  let away = false
  const clickhouse = Layer.mock(ClickHouse)({
    database: "activity",
    ping: Effect.suspend(() =>
      away
        ? Effect.fail(
            new ClickHouseError({ reason: new ClickHouseUnavailable({ cause: new Error("connection refused") }) })
          )
        : Effect.void
    )
  })
  return Effect.gen(function* () {
    const health = yield* Health
    yield* watchClickHouse("ready")
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual(health.report(), {
      ready: true,
      checks: [{ name: "clickhouse", role: "ready", problem: undefined }]
    })
    away = true
    yield* TestClock.adjust("10 seconds")
    assert.isFalse(health.report().ready)
    assert.include(health.report().checks[0]?.problem, "connection refused")
    away = false
    yield* TestClock.adjust("10 seconds")
    assert.isTrue(health.report().ready)
  }).pipe(Effect.provide([Health.layer, clickhouse]))
})
