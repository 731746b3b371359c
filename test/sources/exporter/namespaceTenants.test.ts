/** Whose an Event is while the watch of namespaces lags behind the one of Events. */
import { Effect, Layer, Stream } from "effect"
import { assert, describe, it } from "@effect/vitest"
import { Kube } from "../../../src/clients/kube/Kube.ts"
import { Health } from "../../../src/runtime/Health.ts"
import { namespaceTenants, tenantLabels } from "../../../src/sources/exporter/namespaceTenants.ts"

const platform = { type: "Platform", name: "" }
const shop = {
  metadata: {
    name: "shop",
    resourceVersion: "7",
    labels: { [tenantLabels.type]: "Project", [tenantLabels.name]: "old" }
  }
}

/** Lists `shop` at version 10, and then says nothing. */
const cluster = Layer.succeed(
  Kube,
  Kube.of({
    server: "https://test",
    send: () => Effect.die("not asked"),
    call: () => Effect.never,
    list: () => Stream.succeed({ items: [shop], resourceVersion: "10" }),
    watch: () => Stream.never
  })
)

describe("a namespace's tenant", () => {
  it.effect("is known for what was there by the last word of its watch, and for nothing later", () =>
    Effect.gen(function* () {
      const tenants = yield* namespaceTenants(platform)
      yield* tenants.listed
      const old = { type: "Project", name: "old" }
      assert.deepStrictEqual(tenants.known("shop", ["9", "10"]), old)
      // It may have been relabelled between 10 and 11.
      assert.isUndefined(tenants.known("shop", ["9", "11"]))
      assert.isUndefined(tenants.known("shop", ["what is no number"]))
      assert.isUndefined(tenants.known("new", ["9"]))
      assert.deepStrictEqual(tenants.known("", ["11"]), platform)
    }).pipe(Effect.scoped, Effect.provide(Layer.merge(cluster, Health.layer)))
  )
})
