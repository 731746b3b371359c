import { jetstreamManager } from "@nats-io/jetstream"
import { connect } from "@nats-io/transport-node"
import { Effect } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { JsonObject } from "../../src/domain/AuditRecord.ts"
import { auditEvents, miloEvents } from "../../src/domain/streams.ts"
import { insertRows } from "../../src/store/insertRows.ts"
import { connectBus } from "../support/bus.ts"
import { eventually } from "../support/eventually.ts"
import { eventRow } from "../support/factRows.ts"
import { type Api, defaultTenant, startApi, type UserName } from "./apiFixture.ts"
import { podEvent, publishEvents } from "./eventMessages.ts"

const core = "/api/v1/namespaces/team-1/events"
const newer = "/apis/events.k8s.io/v1/namespaces/team-1/events"

/** As an older reporter has them: the kubelet, before it was moved to events.k8s.io/v1. */
const coreEvent = (name: string, more: JsonObject = {}): JsonObject => ({
  apiVersion: "v1",
  kind: "Event",
  metadata: { name, namespace: "team-1" },
  involvedObject: { kind: "Pod", namespace: "team-1", name: "web", uid: "pod-1", apiVersion: "v1" },
  reason: "BackOff",
  message: "Back-off restarting failed container",
  source: { component: "kubelet", host: "node-1" },
  firstTimestamp: "2026-11-21T10:00:00Z",
  lastTimestamp: "2026-11-21T10:00:00Z",
  count: 1,
  type: "Warning",
  ...more
})

const newEvent = (name: string, more: JsonObject = {}): JsonObject => ({
  apiVersion: "events.k8s.io/v1",
  kind: "Event",
  metadata: { name, namespace: "team-1" },
  eventTime: "2026-11-21T10:00:00.123456Z",
  reportingController: "example.com/controller",
  reportingInstance: "controller-1",
  action: "Pulling",
  reason: "Pulling",
  regarding: { kind: "Pod", namespace: "team-1", name: "web", uid: "pod-1", apiVersion: "v1" },
  related: { kind: "Node", name: "node-1" },
  note: "Pulling the image",
  type: "Normal",
  ...more
})

const patchTypes = {
  json: "application/json-patch+json",
  merge: "application/merge-patch+json",
  strategic: "application/strategic-merge-patch+json"
}

