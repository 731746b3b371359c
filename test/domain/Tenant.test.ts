import fc from "fast-check"
import { assert, describe, it } from "@effect/vitest"
import { tenantFromText, tenantFromHeader, tenantHeader, tenantTypeFrom } from "../../src/domain/Tenant.ts"

describe("tenants", () => {
  it("known types have one spelling, others stay as written", () => {
    for (const [text, type] of [
      ["organization", "Organization"],
      ["PROJECT", "Project"],
      ["User", "User"],
      ["platform", "Platform"],
      ["Fleet", "Fleet"],
      ["fLEET", "fLEET"],
      ["", ""]
    ] as const)
      assert.strictEqual(tenantTypeFrom(text), type)
  })

  it("TYPE/NAME is split at the first slash", () => {
    assert.deepStrictEqual(tenantFromText("project/prod"), { type: "Project", name: "prod" })
    assert.deepStrictEqual(tenantFromText("Project/a/b"), { type: "Project", name: "a/b" })
    assert.deepStrictEqual(tenantFromText("Platform/"), { type: "Platform", name: "" })
    assert.deepStrictEqual(tenantFromText("platform"), { type: "Platform", name: "" })
  })

  it("a header holds any tenant, and no two the same", () => {
    assert.strictEqual(tenantHeader({ type: "Project", name: "prod" }), "Project/prod")
    const tenants = ["victim", "victim ", "victim\n", "victim\t", " victim", "a/b", "a%2Fb", "é😀", ""].flatMap(
      (name) => ["Organization", "Organization/victim", ""].map((type) => ({ type, name }))
    )
    assert.strictEqual(new Set(tenants.map(tenantHeader)).size, tenants.length)
    for (const tenant of tenants) assert.deepStrictEqual(tenantFromHeader(tenantHeader(tenant)), tenant)
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (type, name) => {
        assert.match(tenantHeader({ type, name }), /^[!-~]*\/[!-~]*$/)
        assert.deepStrictEqual(tenantFromHeader(tenantHeader({ type, name })), { type, name })
      })
    )
  })
})
