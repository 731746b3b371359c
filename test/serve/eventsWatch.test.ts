import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { JsonObject } from "../../src/domain/AuditRecord.ts"
import { eventually } from "../support/eventually.ts"
import { type Api, type Frame, group, startApi, type Watch } from "./apiFixture.ts"
import { podEvent, publishEvents, type TestSight } from "./eventMessages.ts"

const all = `${group}/eventrecords`

/** What came of these Events after the initial state. */
const live = ({ frames }: Watch, ...names: ReadonlyArray<string>) =>
  frames
    .slice(frames.findIndex(({ type }) => type === "BOOKMARK") + 1)
    .filter(({ object }) => names.includes(object.metadata.name))
const shown = (frames: ReadonlyArray<Frame>) =>
  frames.map(({ object, type }) => [type, object.metadata.name, object.event?.series?.count ?? 1])

/** A sight of an Event that goes on. Its cluster counts its versions; each is a version of the same Event. */
const sight = (name: string, count: number, more: JsonObject = {}): TestSight => ({
  event: podEvent(name, {
    ...more,
    metadata: { creationTimestamp: created, resourceVersion: String(100 + count) },
    eventTime: created,
    ...(count > 1 ? { series: { count, lastObservedTime: new Date().toISOString() } } : {})
  }),
  mark: count > 1 ? "modified" : "added"
})
const created = new Date().toISOString()

