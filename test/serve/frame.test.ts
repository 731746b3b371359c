import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Api, group, startApi } from "./apiFixture.ts"

describe("the API's frame", () => {
  let api: Api
  beforeAll(async () => {
    api = await startApi({ writer: false })
  }, 120_000)
  afterAll(() => api[Symbol.asyncDispose]())

  it("a request without a token is answered 401", async () => {
    const answer = await api.request("admin", "/apis", { headers: { authorization: "Bearer wrong" } })
    expect([answer.status, answer.json().reason]).toEqual([401, "Unauthorized"])
  })

  it("a list by somebody without a role is refused in kube-apiserver's words", async () => {
    const answer = await api.request("nobody", `${group}/namespaces/default/activities`)
    expect([answer.status, answer.json().message]).toEqual([
      403,
      `activities.activity.miloapis.com is forbidden: User "nobody" cannot list resource "activities" in API group "activity.miloapis.com" in the namespace "default"`
    ])
  })

  it("smoke", async () => {
    for (const path of ["/apis", "/api", "/version", "/openapi/v3", `${group}/activities`, `${group}/activitypolicies`, "/readyz", `${group}/nope`]) {
      const answer = await api.request("admin", path)
      console.log(path, answer.status, answer.text.slice(0, 300))
    }
  })
})