describe("writes of Kubernetes Events", () => {
  let api: Api
  let another: Awaited<ReturnType<Api["startAnother"]>>
  const sending = (request: Api["request"], user: UserName) => ({
    get: (path: string) => request(user, path),
    create: (path: string, body: unknown) => request(user, path, { method: "POST", body: JSON.stringify(body) }),
    replace: (path: string, body: unknown) => request(user, path, { method: "PUT", body: JSON.stringify(body) }),
    patch: (path: string, body: unknown, type: keyof typeof patchTypes = "merge") =>
      request(user, path, {
        method: "PATCH",
        body: JSON.stringify(body),
        headers: { "content-type": patchTypes[type] }
      }),
    delete: (path: string, options?: unknown) =>
      request(user, path, {
        method: "DELETE",
        ...(options === undefined
          ? {}
          : { body: JSON.stringify(options), headers: { "content-type": "application/json" } })
      })
  })
  let master: ReturnType<typeof sending>
  let elsewhere: ReturnType<typeof sending>

  beforeAll(async () => {
    api = await startApi()
    another = await api.startAnother()
    master = sending(api.request, "master")
    elsewhere = sending(another.request, "master")
  })
  afterAll(async () => {
    await another?.[Symbol.asyncDispose]()
    await api[Symbol.asyncDispose]()
  })

  it("a created Event has what kube-apiserver fills in, and is read at once, from every server", async () => {
    const before = Date.now()
    const created = await master.create(core, coreEvent("created"))
    expect(created.status).toBe(201)
    const { metadata, ...event } = created.json()
    expect(metadata).toMatchObject({ name: "created", namespace: "team-1" })
    expect(metadata.uid).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
    expect(metadata.resourceVersion).toMatch(/^[1-9]\d+$/)
    expect(Date.parse(metadata.creationTimestamp)).toBeGreaterThanOrEqual(before - 1_000)
    expect(event).toEqual({
      ...Object.fromEntries(Object.entries(coreEvent("created")).filter(([name]) => name !== "metadata")),
      eventTime: null,
      reportingComponent: "kubelet",
      reportingInstance: "node-1"
    })
    for (const server of [elsewhere, master]) {
      expect((await server.get(`${core}/created`)).json()).toEqual(created.json())
      const { items } = (await server.get(`${core}?fieldSelector=metadata.name=created&start=now-7d`)).json()
      expect(items.map((one: { metadata: object }) => one.metadata)).toEqual([metadata])
    }
    await eventually("it is stored", async () => {
      const row = (await master.get(`${core}?resourceVersion=${metadata.resourceVersion}&start=now-7d`)).json()
      return row.items?.length > 0
    })
    expect((await elsewhere.get(`${core}/created`)).json()).toEqual(created.json())
  })

  it("both versions give one Event, its series intact", async () => {
    const series = { count: 7, lastObservedTime: "2026-11-21T10:05:00.654321Z" }
    const created = await master.create(newer, newEvent("both", { series }))
    expect([created.status, created.json().series]).toEqual([201, series])
    const asCore = (await master.get(`${core}/both`)).json()
    expect(asCore).toMatchObject({
      apiVersion: "v1",
      series,
      eventTime: "2026-11-21T10:00:00.123456Z",
      action: "Pulling",
      message: "Pulling the image",
      reportingComponent: "example.com/controller",
      reportingInstance: "controller-1",
      involvedObject: { name: "web" },
      related: { kind: "Node", name: "node-1" },
      source: {},
      firstTimestamp: null,
      lastTimestamp: null
    })
    const next = { count: 8, lastObservedTime: "2026-11-21T10:06:00.000000Z" }
    const replaced = await elsewhere.replace(`${core}/both`, { ...asCore, series: next })
    expect([replaced.status, replaced.json().series]).toEqual([200, next])
    expect((await master.get(`${newer}/both`)).json()).toEqual({
      ...created.json(),
      series: next,
      metadata: { ...created.json().metadata, resourceVersion: replaced.json().metadata.resourceVersion }
    })
  })

  it("generateName is expanded, and a name is taken once", async () => {
    const { metadata: _, ...rest } = coreEvent("")
    const generated = await master.create(core, { ...rest, metadata: { generateName: "web." } })
    expect([generated.status, generated.json().metadata.name]).toEqual([
      201,
      expect.stringMatching(/^web\.[a-z0-9]{5}$/)
    ])
    expect(generated.json().metadata.generateName).toBe("web.")
    await master.create(core, coreEvent("once"))
    for (const server of [elsewhere, master]) {
      const again = await server.create(core, coreEvent("once"))
      expect([again.status, again.json().reason, again.json().message]).toEqual([
        409,
        "AlreadyExists",
        'events "once" already exists'
      ])
    }
  })

  it("what a path does not allow is refused", async () => {
    const elsewhereNamespace = await master.create(
      core,
      coreEvent("astray", { metadata: { name: "astray", namespace: "other" } })
    )
    expect([elsewhereNamespace.status, elsewhereNamespace.json().message]).toEqual([
      400,
      "the namespace of the provided object does not match the namespace sent on the request"
    ])
    expect((await master.create("/api/v1/events", coreEvent("nowhere"))).status).toBe(405)
    expect(
      (await master.create(core, coreEvent("versioned", { metadata: { name: "versioned", resourceVersion: "1" } })))
        .status
    ).toBe(400)
    const missing = await Promise.all([
      master.replace(`${core}/none`, coreEvent("none")),
      master.patch(`${core}/none`, {}),
      master.delete(`${core}/none`)
    ])
    for (const one of missing) expect([one.status, one.json().message]).toEqual([404, 'events "none" not found'])
    // What asked for it before leaves nothing behind.
    expect((await elsewhere.create(core, coreEvent("none"))).status).toBe(201)
    const named = await master.replace(`${core}/created`, coreEvent("other"))
    expect([named.status, named.json().message]).toEqual([
      400,
      "the name of the object (other) does not match the name on the URL (created)"
    ])
  })

  it("a count beyond 32 bits is refused: with it in a list, clients written in Go could read none of it", async () => {
    const answers = await Promise.all([
      master.create(core, coreEvent("large", { count: 2 ** 31 })),
      master.create(newer, newEvent("large", { series: { count: -(2 ** 31) - 1, lastObservedTime: null } }))
    ])
    expect(answers.map((answer) => [answer.status, answer.json().message])).toEqual([
      [
        400,
        'Event in version "v1" cannot be handled as a Event: count must be a whole number of 32 bits, not 2147483648'
      ],
      [
        400,
        'Event in version "v1" cannot be handled as a Event: series.count must be a whole number of 32 bits, not -2147483649'
      ]
    ])
    expect((await master.create(core, coreEvent("largest", { count: 2 ** 31 - 1 }))).status).toBe(201)
  })

  it("options of a deletion that cannot be read delete nothing", async () => {
    await master.create(core, coreEvent("kept"))
    for (const options of [{ preconditions: { uid: 5 } }, { preconditions: "uid" }, { dryRun: "All" }]) {
      expect((await master.delete(`${core}/kept`, options)).status).toBe(400)
    }
    expect((await master.get(`${core}/kept`)).status).toBe(200)
  })

  /** Field and reason of each cause, as kube-apiserver 1.34 answers. */
  const causes = (answer: { readonly json: () => ReturnType<typeof JSON.parse> }) =>
    answer
      .json()
      .details?.causes?.map(({ field, message }: { field: string; message: string }) => `${field}: ${message}`)

  it("an Event of events.k8s.io/v1 must say everything, and nothing of the old fields", async () => {
    const answer = await master.create(newer, {
      ...newEvent("Strict"),
      eventTime: null,
      type: "Odd",
      series: { count: 1 },
      deprecatedCount: 3,
      deprecatedSource: { component: "x" },
      deprecatedFirstTimestamp: "2026-11-21T10:00:00Z"
    })
    expect(answer.status).toBe(422)
    expect(causes(answer)).toEqual([
      expect.stringContaining("metadata.name: Invalid value"),
      'series.count: Invalid value: "": should be at least 2',
      "series.lastObservedTime: Required value",
      "eventTime: Required value",
      'type: Invalid value: "": has invalid value: Odd',
      'firstTimestamp: Invalid value: "": needs to be unset',
      'count: Invalid value: "": needs to be unset',
      'source: Invalid value: "": needs to be unset'
    ])
    const bare = await master.create(newer, {
      apiVersion: "events.k8s.io/v1",
      kind: "Event",
      metadata: { name: "bare" },
      eventTime: "2026-11-21T10:00:00.000000Z",
      type: "Normal",
      note: "x".repeat(1025),
      reason: "r".repeat(129)
    })
    expect(causes(bare)).toEqual([
      'involvedObject.namespace: Invalid value: "": does not match event.namespace',
      "reportingController: Required value",
      expect.stringContaining('reportingController: Invalid value: ""'),
      "reportingInstance: Required value",
      "action: Required value",
      'reason: Invalid value: "": can have at most 128 characters',
      'message: Invalid value: "": can have at most 1024 characters'
    ])
    const astray = await master.create(
      core,
      coreEvent("astray", { involvedObject: { kind: "Pod", namespace: "other", name: "a" } })
    )
    expect(causes(astray)).toEqual(['involvedObject.namespace: Invalid value: "other": does not match event.namespace'])
    const odd = await master.create(core, coreEvent("odd", { firstTimestamp: "yesterday" }))
    expect([odd.status, odd.json().message]).toEqual([400, expect.stringContaining('"yesterday" is no time')])
    const unknown = await master.create(`${core}?fieldValidation=Strict`, coreEvent("odd", { colour: "red" }))
    expect([unknown.status, unknown.json().message]).toEqual([400, expect.stringContaining('unknown field "colour"')])
  })

  it("of a new Event only the series goes on; of an old one its count, times and message too", async () => {
    await master.create(newer, newEvent("lasting"))
    const refused = await master.patch(`${newer}/lasting`, { note: "other", reason: "Other", series: { count: 1 } })
    expect([refused.status, causes(refused)]).toEqual([
      422,
      [
        'series.count: Invalid value: "": should be at least 2',
        "series.lastObservedTime: Required value",
        'reason: Invalid value: "Other": field is immutable',
        'message: Invalid value: "other": field is immutable'
      ]
    ])
    await master.create(core, coreEvent("going-on"))
    const patched = await master.patch(
      `${core}/going-on`,
      { count: 2, lastTimestamp: "2026-11-21T10:01:00Z", message: "again" },
      "strategic"
    )
    expect([patched.status, patched.json().count, patched.json().lastTimestamp, patched.json().message]).toEqual([
      200,
      2,
      "2026-11-21T10:01:00Z",
      "again"
    ])
    expect((await master.patch(`${core}/going-on`, { reason: "Other" })).status).toBe(422)
  })

  it("the three kinds of patches are applied, others refused", async () => {
    const { metadata } = (
      await master.create(core, coreEvent("patched", { metadata: { name: "patched", labels: { a: "1", b: "2" } } }))
    ).json()
    const byJson = await master.patch(
      `${core}/patched`,
      [
        { op: "test", path: "/metadata/labels/a", value: "1" },
        { op: "replace", path: "/count", value: 5 }
      ],
      "json"
    )
    expect([byJson.status, byJson.json().count]).toEqual([200, 5])
    const byMerge = await master.patch(`${core}/patched`, { metadata: { labels: { a: null, c: "3" } } })
    expect(byMerge.json().metadata.labels).toEqual({ b: "2", c: "3" })
    const byStrategy = await master.patch(
      `${core}/patched`,
      { metadata: { labels: { $patch: "replace", d: "4" } }, count: 6 },
      "strategic"
    )
    expect([byStrategy.json().metadata.labels, byStrategy.json().count]).toEqual([{ d: "4" }, 6])
    expect(byStrategy.json().metadata.uid).toBe(metadata.uid)
    const failed = await master.patch(`${core}/patched`, [{ op: "test", path: "/count", value: 1 }], "json")
    expect(failed.status).toBe(422)
    const applied = await api.request("master", `${core}/patched`, {
      method: "PATCH",
      body: JSON.stringify(coreEvent("patched")),
      headers: { "content-type": "application/apply-patch+yaml" }
    })
    expect(applied.status).toBe(415)
  })

  it("a stale resourceVersion is a conflict, a write that changes nothing none", async () => {
    const created = (await master.create(core, coreEvent("versions"))).json()
    const first = (await elsewhere.patch(`${core}/versions`, { count: 2 })).json()
    expect(BigInt(first.metadata.resourceVersion)).toBeGreaterThan(BigInt(created.metadata.resourceVersion))
    for (const answer of [
      await master.replace(`${core}/versions`, { ...created, count: 3 }),
      await master.patch(`${core}/versions`, {
        metadata: { resourceVersion: created.metadata.resourceVersion },
        count: 3
      })
    ]) {
      expect([answer.status, answer.json().reason, answer.json().message]).toEqual([
        409,
        "Conflict",
        'Operation cannot be fulfilled on events "versions": the object has been modified; please apply your changes to the latest version and try again'
      ])
    }
    const otherUid = await master.replace(`${core}/versions`, {
      ...coreEvent("versions"),
      metadata: { name: "versions", uid: "other" }
    })
    expect(otherUid.status).toBe(409)
    const same = await master.replace(`${core}/versions`, first)
    expect([same.status, same.json()]).toEqual([200, first])
    // Without one it is not asked what its writer has read.
    const unconditional = await master.replace(`${core}/versions`, coreEvent("versions", { count: 9 }))
    expect([unconditional.status, unconditional.json().count]).toEqual([200, 9])
    expect((await elsewhere.delete(`${core}/versions`, { preconditions: { uid: "other" } })).status).toBe(409)
    expect(
      (
        await elsewhere.delete(`${core}/versions`, {
          preconditions: { resourceVersion: created.metadata.resourceVersion }
        })
      ).status
    ).toBe(409)
    expect((await elsewhere.get(`${core}/versions`)).json().count).toBe(9)
  })

  it("of many who create one Event one does, and of many who replace it one", async () => {
    const servers = [master, elsewhere]
    const racing = Array.from({ length: 12 }, (_, index) => servers[index % 2] ?? master)
    const created = await Promise.all(
      racing.map((server, index) => server.create(core, coreEvent("raced", { message: `by ${index}` })))
    )
    expect(created.map(({ status }) => status).toSorted()).toEqual([201, ...Array(11).fill(409)])
    const winner = created.find(({ status }) => status === 201)?.json()
    expect((await elsewhere.get(`${core}/raced`)).json()).toEqual(winner)
    const replaced = await Promise.all(
      racing.map((server, index) => server.replace(`${core}/raced`, { ...winner, count: index + 2 }))
    )
    expect(replaced.map(({ status }) => status).toSorted()).toEqual([200, ...Array(11).fill(409)])
    const last = replaced.find(({ status }) => status === 200)?.json()
    for (const server of servers) expect((await server.get(`${core}/raced`)).json()).toEqual(last)
  })

  it("counting up from two servers at once loses no step", async () => {
    await master.create(core, coreEvent("counted", { count: 0 }))
    const step = async (server: typeof master): Promise<void> => {
      for (;;) {
        const event = (await server.get(`${core}/counted`)).json()
        const answer = await server.replace(`${core}/counted`, { ...event, count: (event.count ?? 0) + 1 })
        if (answer.status === 200) return
        expect(answer.status).toBe(409)
      }
    }
    const worker = async (server: typeof master) => {
      for (let steps = 0; steps < 8; steps++) await step(server)
    }
    await Promise.all([worker(master), worker(elsewhere), worker(master)])
    expect((await elsewhere.get(`${core}/counted`)).json().count).toBe(24)
  })

  it("a deleted Event is gone at once and everywhere, and its name free", async () => {
    const first = (await master.create(core, coreEvent("deleted"))).json()
    const gone = await elsewhere.delete(`${core}/deleted`)
    expect([gone.status, gone.json()]).toEqual([
      200,
      {
        kind: "Status",
        apiVersion: "v1",
        metadata: {},
        status: "Success",
        details: { name: "deleted", kind: "events", uid: first.metadata.uid }
      }
    ])
    for (const server of [master, elsewhere]) {
      expect((await server.get(`${core}/deleted`)).status).toBe(404)
      expect((await server.get(`${core}?fieldSelector=metadata.name=deleted&start=now-7d`)).json().items).toEqual([])
      expect((await server.delete(`${core}/deleted`)).status).toBe(404)
    }
    const second = await master.create(core, coreEvent("deleted"))
    expect([second.status, second.json().metadata.uid === first.metadata.uid]).toEqual([201, false])
    const { resourceVersion } = second.json().metadata
    const stored = `${core}?fieldSelector=metadata.name=deleted&start=now-7d&resourceVersion=${resourceVersion}`
    const uids = (body: ReturnType<typeof JSON.parse>) =>
      body.items?.map((one: { metadata: { uid: string } }) => one.metadata.uid)
    // Also when the store has all of it.
    await eventually("the store has it", async () => (await master.get(stored)).status === 200)
    expect(uids((await master.get(stored)).json())).toEqual([second.json().metadata.uid])
  })

  it("finalizers hold an Event until they are taken off", async () => {
    await master.create(core, coreEvent("held", { metadata: { name: "held", finalizers: ["example.com/hold"] } }))
    const marked = await master.delete(`${core}/held`)
    expect([marked.status, marked.json().metadata.deletionTimestamp]).toEqual([200, expect.stringMatching(/Z$/)])
    expect((await elsewhere.get(`${core}/held`)).status).toBe(200)
    expect((await master.patch(`${core}/held`, { metadata: { finalizers: null } })).status).toBe(200)
    expect((await elsewhere.get(`${core}/held`)).status).toBe(404)
  })

  it("a dry run changes nothing", async () => {
    const created = await master.create(`${core}?dryRun=All`, coreEvent("tried"))
    expect(created.status).toBe(201)
    expect((await master.get(`${core}/tried`)).status).toBe(404)
    const real = (await master.create(core, coreEvent("tried"))).json()
    expect((await master.patch(`${core}/tried?dryRun=All`, { count: 7 })).json().count).toBe(7)
    expect((await master.delete(`${core}/tried?dryRun=All`)).status).toBe(200)
    expect((await elsewhere.get(`${core}/tried`)).json()).toEqual(real)
  })

  it.each([core, newer])("a watch of %s is told what is written, with the versions of the answers", async (path) => {
    const name = `watched-${path.length}`
    const { resourceVersion } = (await master.get(`${path}?limit=1`)).json().metadata
    const watch = api.watch(
      "master",
      `${path}?watch=true&resourceVersion=${resourceVersion}&fieldSelector=metadata.name=${name}`
    )
    const versions = [
      (await elsewhere.create(core, coreEvent(name))).json(),
      (await master.patch(`${core}/${name}`, { count: 2 }, "strategic")).json()
    ].map(({ metadata }) => metadata.resourceVersion)
    await elsewhere.delete(`${core}/${name}`)
    await eventually("all of it has come", () => watch.frames.length === 3)
    watch.stop()
    expect(watch.frames.map(({ type }) => type)).toEqual(["ADDED", "MODIFIED", "DELETED"])
    expect(watch.frames.slice(0, 2).map(({ object }) => object.metadata.resourceVersion)).toEqual(versions)
    expect(BigInt(watch.frames[2]?.object.metadata.resourceVersion)).toBeGreaterThan(BigInt(versions[1]))
  })

  it("an Event that an exporter told is changed and deleted here; what its cluster tells next counts", async () => {
    const told = podEvent("told", {
      action: "Pulling",
      series: { count: 2, lastObservedTime: "2026-11-21T10:00:00.000000Z" }
    })
    const [sequence] = await publishEvents(api, [{ event: told }])
    await eventually("it is there", async () => (await master.get(`${newer}/told`)).status === 200)
    const read = (await master.get(`${newer}/told`)).json()
    expect(read.metadata.resourceVersion).toBe(String(sequence))
    const labelled = await master.patch(`${newer}/told`, { metadata: { labels: { seen: "yes" } } })
    expect([labelled.status, labelled.json().metadata.uid]).toEqual([200, "uid-told"])
    expect((await elsewhere.get(`${core}/told`)).json().metadata.labels).toEqual({ seen: "yes" })
    const next = { ...told, series: { count: 3, lastObservedTime: "2026-11-21T10:01:00.000000Z" } }
    const later = (resourceVersion: string) => ({
      event: { ...next, metadata: { ...Object(told["metadata"]), resourceVersion } }
    })
    await publishEvents(api, [{ ...later("101"), mark: "modified" }])
    await eventually(
      "its cluster's word counts",
      async () => (await elsewhere.get(`${newer}/told`)).json().series.count === 3
    )
    expect((await master.delete(`${newer}/told`)).status).toBe(200)
    expect((await elsewhere.get(`${newer}/told`)).status).toBe(404)
    await publishEvents(api, [{ ...later("102"), mark: "modified" }])
    await eventually("its cluster has it still", async () => (await elsewhere.get(`${newer}/told`)).status === 200)
  })

  it("a tenant's Events are its own, to read, to change and to delete", async () => {
    const one = sending(api.request, "tenant-a.b")
    const other = sending(another.request, "tenant-a_b")
    const created = await one.create(core, coreEvent("mine", { message: "of a.b" }))
    expect(created.status).toBe(201)
    expect((await other.get(`${core}/mine`)).status).toBe(404)
    expect((await other.patch(`${core}/mine`, { count: 2 })).status).toBe(404)
    expect((await other.replace(`${core}/mine`, coreEvent("mine"))).status).toBe(404)
    expect((await other.delete(`${core}/mine`)).status).toBe(404)
    expect((await master.get(`${core}/mine`)).status).toBe(404)
    // The same name is another Event of another tenant.
    const theirs = await other.create(core, coreEvent("mine", { message: "of a_b" }))
    expect(theirs.status).toBe(201)
    expect((await other.delete(`${core}?fieldSelector=metadata.name!=none`)).status).toBe(200)
    expect((await other.get(`${core}/mine`)).status).toBe(404)
    expect((await one.get(`${core}/mine`)).json()).toEqual(created.json())
    const listed = (await one.get("/api/v1/events?start=now-7d")).json().items
    expect(listed.map(({ message }: { message: string }) => message)).toEqual(["of a.b"])
    const person = await sending(api.request, "user-scope").create(core, coreEvent("nobodys"))
    expect([person.status, person.json().message]).toEqual([403, expect.stringContaining("not to a person")])
    expect((await sending(api.request, "admin").create(core, coreEvent("unallowed"))).status).toBe(403)
    expect((await sending(api.request, "half-name").create(core, coreEvent("unclear"))).status).toBe(403)
  })

  it("what is selected is deleted together", async () => {
    const labels = { batch: "one" }
    for (const name of ["many-1", "many-2", "many-3"])
      await master.create(core, coreEvent(name, { metadata: { name, labels } }))
    await master.create(core, coreEvent("many-4"))
    const gone = await elsewhere.delete(`${core}?labelSelector=batch%3Done`)
    expect([
      gone.status,
      gone
        .json()
        .items.map((one: { metadata: { name: string } }) => one.metadata.name)
        .toSorted()
    ]).toEqual([200, ["many-1", "many-2", "many-3"]])
    const { items } = (await master.get(`${core}?labelSelector=batch%3Done&start=now-7d`)).json()
    expect(items).toEqual([])
    expect((await master.get(`${core}/many-4`)).status).toBe(200)
  })

  it("pages hold what is written while it is not stored, each once and in order", async () => {
    const names = Array.from({ length: 23 }, (_, index) => `paged-${index}`)
    await Promise.all(
      names.map((name, index) =>
        (index % 2 === 0 ? master : elsewhere).create(
          core,
          coreEvent(name, { metadata: { name, labels: { paged: "yes" } } })
        )
      )
    )
    const found: Array<string> = []
    let next = ""
    do {
      const page = (
        await elsewhere.get(
          `${core}?labelSelector=paged%3Dyes&limit=4&start=now-7d${next === "" ? "" : `&continue=${encodeURIComponent(next)}`}`
        )
      ).json()
      expect(page.items.length).toBeLessThanOrEqual(4)
      found.push(...page.items.map((one: { metadata: { name: string } }) => one.metadata.name))
      next = page.metadata.continue ?? ""
    } while (next !== "")
    expect(found.toSorted()).toEqual(names.toSorted())
    const { resourceVersion } = (await master.create(core, coreEvent("paged-last"))).json().metadata
    await eventually(
      "the store has all",
      async () => (await master.get(`${core}?limit=1&resourceVersion=${resourceVersion}`)).status === 200
    )
    const stored = (await master.get(`${core}?labelSelector=paged%3Dyes&start=now-7d`)).json().items
    expect(stored.map((one: { metadata: { name: string } }) => one.metadata.name)).toEqual(found)
  })

  it("what was trimmed still counts: names are taken, and versions stale", async () => {
    const names = ["trimmed-1", "trimmed-2", "trimmed-3"]
    const created = await Promise.all(names.map((name) => master.create(core, coreEvent(name))))
    const { uid, resourceVersion } = (await elsewhere.patch(`${core}/trimmed-1`, { count: 2 })).json().metadata
    await eventually(
      "the store has all",
      async () => (await master.get(`${core}?limit=1&resourceVersion=${resourceVersion}`)).status === 200
    )
    const connection = await connect({ servers: [api.nats.url] })
    await (await jetstreamManager(connection)).streams.purge(miloEvents.name)
    await connection.close()
    for (const server of [master, elsewhere]) {
      expect((await server.create(core, coreEvent("trimmed-1"))).status).toBe(409)
      expect((await server.replace(`${core}/trimmed-1`, created[0]?.json())).status).toBe(409)
    }
    const races = await Promise.all(
      [master, elsewhere, master, elsewhere].map((server, index) =>
        server.patch(`${core}/trimmed-1`, { metadata: { resourceVersion }, count: 10 + index })
      )
    )
    expect(races.map(({ status }) => status).toSorted()).toEqual([200, 409, 409, 409])
    expect((await elsewhere.get(`${core}/trimmed-1`)).json().metadata.uid).toBe(uid)
    expect((await elsewhere.delete(`${core}/trimmed-2`)).status).toBe(200)
    expect((await master.create(core, coreEvent("trimmed-2"))).status).toBe(201)
  })

  it("nothing of it is a dead letter", async () => {
    const { resourceVersion } = (await master.create(core, coreEvent("last"))).json().metadata
    await eventually(
      "the store has all",
      async () => (await master.get(`${core}?limit=1&resourceVersion=${resourceVersion}`)).status === 200
    )
    expect((await master.get("/apis/activity.miloapis.com/v1/deadletters")).json().items).toEqual([])
  })
})