describe("watching eventrecords", () => {
  let api: Api
  const versionOf = async (): Promise<string> => (await api.request("admin", all)).json().metadata.resourceVersion
  /** A watch that is open: what was before it is told, and then its end. */
  const follow = async (parameters = ""): Promise<Watch> => {
    const watch = api.watch(
      "admin",
      `${all}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true${parameters}`
    )
    await eventually("it is open", () => watch.frames.some(({ type }) => type === "BOOKMARK"))
    return watch
  }
  const stored = (name: string, count: number) =>
    eventually("it is stored", async () => {
      const got = await api.request("admin", `${group}/namespaces/team-1/eventrecords/${name}`)
      return (got.json().event?.series?.count ?? 1) === count && got.status === 200
    })

  beforeAll(async () => {
    api = await startApi()
    await publishEvents(api, [sight("first", 1)])
    await stored("first", 1)
  })
  afterAll(() => api[Symbol.asyncDispose]())

  it("an open watch has each sight that follows, once, in order", async () => {
    const watch = await follow()
    const sequences = await publishEvents(api, [sight("a", 1), sight("a", 2), sight("b", 1), sight("a", 12)])
    await eventually("all have come", () => live(watch, "a", "b").length >= 4)
    watch.stop()
    expect(shown(live(watch, "a", "b"))).toEqual([
      ["ADDED", "a", 1],
      ["MODIFIED", "a", 2],
      ["ADDED", "b", 1],
      ["MODIFIED", "a", 12]
    ])
    expect(live(watch, "a", "b").map(({ object }) => Number(object.metadata.resourceVersion))).toEqual(sequences)
    await stored("a", 12)
    const [last] = live(watch, "a", "b").slice(-1)
    expect((await api.request("admin", `${group}/namespaces/team-1/eventrecords/a`)).json()).toEqual(last?.object)
  })

  it("without a resourceVersion it begins with what there is; sendInitialEvents tells its end", async () => {
    const watch = api.watch("admin", `${all}?watch=true&fieldSelector=metadata.name%3Dfirst`)
    const listed = api.watch(
      "admin",
      `${all}?watch=true&fieldSelector=metadata.name%3Dfirst&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true`
    )
    await eventually("both begin", () => watch.frames.length === 1 && listed.frames.length === 2)
    await publishEvents(api, [sight("first", 2)])
    await eventually("both go on", () => watch.frames.length === 2 && listed.frames.length === 3)
    watch.stop()
    listed.stop()
    expect(shown(watch.frames)).toEqual([
      ["ADDED", "first", 1],
      ["MODIFIED", "first", 2]
    ])
    expect(listed.frames.map(({ type }) => type)).toEqual(["ADDED", "BOOKMARK", "MODIFIED"])
    expect(listed.frames[1]?.object.metadata.annotations).toEqual({ "k8s.io/initial-events-end": "true" })
  })

  it("what no longer matches is DELETED; Events of another kind, reason or type are never heard of", async () => {
    const [changing, warnings] = [
      await follow(`&filter=${encodeURIComponent("series.count < 5")}`),
      await follow("&fieldSelector=type%3DWarning")
    ]
    await publishEvents(api, [
      sight("c", 1),
      sight("c", 4),
      sight("c", 5),
      sight("w", 1, { type: "Warning" }),
      sight("w", 2, { type: "Warning" })
    ])
    await eventually(
      "all have come",
      () => live(changing, "c", "w").length === 5 && live(warnings, "c", "w").length === 2
    )
    changing.stop()
    warnings.stop()
    expect(shown(live(changing, "c", "w"))).toEqual([
      ["ADDED", "c", 1],
      ["MODIFIED", "c", 4],
      ["DELETED", "c", 5],
      ["ADDED", "w", 1],
      ["MODIFIED", "w", 2]
    ])
    expect(shown(live(warnings, "c", "w"))).toEqual([
      ["ADDED", "w", 1],
      ["MODIFIED", "w", 2]
    ])
  })

  it("an older sight that comes late is left out, also by a server that was started in between", async () => {
    const watch = await follow()
    await publishEvents(api, [sight("late", 3), sight("late", 2), sight("late", 4)])
    await eventually("the newest", () => live(watch, "late").length === 2)
    watch.stop()
    expect(shown(live(watch, "late"))).toEqual([
      ["MODIFIED", "late", 3],
      ["MODIFIED", "late", 4]
    ])
    await stored("late", 4)
    const version = await versionOf()
    await publishEvents(api, [sight("gone-on", 7)])
    await api.stopServer()
    await api.startServer()
    const again = api.watch("admin", `${all}?watch=true&resourceVersion=${version}`)
    await eventually("what was missed", () => again.frames.length === 1)
    await publishEvents(api, [sight("late", 2, { note: "late" }), sight("gone-on", 5), sight("gone-on", 8)])
    await eventually("the newest", () => again.frames.length === 2)
    again.stop()
    expect(shown(again.frames)).toEqual([
      ["MODIFIED", "gone-on", 7],
      ["MODIFIED", "gone-on", 8]
    ])
  })

  it("of what happened before it was opened it tells the latest sight, and nothing goes back", async () => {
    const version = await versionOf()
    await publishEvents(api, [sight("series", 1), sight("series", 2), sight("series", 3)])
    await stored("series", 3)
    const watch = api.watch("admin", `${all}?watch=true&resourceVersion=${version}`)
    await eventually("it begins", () => watch.frames.length === 1)
    await publishEvents(api, [sight("series", 4)])
    await eventually("it goes on", () => watch.frames.length === 2)
    watch.stop()
    expect(shown(watch.frames)).toEqual([
      ["ADDED", "series", 3],
      ["MODIFIED", "series", 4]
    ])
  })

  it("callers watch their own", async () => {
    await stored("series", 4)
    const version = await versionOf()
    const [tenant, namespace] = [
      api.watch("tenant-a", `${all}?watch=true&resourceVersion=${version}`),
      api.watch("team-1-viewer", `${group}/namespaces/team-1/eventrecords?watch=true&resourceVersion=${version}`)
    ]
    await publishEvents(api, [
      { event: podEvent("of-a"), tenant: { type: "Project", name: "a" } },
      { event: podEvent("of-A"), tenant: { type: "Project", name: "A" } },
      { event: podEvent("elsewhere"), cluster: "elsewhere" },
      { event: podEvent("team-2", { metadata: { namespace: "team-2" } }) },
      { event: podEvent("own") },
      { event: podEvent("of-a-last"), tenant: { type: "Project", name: "a" } }
    ])
    await eventually("their own", () => tenant.frames.length >= 2 && namespace.frames.length >= 1)
    tenant.stop()
    namespace.stop()
    expect(shown(tenant.frames).map(([, name]) => name)).toEqual(["of-a", "of-a-last"])
    expect(shown(namespace.frames).map(([, name]) => name)).toEqual(["own"])
    expect((await api.watch("nobody", `${all}?watch=true`).ended).status).toBe(403)
  })

  it("messages without a key in their headers, as earlier exporters wrote them, are known by their bodies", async () => {
    const watch = await follow()
    await publishEvents(api, [sight("old", 3), sight("old", 2), sight("old", 5)], { keys: false })
    await eventually("the newest", () => live(watch, "old").length === 2)
    watch.stop()
    expect(shown(live(watch, "old")).map(([, , count]) => count)).toEqual([3, 5])
  })
})
