import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { parse } from "yaml"
import { eventually } from "../support/eventually.ts"
import { type Api, group, nameOf, startApi } from "./apiFixture.ts"

const tableAccept =
  "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"

describe("activities", () => {
  let api: Api
  let sequences: ReadonlyArray<number> = []
  const all = `${group}/activities`
  const list = async (
    parameters: Readonly<Record<string, string>> = {},
    user: "admin" | "viewer" = "admin",
    path = all
  ) => (await api.request(user, `${path}?${new URLSearchParams(parameters)}`)).json()
  const idsOf = (answer: { items: Array<{ spec: { origin: { id: string } } }> }) =>
    answer.items.map((one) => one.spec.origin.id)

  beforeAll(async () => {
    api = await startApi()
    sequences = await api.publish([
      { id: "web", name: "web", summary: "alice created Deployment web", ageSeconds: 10 },
      {
        id: "db",
        name: "db",
        kind: "StatefulSet",
        namespace: "team-2",
        summary: "bob deleted StatefulSet db",
        actor: { name: "bob", uid: "uid-1" },
        ageSeconds: 20
      },
      {
        id: "node",
        name: "node-1",
        kind: "Node",
        namespace: "",
        summary: "System cordoned Node node-1",
        changeSource: "system",
        ageSeconds: 30
      },
      { id: "old", name: "old", summary: "alice created Deployment old", ageSeconds: 7_200 },
      { id: "ahead", name: "ahead", summary: "carol's clock is ahead", ageSeconds: -20 }
    ])
    await eventually("all are stored", async () => (await list({ start: "now-1d" })).items.length === 5)
  })
  afterAll(() => api[Symbol.asyncDispose]())

  it("a list has the last hour, newest first, with resourceVersions", async () => {
    const answer = await list()
    expect(idsOf(answer)).toEqual(["ahead", "web", "db", "node"])
    expect(answer.kind).toBe("ActivityList")
    const versions = answer.items.map((one: { metadata: { resourceVersion: string } }) => one.metadata.resourceVersion)
    expect(versions).toEqual([4, 0, 1, 2].map((index) => String(sequences[index])))
    // The writer acknowledges after it has stored: a moment later the list promises all of it.
    await eventually("the floor is there", async () => (await list()).metadata.resourceVersion === String(sequences[4]))
  })

  it("an empty list of the default window warns that there may be older ones", async () => {
    const warningOf = async (parameters: Readonly<Record<string, string>>, accept = "application/json") =>
      (await api.request("admin", `${all}?${new URLSearchParams(parameters)}`, { headers: { accept } })).headers[
        "warning"
      ]
    const warning = '299 - "activities of the last hour only; ask with ?start=now-7d for more"'
    const nothing = { search: "nothinghere" }
    expect(await warningOf(nothing)).toBe(warning)
    expect(await warningOf({ ...nothing, limit: "500" }, tableAccept)).toBe(warning)
    expect(await warningOf(nothing, "application/yaml")).toBe(warning)
    expect(await warningOf({ ...nothing, start: "now-1h" })).toBeUndefined()
    expect(await warningOf({ search: "alice" })).toBeUndefined()
  })

  it("a parameter that nothing reads is warned of, in lists and watches; what Kubernetes' clients send is not", async () => {
    const warningOf = async (query: string) => (await api.request("admin", `${all}?${query}`)).headers["warning"]
    const warning =
      '299 - "the query parameter \\"strt\\" is unknown and ignored; known are filter, search, start, end, fieldSelector, labelSelector, limit, continue, resourceVersion, watch"'
    expect(await warningOf("strt=now-7d")).toBe(warning)
    expect(await warningOf("strt=now-7d&strt=now-8d&limit=1")).toBe(warning)
    expect(await warningOf("strt=now-7d&watch=true&timeoutSeconds=1")).toBe(warning)
    expect(await warningOf(`${"x".repeat(1_000)}=1`)).toMatch(/^299 - "the query parameter \\"x{100}\\" is unknown/)
    const many = Array.from({ length: 50 }, (_, index) => `p${index}=1`).join("&")
    expect((await warningOf(many))?.match(/299 - /g)?.length).toBe(10)
    expect(
      await warningOf(
        "limit=500&includeObject=Metadata&pretty=true&timeout=32s&timeoutSeconds=1&watch=false&allowWatchBookmarks=true&" +
          "resourceVersion=0&resourceVersionMatch=NotOlderThan&fieldSelector=&labelSelector=&continue=&start=now-1d&end=now&" +
          "filter=true&search=alice"
      )
    ).toBeUndefined()
  })

  it("a search without a word is 400 with a sentence, in lists and watches", async () => {
    for (const query of ["search=!!!", "search=%25%25", "watch=true&search=_"]) {
      const answer = await api.request("admin", `${all}?${query}`)
      expect([query, answer.status, answer.json().message]).toEqual([
        query,
        400,
        "search has no words: a word is of letters and digits, such as search=created"
      ])
    }
    expect(idsOf((await api.request("admin", `${all}?search=`)).json()).length).toBe(4)
  })

  it("a refusal says what is allowed", async () => {
    const messageOf = async (parameters: Readonly<Record<string, string>>): Promise<string> =>
      (await api.request("admin", `${all}?${new URLSearchParams(parameters)}`)).json().message
    expect(await messageOf({ end: "now-2h" })).toBe(
      'end: "now-2h" is before the default start now-1h: give a start before it'
    )
    expect(await messageOf({ start: "now", end: "now-2h" })).toBe('start: "now" is after the end "now-2h"')
    expect(await messageOf({ limit: "many" })).toBe('limit: "many" is no whole number: use 1 to 1000, or 0 for all')
    expect(await messageOf({ labelSelector: "a b" })).toContain("the forms are key=value, key!=value, key in (a, b)")
    expect(await messageOf({ filter: "spec.actor.name = 'alice'" })).toContain("such as spec.actor.name == 'alice'")
    expect(await messageOf({ continue: "abc" })).toContain("start the list again without it")
    expect(await messageOf({ watch: "true", start: "now-1h" })).toContain("the resourceVersion that a list gave")
  })

  it("start and end are a window: relative, absolute with fractions, one minute ahead of our clock", async () => {
    // By when they happened, however long ago that is by now.
    const { items } = await list({ start: "now-1d" })
    const times = new Map<string, string>(
      items.map(({ spec }: { spec: { origin: { id: string }; timestamp: string } }) => [spec.origin.id, spec.timestamp])
    )
    const timeOf = (id: string) => times.get(id) ?? ""
    const justAfter = (id: string) => new Date(Date.parse(timeOf(id)) + 1).toISOString()
    expect(idsOf(await list({ start: "now-1w", end: "now-1h" }))).toEqual(["old"])
    expect(idsOf(await list({ start: timeOf("db"), end: justAfter("web") }))).toEqual(["web", "db"])
    expect(idsOf(await list({ start: justAfter("db"), end: timeOf("ahead") }))).toEqual(["web"])
    expect(idsOf(await list({ start: timeOf("db"), end: "now" })).filter((id) => id !== "ahead")).toEqual(["web", "db"])
    // Up to a minute later than now.
    expect(idsOf(await list({ end: justAfter("ahead") }))).toContain("ahead")
  })

  it("times that are none, or in the future, are 400 with a sentence", async () => {
    for (const parameters of [
      { start: "yesterday" },
      { start: "now-1.5h" },
      { end: "2999-01-01T00:00:00Z" },
      { start: "now-999999w" },
      { start: "0000-01-01T00:00:00+14:00" },
      { end: "0000-01-01T00:00:00Z" },
      { start: "now", end: "now-1h" },
      { start: "now-7xd" }
    ]) {
      const answer = await api.request("admin", `${all}?${new URLSearchParams(parameters as Record<string, string>)}`)
      expect([answer.status, answer.json().reason]).toEqual([400, "BadRequest"])
    }
  })

  it("search takes whole words, all of them, in any case", async () => {
    expect(idsOf(await list({ search: "ALICE web" }))).toEqual(["web"])
    expect(idsOf(await list({ search: "deploy" }))).toEqual([])
  })

  it("a filter is CEL over the fields", async () => {
    expect(
      idsOf(await list({ filter: "spec.resource.kind in ['Node', 'StatefulSet'] && !(spec.actor.name == 'bob')" }))
    ).toEqual(["node"])
    expect(
      idsOf(await list({ filter: "spec.summary.startsWith('bob') || spec.resource.name.contains('ode')" }))
    ).toEqual(["db", "node"])
  })

  it("a filter that cannot be read is 422 with its place", async () => {
    const answer = await api.request("admin", `${all}?${new URLSearchParams({ filter: "spec.nothing == 'x'" })}`)
    expect([answer.status, answer.json().details.causes[0].field]).toEqual([422, "filter"])
    expect(answer.json().message).toMatch(/line 1, column \d+/)
  })

  it("field selectors select, with =, == and !=", async () => {
    expect(
      idsOf(
        await list({
          fieldSelector: "spec.resource.kind=Deployment,spec.actor.name==alice,metadata.name!=" + nameOf("ahead")
        })
      )
    ).toEqual(["web"])
    expect(idsOf(await list({ fieldSelector: "spec.changeSource!=human" }))).toEqual(["node"])
    expect(idsOf(await list({ fieldSelector: "metadata.namespace=team-2" }))).toEqual(["db"])
    expect(idsOf(await list({ fieldSelector: `metadata.name=${nameOf("db")}` }))).toEqual(["db"])
  })

  it("label selectors select", async () => {
    const kind = "activity.miloapis.com/resource-kind"
    expect(idsOf(await list({ labelSelector: `${kind} in (Node, StatefulSet)` }))).toEqual(["db", "node"])
    expect(
      idsOf(await list({ labelSelector: `${kind} notin (Deployment),activity.miloapis.com/change-source=human` }))
    ).toEqual(["db"])
    expect(idsOf(await list({ labelSelector: "activity.miloapis.com/event-reason" }))).toEqual([])
    expect(
      idsOf(await list({ labelSelector: "!activity.miloapis.com/event-reason,activity.miloapis.com/origin-type" }))
        .length
    ).toBe(4)
  })

  it("selectors on anything else are 400, never ignored", async () => {
    for (const parameters of [
      { fieldSelector: "spec.verb=create" },
      { labelSelector: "app=web" },
      { labelSelector: "a b" },
      { fieldSelector: "x" }
    ]) {
      const answer = await api.request("admin", `${all}?${new URLSearchParams(parameters as Record<string, string>)}`)
      expect(answer.status).toBe(400)
    }
    expect((await api.request("admin", `${all}?filter=true&filter=false`)).status).toBe(400)
  })

  it("a namespace's list has that namespace only, and cluster-scoped activities are found by name", async () => {
    expect(idsOf(await list({}, "viewer", `${group}/namespaces/team-2/activities`))).toEqual(["db"])
    const node = await api.request("admin", `${all}/${nameOf("node")}`)
    expect([node.status, node.json().spec.resource.name]).toEqual([200, "node-1"])
    const elsewhere = await api.request("admin", `${group}/namespaces/team-1/activities/${nameOf("db")}`)
    expect([elsewhere.status, elsewhere.json().message]).toEqual([
      404,
      `activities.activity.miloapis.com "${nameOf("db")}" not found`
    ])
  })

  it("a cluster-scoped activity is found in the namespace that kubectl adds, by who sees all namespaces", async () => {
    const path = `${group}/namespaces/team-1/activities/${nameOf("node")}`
    const found = await api.request("admin", path)
    expect([found.status, found.json().spec?.resource.name]).toEqual([200, "node-1"])
    for (const user of ["viewer", "team-1-viewer", "tenant-a"] as const) {
      const answer = await api.request(user, path)
      const missing = `activities.activity.miloapis.com "${nameOf("node")}" not found`
      expect([user, answer.status, answer.json().message]).toEqual([user, 404, missing])
    }
  })

  it("both versions serve the same objects", async () => {
    const one = (await api.request("admin", `${all}/${nameOf("web")}`)).json()
    const other = (await api.request("admin", `/apis/activity.miloapis.com/v1/activities/${nameOf("web")}`)).json()
    expect(other).toEqual({ ...one, apiVersion: "activity.miloapis.com/v1" })
  })

  it("pages follow each other without a gap, and carry the first page's resourceVersion", async () => {
    const seen: Array<string> = []
    const versions = new Set<string>()
    let token = ""
    do {
      const page = await list({ start: "now-1d", limit: "2", ...(token === "" ? {} : { continue: token }) })
      seen.push(...idsOf(page))
      versions.add(page.metadata.resourceVersion)
      token = page.metadata.continue ?? ""
      if (seen.length === 2) await api.publish([{ id: "between", ageSeconds: 0 }])
    } while (token !== "")
    expect(seen).toEqual(["ahead", "web", "db", "node", "old"])
    expect(versions.size).toBe(1)
  })

  it("a continue token that was changed, or belongs to another query or caller, is 400", async () => {
    const { metadata } = await list({ start: "now-1d", limit: "2" })
    const token: string = metadata.continue
    const statusOf = async (user: "admin" | "tenant-a", parameters: Record<string, string>) =>
      (await api.request(user, `${all}?${new URLSearchParams({ limit: "2", ...parameters })}`)).status
    expect(await statusOf("admin", { start: "now-1d", continue: token })).toBe(200)
    expect(await statusOf("admin", { start: "now-2d", continue: token })).toBe(400)
    expect(await statusOf("admin", { start: "now-1d", search: "alice", continue: token })).toBe(400)
    expect(await statusOf("tenant-a", { start: "now-1d", continue: token })).toBe(400)
    expect(await statusOf("admin", { start: "now-1d", continue: `${token.slice(0, -2)}AA` })).toBe(400)
    expect(await statusOf("admin", { start: "now-1d", continue: "nonsense!" })).toBe(400)
    expect(await statusOf("admin", { start: "now-1d", continue: token, resourceVersion: "5" })).toBe(400)
  })

  it("a table has the columns, and objects as asked", async () => {
    const table = (
      await api.request("admin", `${all}?limit=500&fieldSelector=spec.resource.kind%3DStatefulSet`, {
        headers: { accept: tableAccept }
      })
    ).json()
    expect(table).toMatchObject({ kind: "Table", apiVersion: "meta.k8s.io/v1" })
    expect(
      table.columnDefinitions
        .filter((one: { priority: number }) => one.priority === 0)
        .map((one: { name: string }) => one.name)
    ).toEqual(["Name", "Summary", "Actor", "Resource", "Source", "Age"])
    expect(table.rows[0].cells.slice(0, 5)).toEqual([
      nameOf("db"),
      "bob deleted StatefulSet db",
      "bob",
      "StatefulSet/db",
      "human"
    ])
    expect(table.rows[0].object.kind).toBe("PartialObjectMetadata")
    const single = (
      await api.request("admin", `${all}/${nameOf("db")}?includeObject=Object`, { headers: { accept: tableAccept } })
    ).json()
    expect(single.rows[0].object.spec.summary).toBe("bob deleted StatefulSet db")
    const empty = (await api.request("admin", `${all}?search=nothinghere`, { headers: { accept: tableAccept } })).json()
    expect(empty.rows).toEqual([])
  })

  it("metadata clients get metadata, though they would rather have protobuf", async () => {
    const accept =
      "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    const answer = (await api.request("admin", `${all}?limit=1`, { headers: { accept } })).json()
    expect(answer.kind).toBe("PartialObjectMetadataList")
    expect(Object.keys(answer.items[0]).sort()).toEqual(["apiVersion", "kind", "metadata"])
  })

  it("limits that are none are 400, larger than 1000 is 1000", async () => {
    expect((await api.request("admin", `${all}?limit=-1`)).status).toBe(400)
    expect((await api.request("admin", `${all}?limit=x`)).status).toBe(400)
    expect((await api.request("admin", `${all}?limit=5000`)).status).toBe(200)
  })

  it("a list asked to be newer than the store waits, then says so", async () => {
    const { metadata } = await list()
    const beyond = String(Number(metadata.resourceVersion) + 1_000_000)
    const answer = await api.request("admin", `${all}?resourceVersion=${beyond}`)
    expect([
      answer.status,
      answer.json().reason,
      answer.json().details.causes[0].reason,
      answer.json().details.retryAfterSeconds
    ]).toEqual([504, "Timeout", "ResourceVersionTooLarge", 1])
    expect((await api.request("admin", `${all}?resourceVersion=abc`)).status).toBe(422)
    expect((await api.request("admin", `${all}?resourceVersionMatch=NotOlderThan`)).status).toBe(422)
    expect((await api.request("admin", `${all}?resourceVersionMatch=Exact&resourceVersion=5`)).status).toBe(410)
  })

  it("a list sees what was published before, when it asks for its resourceVersion", async () => {
    const [sequence] = await api.publish([{ id: "fresh", ageSeconds: 0 }])
    const answer = await api.listed("admin", `${all}?resourceVersion=${sequence}`)
    expect(idsOf(answer.json())).toContain("fresh")
  })

  it("a list without a limit is whole, whatever its size, and compressed where pages are large", async () => {
    const many = Array.from({ length: 2_500 }, (_, index) => ({
      id: `many-${index}`,
      namespace: "many",
      ageSeconds: 1 + index / 1000
    }))
    const sequences = await api.publish(many)
    const path = `${group}/namespaces/many/activities`
    const answer = await api.listed("admin", `${path}?resourceVersion=${Math.max(...sequences)}`)
    expect(new Set(idsOf(answer.json())).size).toBe(2_500)
    const zipped = await api.request("admin", path, { headers: { "accept-encoding": "gzip" } })
    expect(zipped.headers["content-encoding"]).toBe("gzip")
    const page = await api.request("admin", `${path}?limit=1000`, { headers: { "accept-encoding": "gzip" } })
    expect(page.headers["content-encoding"]).toBe("gzip")
    // As YAML too it is written while it is read: nobody knows its length before.
    for (const form of ["", ";as=Table;v=v1;g=meta.k8s.io"]) {
      const get = (type: string) => api.request("admin", path, { headers: { accept: `application/${type}${form}` } })
      const { headers, text } = await get("yaml")
      expect([headers["content-type"], headers["content-length"]]).toEqual(["application/yaml", undefined])
      const found = parse(text)
      const asJson = (await get("json")).json()
      // The age in a Table's cells goes on.
      const objectsOf = ({ items, rows }: typeof found) => items ?? rows.map(({ object }: { object: object }) => object)
      expect(objectsOf(found)).toHaveLength(2_500)
      expect(objectsOf(found)).toEqual(objectsOf(asJson))
      expect(Object.keys(found)).toEqual(Object.keys(asJson))
    }
  })
})
