import { assert, describe, it } from "@effect/vitest"
import { tenantFromText, tenantText, tenantTypeFrom } from "../../src/domain/Tenant.ts"

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
    assert.strictEqual(tenantText({ type: "Project", name: "prod" }), "Project/prod")
  })
})