describe("a collection of Kubernetes Events", () => {
  it("is deleted page by page, whole; so many of them are in the answer", { timeout: 120_000 }, async () => {
    await using api = await startApi()
    const tenant = defaultTenant
    const created = new Date(Date.now() - 60_000).toISOString().replace("Z", "000Z")
    const rows = Array.from({ length: 505 }, (_, index) =>
      eventRow({ uid: `crowded-${index}`, created, tenant, namespace: "crowded" })
    )
    const others = [eventRow({ uid: "other", created, tenant, namespace: "team-1" })]
    for (const some of [rows, others]) {
      await api.run(insertRows({ table: "k8s_events", rows: some, onPoison: (_, refused) => Effect.die(refused) }))
    }
    const answer = await api.request("master", "/api/v1/namespaces/crowded/events", { method: "DELETE" })
    expect(answer.status).toBe(200)
    const { items, metadata } = answer.json()
    expect([items.length, metadata.remainingItemCount]).toEqual([500, 5])
    for (const [namespace, left] of [
      ["crowded", 0],
      ["team-1", 1]
    ]) {
      const path = `/api/v1/namespaces/${namespace}/events?start=now-7d`
      expect((await api.request("master", path)).json().items).toHaveLength(Number(left))
    }
  })
})

describe("a collection of Kubernetes Events that others write, too", () => {
  it("is deleted once by two at the same time, whatever is changed meanwhile", { timeout: 120_000 }, async () => {
    await using api = await startApi()
    await using another = await api.startAnother()
    const path = "/api/v1/namespaces/team-1/events"
    const names = Array.from({ length: 60 }, (_, index) => `contested-${index}`)
    const send = (method: string, to: string, body?: unknown) =>
      api.request("master", to, {
        method,
        ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": patchTypes.merge } })
      })
    const created = await Promise.all(
      names.map((name) => api.request("master", path, { method: "POST", body: JSON.stringify(coreEvent(name)) }))
    )
    expect(new Set(created.map(({ status }) => status))).toEqual(new Set([201]))
    const [one, other, ...patched] = await Promise.all([
      send("DELETE", path),
      another.request("master", path, { method: "DELETE" }),
      ...names.map((name) => send("PATCH", `${path}/${name}`, { count: 7 }))
    ])
    expect([one.status, other.status]).toEqual([200, 200])
    for (const { status } of patched) expect([200, 404, 409]).toContain(status)
    expect((await api.request("master", path)).json().items).toEqual([])
    const gone = [one, other].flatMap((answer) =>
      answer.json().items.map((item: { metadata: { name: string } }) => item.metadata.name)
    )
    expect(gone.toSorted()).toEqual(names.toSorted())
    await using bus = connectBus(api.nats.url)
    const deletions = (await bus.messages(miloEvents.name)).filter(
      (message) => message.header("Activity-Mark") === "deleted"
    )
    expect(deletions).toHaveLength(names.length)
  })
})

