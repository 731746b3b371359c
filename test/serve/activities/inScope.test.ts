import { assert, describe, it } from "@effect/vitest"
import type { Scope } from "../../../src/domain/Scope.ts"
import { inScope } from "../../../src/serve/activities/activityPredicate.ts"
import { activityFrom, type TestActivity } from "../apiFixture.ts"

const seen = (scope: Scope, test: Partial<TestActivity>, apiGroup?: string): boolean => {
  const activity = activityFrom({ id: "one", ...test }, 0)
  const { apiGroup: _, ...core } = activity.spec.resource
  const resource = apiGroup === "" ? core : { ...core, apiGroup: apiGroup ?? "apps" }
  return inScope(scope, { ...activity, spec: { ...activity.spec, resource } })
}

describe("what a watch of a scope shows", () => {
  it("an API group's is of that group alone, in every tenant, cluster and namespace", () => {
    const apps: Scope = { _tag: "ApiGroup", apiGroup: "apps" }
    assert.isTrue(seen(apps, {}))
    assert.isTrue(seen(apps, { tenant: { type: "Project", name: "p" }, cluster: "elsewhere", namespace: "" }))
    assert.isFalse(seen(apps, {}, "apps.example.com"))
    assert.isFalse(seen(apps, {}, ""))
    assert.isTrue(seen({ _tag: "ApiGroup", apiGroup: "" }, {}, ""))
  })

  it("a namespace's is of one cluster and tenant", () => {
    const shop: Scope = {
      _tag: "Namespace",
      cluster: "local",
      tenant: { type: "Platform", name: "" },
      namespace: "shop"
    }
    assert.isTrue(seen(shop, { namespace: "shop" }))
    assert.isFalse(seen(shop, { namespace: "office" }))
    assert.isFalse(seen(shop, { namespace: "" }))
    assert.isFalse(seen(shop, { namespace: "shop", cluster: "elsewhere" }))
    assert.isFalse(seen(shop, { namespace: "shop", tenant: { type: "Project", name: "" } }))
  })
})
