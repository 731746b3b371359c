import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { eventually } from "../support/eventually.ts"
import { type Api, group, nameOf, startApi, type UserName } from "./apiFixture.ts"

/** Names that meet when they are cut, folded or decoded carelessly. */
const tenantNames = ["a.b", "a_b", "A", "%61", "a"] as const

describe("tenancy", () => {
  let api: Api
  const all = `${group}/activities`
  const spec = (answer: { items: Array<{ spec: { tenant: { name: string } } }> }) =>
    answer.items.map((one) => one.spec.tenant.name)
  const userOf = (name: string): UserName => `tenant-${name}`

  beforeAll(async () => {
    api = await startApi()
    await api.publish([
      ...tenantNames.map((name) => ({
        id: `of-${name}`,
        name: "web",
        tenant: { type: "Project", name },
        summary: "alice changed web"
      })),
      ...tenantNames.map((name) => ({
        id: `org-${name}`,
        name: "web",
        tenant: { type: "Organization", name },
        summary: "alice changed web"
      })),
      { id: "platform", name: "web", namespace: "team-1" },
      { id: "platform-2", name: "web", namespace: "team-2" },
      { id: "other-cluster", name: "web", namespace: "team-1", cluster: "elsewhere" },
      { id: "by-uid-1", name: "web", tenant: { type: "Project", name: "z" }, actor: { name: "eve", uid: "uid-1" } }
    ])
    await eventually("all are stored", async () => (await api.request("admin", all)).json().items.length === 14)
  })
  afterAll(() => api[Symbol.asyncDispose]())

  it.each(tenantNames)("tenant %s lists, finds and searches its own only", async (name) => {
    for (const parameters of ["", "?search=web", "?fieldSelector=spec.resource.name%3Dweb", "?limit=500"]) {
      const answer = (await api.request(userOf(name), `${all}${parameters}`)).json()
      expect(answer.items.map((one: { metadata: { name: string } }) => one.metadata.name)).toEqual([
        nameOf(`of-${name}`)
      ])
    }
  })

  it.each(tenantNames)("tenant %s gets nobody else's by name", async (name) => {
    const statuses = await Promise.all(
      [...tenantNames.map((other) => `of-${other}`), "platform"].map(
        async (id) => [id, (await api.request(userOf(name), `${all}/${nameOf(id)}`)).status] as const
      )
    )
    expect(statuses.filter(([, status]) => status === 200).map(([id]) => id)).toEqual([`of-${name}`])
  })

  it.each(tenantNames)("tenant %s watches its own only", async (name) => {
    const watch = api.watch(userOf(name), `${all}?watch=true&resourceVersion=0`)
    const ids = () => watch.frames.map((frame) => frame.object.spec.origin.id)
    await eventually("the initial state", () => ids().includes(`of-${name}`))
    await api.publish(
      tenantNames.map((other) => ({ id: `live-${name}-${other}`, tenant: { type: "Project", name: other } }))
    )
    await api.publish(
      tenantNames.map((other) => ({ id: `last-${name}-${other}`, tenant: { type: "Project", name: other } }))
    )
    await eventually("its own", () => ids().includes(`last-${name}-${name}`))
    watch.stop()
    expect(ids()).toContain(`live-${name}-${name}`)
    expect(new Set(watch.frames.map((frame) => frame.object.spec.tenant.name))).toEqual(new Set([name]))
  })

  it.each(["half-type", "half-name", "empty-name", "unknown-type", "repeated"] as const)(
    "%s: an incomplete tenant is refused everywhere",
    async (user) => {
      const statuses = await Promise.all(
        [all, `${all}?watch=true`, `${all}/${nameOf("platform")}`, `${group}/namespaces/team-1/activities`].map(
          async (path) => (await api.request(user, path)).status
        )
      )
      expect(statuses).toEqual([403, 403, 403, 403])
    }
  )

  it("a user's scope is what that person did, in any tenant", async () => {
    const answer = (await api.request("user-scope", all)).json()
    expect(answer.items.map((one: { metadata: { name: string } }) => one.metadata.name)).toEqual([nameOf("by-uid-1")])
  })

  it("a caller without tenant sees a namespace of this cluster and the default tenant only", async () => {
    const answer = (await api.request("viewer", `${group}/namespaces/team-1/activities`)).json()
    expect(answer.items.map((one: { metadata: { name: string } }) => one.metadata.name)).toEqual([nameOf("platform")])
    const foreign = await api.request("viewer", `${group}/namespaces/team-1/activities/${nameOf("other-cluster")}`)
    expect(foreign.status).toBe(404)
  })

  it("a caller without tenant needs the platform permission for all namespaces", async () => {
    expect((await api.request("viewer", all)).status).toBe(403)
    expect((await api.request("viewer", `${all}?watch=true`)).status).toBe(403)
    expect(spec((await api.request("admin", all)).json()).length).toBeGreaterThanOrEqual(14)
  })

  it("a role in one namespace opens no other", async () => {
    const statuses = await Promise.all(
      ["team-1", "team-2"].map(
        async (namespace) => (await api.request("team-1-viewer", `${group}/namespaces/${namespace}/activities`)).status
      )
    )
    expect(statuses).toEqual([200, 403])
  })
})

describe("tenancy required", () => {
  it("a namespace is closed to callers without tenant", async () => {
    await using api = await startApi({ tenancyRequired: true, writer: false })
    const statuses = await Promise.all(
      [
        api.request("viewer", `${group}/namespaces/team-1/activities`),
        api.request("tenant-a", `${group}/namespaces/team-1/activities`),
        api.request("admin", `${group}/activities`)
      ].map(async (sent) => (await sent).status)
    )
    expect(statuses).toEqual([403, 200, 200])
  }, 120_000)
})