describe("writes of Kubernetes Events while nobody stores them", () => {
  it("are read from every server, one that is started later too", async () => {
    await using api = await startApi({ writer: false, recordedRequests: "direct" })
    const send = (method: string, path: string, body?: object) =>
      api.request("master", path, {
        method,
        ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": patchTypes.merge } })
      })
    const create = (name: string) =>
      api.request("master", core, { method: "POST", body: JSON.stringify(coreEvent(name)) })
    await create("kept")
    await create("changed")
    await create("gone")
    const changed = (await send("PATCH", `${core}/changed`, { count: 2 })).json()
    await send("DELETE", `${core}/gone`)
    const namesOf = async (request: Api["request"]) =>
      (await request("master", `${core}?start=now-7d`))
        .json()
        .items.map((one: { metadata: { name: string } }) => one.metadata.name)
        .toSorted()
    expect(await namesOf(api.request)).toEqual(["changed", "kept"])
    await using another = await api.startAnother()
    await api.stopServer()
    await api.startServer()
    for (const request of [api.request, another.request]) {
      expect(await namesOf(request)).toEqual(["changed", "kept"])
      expect((await request("master", `${core}/changed`)).json()).toEqual(changed)
      expect((await request("master", core, { method: "POST", body: JSON.stringify(coreEvent("kept")) })).status).toBe(
        409
      )
      expect((await request("master", `${core}/gone`)).status).toBe(404)
    }
    // Each write has left its record.
    await using bus = connectBus(api.nats.url)
    const told = (await bus.messages(auditEvents.name)).map(({ body }) => JSON.parse(Buffer.from(body).toString()))
    const changes = told.filter(
      ({ objectRef, verb }) => objectRef.resource === "events" && verb !== "get" && verb !== "list"
    )
    expect(
      changes.map(({ objectRef, responseStatus, verb }) => `${verb} ${objectRef.name ?? ""} ${responseStatus.code}`)
    ).toEqual(expect.arrayContaining(["create  201", "create  409", "patch changed 200", "delete gone 200"]))
    expect(changes.find(({ verb }) => verb === "patch")).toMatchObject({ requestObject: { count: 2 } })
  })
})
