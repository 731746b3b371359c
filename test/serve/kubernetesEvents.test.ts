import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { JsonObject } from "../../src/domain/AuditRecord.ts"
import { eventually } from "../support/eventually.ts"
import { type EventsVersion, watchFrames } from "../support/recordedData.ts"
import { type Api, startApi } from "./apiFixture.ts"
import { podEvent, publishEvents } from "./eventMessages.ts"

const base: Readonly<Record<EventsVersion, string>> = { v1: "/api/v1", "events.k8s.io/v1": "/apis/events.k8s.io/v1" }
const versions: ReadonlyArray<EventsVersion> = ["v1", "events.k8s.io/v1"]
const since = "start=2026-11-20T00:00:00Z"

/** The last sight of each Event, as kube-apiserver wrote it in a version. */
const recorded = (version: EventsVersion): ReadonlyMap<string, object> =>
  new Map(
    watchFrames(version)
      .filter(({ type }) => type !== "DELETED")
      .map(({ object }) => {
        const { managedFields: _, resourceVersion: __, ...metadata } = Object(object.metadata)
        return [object.metadata.uid, { ...object, metadata }]
      })
  )

const ofAggregatedDiscovery = {
  headers: { accept: "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json" }
}

describe("Kubernetes Events, in Kubernetes' own API versions", () => {
  let api: Api
  const json = async (path: string) => (await api.request("admin", path)).json()

  beforeAll(async () => {
    api = await startApi()
    // In turns from the two versions, in which an exporter may have read them.
    const frames = versions.map((version) => watchFrames(version).filter(({ type }) => type !== "DELETED"))
    await publishEvents(
      api,
      (frames[0] ?? []).map((one, index) => {
        const { object, type } = index % 2 === 0 ? one : (frames[1]?.[index] ?? one)
        // What was parsed from JSON is JSON.
        return { event: object as unknown as JsonObject, mark: type === "ADDED" ? "added" : "modified" } as const
      })
    )
    await publishEvents(api, [
      {
        event: podEvent("series", {
          series: { count: 7, lastObservedTime: "2026-11-21T10:00:00.123456Z" },
          related: { kind: "Node", name: "node-1" },
          action: "Pulling"
        })
      }
    ])
    await eventually("all are stored", async () => (await json(`/api/v1/events?${since}`)).items.length === 667)
  })
  afterAll(() => api[Symbol.asyncDispose]())

  it.each(versions)("%s: each Event of a real cluster as that cluster's API server gave it", async (version) => {
    const list = await json(`${base[version]}/events?${since}`)
    expect([list.kind, list.apiVersion]).toEqual(["EventList", version])
    const expected = recorded(version)
    const found = list.items.filter((one: { metadata: { uid: string } }) => expected.has(one.metadata.uid))
    expect(found.length).toBe(expected.size)
    for (const { metadata, ...event } of found) {
      const { resourceVersion, ...rest } = metadata
      expect(resourceVersion).toMatch(/^[1-9]\d+$/)
      expect({ ...event, metadata: rest }).toEqual(expected.get(metadata.uid))
    }
  })

  it("a series is given in both", async () => {
    const own = "namespaces/team-1/events/series"
    const core = await json(`/api/v1/${own}`)
    const event = await json(`/apis/events.k8s.io/v1/${own}`)
    const series = { count: 7, lastObservedTime: "2026-11-21T10:00:00.123456Z" }
    expect(core).toMatchObject({
      apiVersion: "v1",
      kind: "Event",
      series,
      action: "Pulling",
      involvedObject: { kind: "Pod", name: "web" },
      related: { kind: "Node", name: "node-1" },
      reportingComponent: "kubelet",
      message: "Successfully pulled image for series"
    })
    expect(event).toMatchObject({ apiVersion: "events.k8s.io/v1", series, action: "Pulling", note: core.message })
    expect(core.metadata).toEqual(event.metadata)
  })

  it("what kubectl describe asks for is found", async () => {
    const selector =
      "involvedObject.uid=pod-1,involvedObject.name=web,involvedObject.namespace=team-1,involvedObject.kind=Pod"
    const list = await json(`/api/v1/namespaces/team-1/events?fieldSelector=${encodeURIComponent(selector)}&limit=500`)
    expect(list.items.map((one: { metadata: { name: string } }) => one.metadata.name)).toEqual(["series"])
    // kubectl prints warnings; of a pod without Events there is nothing to warn of.
    const none = await api.request("admin", "/api/v1/namespaces/nowhere/events")
    expect([none.json().items, none.headers["warning"]]).toEqual([[], undefined])
    const refused = await api.request("admin", "/api/v1/events?fieldSelector=spec.nodeName%3Da")
    expect([refused.status, refused.json().message]).toEqual([
      400,
      expect.stringContaining("field label not supported: spec.nodeName")
    ])
  })

  it.each(versions)("%s is watched", async (version) => {
    const { resourceVersion } = (await json(`${base[version]}/events`)).metadata
    const watch = api.watch(
      "admin",
      `${base[version]}/namespaces/team-1/events?watch=true&resourceVersion=${resourceVersion}`
    )
    await publishEvents(api, [{ event: podEvent(`live-${version.length}`) }])
    await eventually("it comes", () => watch.frames.some(({ object }) => object.metadata.name.startsWith("live")))
    watch.stop()
    const [frame] = watch.frames
    expect([frame?.type, frame?.object.apiVersion, frame?.object.kind]).toEqual(["ADDED", version, "Event"])
  })

  it("refusals are worded as those of the core group", async () => {
    const missing = await api.request("admin", "/api/v1/namespaces/team-1/events/none")
    expect([missing.status, missing.json().message]).toEqual([404, 'events "none" not found'])
    const forbidden = await api.request("viewer", "/api/v1/namespaces/team-1/events")
    expect([forbidden.status, forbidden.json().message]).toEqual([
      403,
      'events is forbidden: User "viewer" cannot list resource "events" in API group "" in the namespace "team-1"'
    ])
    expect((await api.request("master", "/api/v1/namespaces/team-1/pods")).status).toBe(404)
    expect((await api.request("master", "/apis/events.k8s.io/v1/namespaces/team-1/pods")).status).toBe(404)
  })

  it("OpenAPI tells kubectl how they are written: with validation here, and strategic merge", async () => {
    const { paths } = await json("/openapi/v3")
    expect(Object.keys(paths)).toEqual(expect.arrayContaining(["api/v1", "apis/events.k8s.io/v1"]))
    for (const [path, group, field] of [
      ["api/v1", "", "involvedObject"],
      ["apis/events.k8s.io/v1", "events.k8s.io", "regarding"]
    ] as const) {
      const document = await json(paths[path].serverRelativeURL)
      const { patch } = document.paths[`/${path}/namespaces/{namespace}/events/{name}`]
      expect(patch["x-kubernetes-group-version-kind"]).toEqual({ group, version: "v1", kind: "Event" })
      expect(patch.parameters.map(({ name }: { name: string }) => name)).toContain("fieldValidation")
      expect(Object.keys(patch.requestBody.content)).toContain("application/strategic-merge-patch+json")
      expect(document.paths[`/${path}/events`].post).toBeUndefined()
      const schemas = Object.values<{ properties?: object }>(document.components.schemas)
      expect(schemas.some(({ properties }) => properties !== undefined && field in properties)).toBe(true)
    }
    // A kube-apiserver, which merges version 2 with its own, has Events itself.
    expect(Object.keys((await json("/openapi/v2")).paths).filter((path) => path.endsWith("/events"))).toEqual([])
  })

  it("discovery tells of Events and of nothing else that a cluster has", async () => {
    expect((await json("/api")).versions).toEqual(["v1"])
    expect((await json("/apis")).groups.map(({ name }: { name: string }) => name)).toEqual([
      "activity.miloapis.com",
      "events.k8s.io"
    ])
    for (const path of ["/api/v1", "/apis/events.k8s.io/v1"]) {
      const { resources } = await json(path)
      expect(resources.map(({ name, verbs }: { name: string; verbs: ReadonlyArray<string> }) => [name, verbs])).toEqual(
        [["events", ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]]]
      )
    }
    const aggregated = (await api.request("admin", "/api", ofAggregatedDiscovery)).json()
    expect(aggregated.items[0].versions[0].resources[0]).toMatchObject({
      resource: "events",
      responseKind: { group: "", version: "v1", kind: "Event" }
    })
  })
})
