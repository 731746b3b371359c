import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { JsonObject } from "../../src/domain/AuditRecord.ts"
import { eventually } from "../support/eventually.ts"
import { watchFrames } from "../support/recordedData.ts"
import { watchedBetween } from "../support/watchedBetween.ts"
import { type Api, group, startApi, type UserName } from "./apiFixture.ts"
import { eventOf, podEvent, publishEvents } from "./eventMessages.ts"

const all = `${group}/eventrecords`
const asTable = { headers: { accept: "application/json;as=Table;v=v1;g=meta.k8s.io,application/json" } }
const since = "start=2026-11-20T00:00:00Z"

interface Item {
  readonly metadata: { readonly name: string; readonly uid: string; readonly resourceVersion: string }
  readonly event: JsonObject
}

describe("eventrecords", () => {
  let api: Api
  /** The sequence of the last recorded Event: our own follow. */
  let before = 0
  let last = 0
  const items = async (path: string, user: UserName = "admin"): Promise<ReadonlyArray<Item>> =>
    (await api.request(user, path)).json().items
  const names = async (
    parameters: string,
    user: UserName = "admin",
    path = `${group}/namespaces/team-1/eventrecords`
  ) => (await items(`${path}?${parameters}`, user)).map(({ metadata }) => metadata.name)
  const messageOf = async (parameters: string, status: number): Promise<string> => {
    const answer = await api.request("admin", `${all}?${parameters}`)
    expect(answer.status).toBe(status)
    return answer.json().message
  }

  beforeAll(async () => {
    api = await startApi()
    const frames = watchFrames("v1").filter(({ type }) => type !== "DELETED")
    const recorded = await publishEvents(
      api,
      frames.map(({ object, type }) => ({
        // What was parsed from JSON is JSON.
        event: object as unknown as JsonObject,
        mark: type === "ADDED" ? ("added" as const) : ("modified" as const)
      }))
    )
    const labels = { metadata: { labels: { app: "web", tier: "front" } } }
    before = recorded.at(-1) ?? 0
    const published = await publishEvents(api, [
      { event: podEvent("one", labels) },
      {
        event: podEvent("two", {
          type: "Warning",
          reason: "BackOff",
          regarding: { fieldPath: "spec.containers{main}" },
          metadata: { labels: { app: "db" } }
        })
      },
      {
        event: podEvent("three", {
          reportingController: "hpa",
          regarding: { kind: "Deployment", apiVersion: "apps/v1" }
        })
      },
      { event: podEvent("elsewhere"), cluster: "elsewhere" },
      { event: podEvent("of-a"), tenant: { type: "Project", name: "a" } },
      { event: podEvent("other-namespace", { metadata: { namespace: "team-2" } }) }
    ])
    last = published.at(-1) ?? 0
    await eventually("all are stored", async () => (await items(`${all}?${since}`)).length === 672)
  })
  afterAll(() => api[Symbol.asyncDispose]())

  it("a list has each Event of a real cluster once, as it was last seen, newest first", async () => {
    const latest = new Map(
      watchFrames("v1")
        .filter(({ type }) => type !== "DELETED")
        .map(({ object }) => [object.metadata.uid, eventOf({ event: object as unknown as JsonObject })])
    )
    const recorded = (await items(`${all}?${since}`)).filter(({ metadata }) => latest.has(metadata.uid))
    expect(recorded.length).toBe(666)
    for (const { event, metadata } of recorded) {
      const expected = latest.get(metadata.uid)?.body
      expect(event).toEqual(expected)
      expect(metadata).toEqual({ ...Object(expected?.["metadata"]), resourceVersion: metadata.resourceVersion })
    }
    const times = recorded.map(({ event }) => Object(event["metadata"]).creationTimestamp)
    expect(times).toEqual(times.toSorted().toReversed())
    // A row may be there before the writer's floor says so.
    await eventually("the list's version is that of its newest row", async () => {
      const list = (await api.request("admin", `${all}?${since}`)).json()
      expect([list.kind, list.apiVersion]).toEqual(["EventRecordList", "activity.miloapis.com/v1alpha1"])
      const versions = list.items.map(({ metadata }: Item) => Number(metadata.resourceVersion))
      return Number(list.metadata.resourceVersion) >= Math.max(...versions)
    })
  })

  it("pages have every Event once", async () => {
    const found: Array<string> = []
    let token = ""
    do {
      const page = (await api.request("admin", `${all}?${since}&limit=25${token && `&continue=${token}`}`)).json()
      expect(page.items.length).toBeLessThanOrEqual(25)
      found.push(...page.items.map(({ metadata }: Item) => metadata.uid))
      token = page.metadata.continue ?? ""
    } while (token !== "")
    expect([found.length, new Set(found).size]).toEqual([672, 672])
    const [first, second] = await Promise.all([
      api.request("admin", `${all}?${since}&limit=7`),
      api.request("admin", `${group}/activities?limit=7`)
    ])
    expect(second.status).toBe(200)
    const stolen = await api.request(
      "admin",
      `${group}/activities?${since}&limit=7&continue=${first.json().metadata.continue}`
    )
    expect(stolen.status).toBe(400)
  })

  it("without a start it has the last 24 hours; a window is told apart by when an Event was last seen", async () => {
    expect(await names("")).toEqual(expect.arrayContaining(["one", "two", "three"]))
    const empty = await api.request("admin", `${group}/namespaces/nowhere/eventrecords`)
    expect([empty.json().items, empty.headers["warning"]]).toEqual([
      [],
      '299 - "Events of the last 24 hours only; ask with ?start=now-7d for more"'
    ])
    const [first] = watchFrames("v1")
    const until = `${since}&end=${first?.object.metadata.creationTimestamp}`
    expect(await items(`${all}?${until}`)).toEqual([])
    expect(await messageOf("start=now-1y", 400)).toContain("is no time")
  })

  it.concurrent.each([
    ["fieldSelector", "type=Warning", ["two"]],
    ["fieldSelector", "type!=Warning,regarding.kind=Pod", ["one"]],
    ["fieldSelector", "involvedObject.kind=Deployment", ["three"]],
    ["fieldSelector", "involvedObject.uid=pod-1,involvedObject.name=web,involvedObject.namespace=team-1", "all"],
    ["fieldSelector", "involvedObject.apiVersion=apps/v1", ["three"]],
    ["fieldSelector", "involvedObject.fieldPath=spec.containers{main}", ["two"]],
    ["fieldSelector", "regarding.fieldPath=spec.containers{main}", ["two"]],
    ["fieldSelector", "reason=BackOff", ["two"]],
    ["fieldSelector", "source=hpa", ["three"]],
    ["fieldSelector", "source.component=hpa", ["three"]],
    ["fieldSelector", "reportingComponent=hpa", ["three"]],
    ["fieldSelector", "reportingController!=hpa,source.host=node-1,type=Normal", ["one"]],
    ["fieldSelector", "metadata.name=two", ["two"]],
    ["labelSelector", "app=web", ["one"]],
    ["labelSelector", "app!=web", ["three", "two"]],
    ["labelSelector", "app in (web, db)", ["one", "two"]],
    ["labelSelector", "app notin (db),tier", ["one"]],
    ["labelSelector", "!app", ["three"]],
    ["filter", "type == 'Warning' || note.contains('three')", ["three", "two"]],
    ["filter", "event.regarding.fieldPath.startsWith('spec.')", ["two"]],
    ["search", "SUCCESSFULLY two", ["two"]]
  ] as const)("%s %s", async (parameter, text, expected) => {
    const query = `${parameter}=${encodeURIComponent(text)}`
    const wanted = expected === "all" ? ["one", "three", "two"] : [...expected]
    expect((await names(query, "team-1-viewer")).toSorted()).toEqual(wanted)
    // What was stored is chosen in SQL, what a watch replays in memory.
    const frames = await watchedBetween(
      (path) => api.request("team-1-viewer", path),
      `${group}/namespaces/team-1/eventrecords?${query}`,
      before,
      last
    )
    expect(frames.map(({ object }) => object.metadata.name).toSorted()).toEqual(wanted)
  })

  it("selectors, filters and parameters that are not supported are refused, never ignored", async () => {
    expect(await messageOf("fieldSelector=spec.nodeName%3Da", 400)).toContain(
      "field label not supported: spec.nodeName"
    )
    expect(await messageOf("fieldSelector=metadata.labels%3Da", 400)).toContain("field label not supported")
    expect(await messageOf("labelSelector=a%3D%3D%3Db", 400)).toContain("unable to parse requirement")
    expect(await messageOf("search=--", 400)).toContain("search has no words")
    expect(await messageOf(`search=${"x".repeat(1_025)}`, 400)).toContain("search is longer than 1024 characters")
    expect(await messageOf("filter=spec.actor%20%3D%3D%20'a'", 422)).toContain("line 1, column 1")
    expect(await messageOf("watch=true&start=now-1h", 400)).toContain("start and end belong to lists")
    expect((await api.request("admin", all, { method: "DELETE" })).status).toBe(405)
  })

  it("one is got by its namespace and name", async () => {
    const got = (await api.request("admin", `${group}/namespaces/team-1/eventrecords/two`)).json()
    expect([got.kind, got.metadata.name, got.event.reason]).toEqual(["EventRecord", "two", "BackOff"])
    const missing = await api.request("admin", `${group}/namespaces/team-2/eventrecords/two`)
    expect([missing.status, missing.json().message]).toEqual([
      404,
      'eventrecords.activity.miloapis.com "two" not found'
    ])
  })

  it("callers see their own: a tenant's, a namespace's, an API group's, nobody's", async () => {
    expect(await names("", "tenant-a", all)).toEqual(["of-a"])
    expect((await names("", "team-1-viewer")).toSorted()).toEqual(["one", "three", "two"])
    expect(await names("", "user-scope", all)).toEqual([])
    expect((await api.request("apps-provider", all)).status).toBe(403)
    const apps = await names(`fieldSelector=regarding.apiVersion%3Dapps/v1&${since}`, "apps-provider", all)
    expect(apps).toContain("three")
    expect((await api.request("tenant-a", `${group}/namespaces/team-1/eventrecords/one`)).status).toBe(404)
    expect((await api.request("team-1-viewer", `${group}/namespaces/team-2/eventrecords`)).status).toBe(403)
  })

  it("the table is that of kubectl get events", async () => {
    const table = (await api.request("admin", `${group}/namespaces/team-1/eventrecords/two`, asTable)).json()
    expect(
      table.columnDefinitions.map(({ name, priority }: { name: string; priority: number }) => [name, priority])
    ).toEqual([
      ["Last Seen", 0],
      ["Type", 0],
      ["Reason", 0],
      ["Object", 0],
      ["Subobject", 1],
      ["Source", 1],
      ["Message", 0],
      ["First Seen", 1],
      ["Count", 1],
      ["Name", 1]
    ])
    expect(table.rows[0].cells.toSpliced(7, 1).slice(1)).toEqual([
      "Warning",
      "BackOff",
      "pod/web",
      "spec.containers{main}",
      "kubelet, node-1",
      "Successfully pulled image for two",
      1,
      "two"
    ])
  })
})
