import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import manifest from "../../package.json" with { type: "json" }
import { Health } from "../../src/runtime/Health.ts"
import { Metrics } from "../../src/runtime/Metrics.ts"
import { serveOperations } from "../../src/runtime/Operations.ts"

describe("the operations port", () => {
  it.live("metrics tell each check of the probes as it is at the scrape, and the version", () =>
    Effect.gen(function* () {
      const health = yield* Health
      let problem: string | undefined = "not connected"
      yield* health.register({ name: "bus", role: "informative", problem: () => problem })
      yield* health.register({ name: "listener", role: "ready", problem: () => undefined })
      const { url } = yield* serveOperations({ host: "127.0.0.1", port: 0 })
      const scrape = Effect.promise(async () => (await (await fetch(`${url}/metrics`)).text()).split("\n"))

      const bad = yield* scrape
      assert.include(bad, `activity_health_check{check="bus",role="informative"} 0`)
      assert.include(bad, `activity_health_check{check="listener",role="ready"} 1`)
      assert.include(bad, `activity_build_info{version="${manifest.version}"} 1`)
      problem = undefined
      assert.include(yield* scrape, `activity_health_check{check="bus",role="informative"} 1`)
    }).pipe(Effect.scoped, Effect.provide(Layer.mergeAll(Health.layer, Metrics.layer)))
  )
})
