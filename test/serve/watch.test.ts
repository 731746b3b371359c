import { Effect, Schedule } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { ClickHouse } from "../../src/clients/clickhouse/ClickHouse.ts"
import { Nats } from "../../src/clients/nats/Nats.ts"
import { eventually } from "../support/eventually.ts"
import { type Api, type Frame, group, nameOf, startApi } from "./apiFixture.ts"

const all = `${group}/activities`
const ids = (frames: ReadonlyArray<Frame>) =>
  frames.filter((frame) => frame.type !== "BOOKMARK").map((frame) => frame.object.spec.origin.id)
const named = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, index) => ({ id: `${prefix}-${index}`, namespace: prefix }))

describe("watching activities", () => {
  let api: Api
  const listVersion = async (path = all): Promise<string> =>
    (await api.request("admin", path)).json().metadata.resourceVersion

  beforeAll(async () => {
    api = await startApi()
  })
  afterAll(() => api[Symbol.asyncDispose]())

  it("a watch from a list's resourceVersion has everything that follows, once, in order", async () => {
    await api.publish(named("follow", 10))
    await eventually(
      "the first are stored",
      async () =>
        (await api.request("admin", `${all}?fieldSelector=metadata.namespace%3Dfollow`)).json().items.length === 10
    )
    const listed = (await api.request("admin", `${all}?fieldSelector=metadata.namespace%3Dfollow`)).json()
    const watch = api.watch(
      "admin",
      `${all}?watch=true&fieldSelector=metadata.namespace%3Dfollow&resourceVersion=${listed.metadata.resourceVersion}`
    )
    await api.publish(Array.from({ length: 500 }, (_, index) => ({ id: `later-${index}`, namespace: "follow" })))
    await eventually(
      "all have come",
      () => ids(watch.frames).filter((id: string) => id.startsWith("later")).length === 500
    )
    watch.stop()
    expect(ids(watch.frames).filter((id: string) => id.startsWith("later"))).toEqual(
      Array.from({ length: 500 }, (_, index) => `later-${index}`)
    )
    const versions = watch.frames.map((frame) => Number(frame.object.metadata.resourceVersion))
    expect(versions).toEqual(versions.toSorted((one, other) => one - other))
  })

  it("a watch whose filter takes too long is ended with a sentence, and others go on", async () => {
    const version = await listVersion()
    // 600 steps that all go on at each character: milliseconds for a summary.
    const filter = encodeURIComponent("spec.summary.matches('(.?.?){300}[!?]$')")
    const costly = api.watch("admin", `${all}?watch=true&resourceVersion=${version}&filter=${filter}`)
    const other = api.watch(
      "admin",
      `${all}?watch=true&resourceVersion=${version}&filter=${encodeURIComponent("spec.summary.matches('long$')")}`
    )
    await api.publish(
      Array.from({ length: 200 }, (_, index) => ({ id: `costly-${index}`, summary: `${"x".repeat(400)} long` }))
    )
    await eventually("it has ended", () => costly.frames.at(-1)?.type === "ERROR")
    expect(costly.frames.at(-1)?.object).toMatchObject({
      code: 400,
      message: expect.stringContaining("takes too long")
    })
    expect(costly.frames).toHaveLength(1)
    await eventually("the other has all", () => other.frames.length === 200)
    other.stop()
  })

  it("without a resourceVersion, or with 0, it begins with what there is", async () => {
    for (const version of ["", "&resourceVersion=0"]) {
      const namespace = `initial${version.length}`
      await api.publish(named(namespace, 3))
      const own = `fieldSelector=metadata.namespace%3D${namespace}`
      const watch = api.watch("admin", `${all}?watch=true&${own}${version}`)
      await eventually("the three", () => new Set(ids(watch.frames)).size === 3)
      await api.publish([{ id: `new${version}`, namespace, ageSeconds: 4_000 }])
      await eventually("the new one", () => ids(watch.frames).includes(`new${version}`))
      watch.stop()
      expect(watch.frames.every((frame) => frame.type === "ADDED")).toBe(true)
      const seen = watch.frames.map((frame) => `${frame.object.metadata.name} ${frame.object.metadata.resourceVersion}`)
      expect(new Set(seen).size).toBe(seen.length)
    }
  })

  it("a modified activity that no longer matches is sent as DELETED, one that never concerned the watch is not", async () => {
    const version = await listVersion()
    const query = new URLSearchParams({
      watch: "true",
      resourceVersion: version,
      filter: "spec.changeSource == 'human' && spec.resource.kind == 'Pod'"
    })
    const watch = api.watch("admin", `${all}?${query}`)
    await api.publish([{ id: "beginning", kind: "Pod" }])
    await eventually("it runs", () => ids(watch.frames).includes("beginning"))
    await api.publish([
      { id: "pod", kind: "Pod", order: 1 },
      { id: "deployment", kind: "Deployment", order: 1 },
      { id: "pod", kind: "Pod", order: 2, mark: "modified", summary: "again" },
      { id: "deployment", kind: "Deployment", order: 2, mark: "modified", changeSource: "system" },
      { id: "pod", kind: "Pod", order: 3, mark: "modified", changeSource: "system" },
      { id: "other", kind: "Pod", changeSource: "system" },
      { id: "end", kind: "Pod" }
    ])
    await eventually("the end", () => ids(watch.frames).includes("end"))
    watch.stop()
    expect(watch.frames.map((frame) => `${frame.type} ${frame.object.spec.origin.id}`)).toEqual([
      "ADDED beginning",
      "ADDED pod",
      "MODIFIED pod",
      "DELETED pod",
      "ADDED end"
    ])
  })

  it("of what happened before it, a watch tells the latest sight; then every one, but none that is older", async () => {
    const version = await listVersion()
    const follow = () => api.watch("admin", `${all}?watch=true&resourceVersion=${version}`)
    const told = ({ frames }: ReturnType<typeof follow>) =>
      frames
        .filter((frame) => frame.object.spec.origin.id === "series")
        .map((frame) => `${frame.type} ${frame.object.spec.summary}`)
    const open = follow()
    await api.publish([{ id: "series-start" }])
    await eventually("it runs", () => ids(open.frames).includes("series-start"))
    await api.publish([
      { id: "series", order: 7, summary: "seven" },
      { id: "series", order: 5, mark: "modified", summary: "five" },
      { id: "series", order: 9, mark: "modified", summary: "nine" },
      { id: "series-end" }
    ])
    await eventually("the end", () => ids(open.frames).includes("series-end"))
    const late = follow()
    await eventually("the end again", () => ids(late.frames).includes("series-end"))
    await api.publish([{ id: "series", order: 11, mark: "modified", summary: "eleven" }])
    await eventually("both go on", () => [open, late].every((watch) => told(watch).at(-1)?.endsWith("eleven")))
    for (const watch of [open, late]) watch.stop()
    expect(told(open)).toEqual(["ADDED seven", "MODIFIED nine", "MODIFIED eleven"])
    // A list may have shown the ninth, and is not taken back by the seventh.
    expect(told(late)).toEqual(["ADDED nine", "MODIFIED eleven"])
  })

  it("search and scope decide on payloads", async () => {
    const version = await listVersion()
    const watch = api.watch(
      "viewer",
      `${group}/namespaces/search/activities?watch=true&resourceVersion=${version}&search=RED+fox`
    )
    await api.publish([
      { id: "red", namespace: "search", summary: "a red fox" },
      { id: "redder", namespace: "search", summary: "a redder fox" },
      { id: "elsewhere", namespace: "other", summary: "a red fox" },
      { id: "fox", namespace: "search", summary: "fox, red" }
    ])
    await eventually("both", () => watch.frames.length === 2)
    watch.stop()
    expect(ids(watch.frames)).toEqual(["red", "fox"])
  })

  it("timeoutSeconds ends the body cleanly, with a bookmark for who wants them", async () => {
    const version = await listVersion()
    const plain = api.watch("admin", `${all}?watch=true&resourceVersion=${version}&timeoutSeconds=1`)
    const marked = api.watch(
      "admin",
      `${all}?watch=true&resourceVersion=${version}&timeoutSeconds=1&allowWatchBookmarks=true`
    )
    expect([(await plain.ended).status, (await marked.ended).status]).toEqual([200, 200])
    expect(plain.frames).toEqual([])
    const bookmark = marked.frames.at(-1)
    expect(bookmark?.type).toBe("BOOKMARK")
    expect(Number(bookmark?.object.metadata.resourceVersion)).toBeGreaterThanOrEqual(Number(version))
    expect(Object.keys(bookmark?.object).toSorted()).toEqual(["apiVersion", "kind", "metadata"])
  })

  const initially = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"

  it("sendInitialEvents begins with what there is, tells its end by a bookmark, and goes on", async () => {
    const [, second] = await api.publish(named("replayed", 2))
    await eventually(
      "stored",
      async () => (await api.request("admin", `${all}?resourceVersion=${second}`)).status === 200
    )
    for (const version of ["", `&resourceVersion=${second}`]) {
      const watch = api.watch(
        "admin",
        `${all}?watch=true&${initially}&fieldSelector=metadata.namespace%3Dreplayed${version}`
      )
      await eventually("the end of the beginning", () => watch.frames.some(({ type }) => type === "BOOKMARK"))
      await api.publish([{ id: `after${version.length}`, namespace: "replayed", ageSeconds: 4_000 }])
      await eventually("what follows", () => watch.frames.at(-1)?.type === "ADDED")
      watch.stop()
      expect(watch.frames.map(({ type }) => type)).toEqual(["ADDED", "ADDED", "BOOKMARK", "ADDED"])
      expect(new Set(ids(watch.frames.slice(0, 2)))).toEqual(new Set(["replayed-0", "replayed-1"]))
      const metadata = watch.frames[2]?.object.metadata
      expect(metadata.annotations).toEqual({ "k8s.io/initial-events-end": "true" })
      expect(Number(metadata.resourceVersion)).toBeGreaterThanOrEqual(Number(second))
    }
  })

  it("sendInitialEvents=false begins with changes; without bookmarks, or on a list, it is refused", async () => {
    const watch = api.watch(
      "admin",
      `${all}?watch=true&sendInitialEvents=false&resourceVersionMatch=NotOlderThan&timeoutSeconds=1&fieldSelector=metadata.namespace%3Dfollow`
    )
    expect([(await watch.ended).status, watch.frames]).toEqual([200, []])
    const refusals = await Promise.all(
      [
        "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan",
        "watch=true&sendInitialEvents=true&allowWatchBookmarks=true",
        "watch=true&resourceVersionMatch=NotOlderThan&resourceVersion=0",
        "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=0"
      ].map(async (query) => {
        const answer = await api.request("admin", `${all}?${query}`)
        return [answer.status, answer.json().reason, answer.json().details.causes[0].message]
      })
    )
    const forbidden = (why: string) => [422, "Invalid", `Forbidden: ${why}`]
    // kube-apiserver's words, as apimachinery's ValidateListOptions has them.
    expect(refusals).toEqual([
      [
        422,
        "Invalid",
        expect.stringContaining("sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled")
      ],
      forbidden("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"),
      forbidden("resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"),
      forbidden("sendInitialEvents is forbidden for list")
    ])
  })

  it("an initial state that must be newer than everything is 504 with the cause that client-go knows", async () => {
    const answer = await api.request("admin", `${all}?watch=true&${initially}&resourceVersion=9000000000000000`)
    expect([answer.status, answer.json().details.causes[0].reason]).toEqual([504, "ResourceVersionTooLarge"])
  })

  it("start and end are refused on a watch", async () => {
    expect((await api.request("admin", `${all}?watch=true&start=now-1h`)).status).toBe(400)
    expect((await api.request("admin", `${all}?watch=true&timeoutSeconds=x`)).status).toBe(400)
  })

  it("a resourceVersion that the stream has no more, or not yet, is 410 Expired", async () => {
    for (const version of ["5", "9000000000000000"]) {
      const answer = await api.request("admin", `${all}?watch=true&resourceVersion=${version}`)
      expect([answer.status, answer.json().reason]).toEqual([410, "Expired"])
    }
  })

  it("a table watch has its columns in the first frame only", async () => {
    const version = await listVersion()
    const watch = api.watch("admin", `${all}?watch=true&resourceVersion=${version}`, {
      headers: { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" }
    })
    await api.publish([{ id: "row-1" }, { id: "row-2" }])
    await eventually("two rows", () => watch.frames.length === 2)
    watch.stop()
    expect(
      watch.frames.map((frame) => [
        frame.object.kind,
        frame.object.columnDefinitions === null,
        frame.object.rows.length
      ])
    ).toEqual([
      ["Table", false, 1],
      ["Table", true, 1]
    ])
  })

  it("after a restart of the server a watch from before it has what was missed", async () => {
    const version = await listVersion()
    await api.stopServer()
    await api.publish(named("missed", 50))
    await api.startServer()
    const watch = api.watch(
      "admin",
      `${all}?watch=true&resourceVersion=${version}&fieldSelector=metadata.namespace%3Dmissed`
    )
    await api.publish([{ id: "missed-last", namespace: "missed" }])
    await eventually("the last", () => ids(watch.frames).includes("missed-last"))
    watch.stop()
    expect(ids(watch.frames)).toEqual([...named("missed", 50).map((one) => one.id), "missed-last"])
  })

  it("stopping the server ends watches with a clean end of their bodies", async () => {
    const version = await listVersion()
    const watch = api.watch("admin", `${all}?watch=true&resourceVersion=${version}`)
    await api.publish([{ id: "before-stop" }])
    await eventually("it runs", () => ids(watch.frames).includes("before-stop"))
    await api.stopServer()
    expect((await watch.ended).status).toBe(200)
    await api.startServer()
  })

  it("a single object is watched by its name", async () => {
    await api.publish([{ id: "single" }])
    const watch = api.watch(
      "admin",
      `${all}?watch=true&resourceVersion=0&fieldSelector=metadata.name%3D${nameOf("single")}`
    )
    await eventually("it", () => watch.frames.length === 1)
    await api.publish([{ id: "another" }, { id: "single", order: 2, mark: "deleted" }])
    await eventually("its end", () => watch.frames.length === 2)
    watch.stop()
    expect(watch.frames.map((frame) => frame.type)).toEqual(["ADDED", "DELETED"])
  })

  it("a stream that was made anew: old resourceVersions are 410, open watches end, new ones work", async () => {
    const version = await listVersion()
    const watch = api.watch("admin", `${all}?watch=true&resourceVersion=${version}`)
    await api.publish([{ id: "before-loss" }])
    await eventually("it runs", () => ids(watch.frames).includes("before-loss"))
    await api.nats.kill()
    await api.nats.removeData()
    await api.nats.start()
    await api.run(eventuallyStream)
    expect((await watch.ended).status).toBe(200)
    await eventually(
      "410",
      async () => (await api.request("admin", `${all}?watch=true&resourceVersion=${version}`)).status === 410
    )
    const again = api.watch("admin", `${all}?watch=true&fieldSelector=metadata.namespace%3Danew`)
    await api.publish([{ id: "anew", namespace: "anew" }])
    await eventually("the new one", () => ids(again.frames).includes("anew"))
    again.stop()
  })

  it("without NATS a watch is 503 and a list still answers", async () => {
    await api.nats.kill()
    const watch = await api.request("admin", `${all}?watch=true`)
    expect([watch.status, watch.json().reason]).toEqual([503, "ServiceUnavailable"])
    const list = await api.request("admin", `${all}?limit=5`)
    expect([list.status, list.json().items.length]).toEqual([200, 5])
    const ready = await api.request("admin", "/readyz")
    expect(ready.status).toBe(200)
  })
})

/** The streams are made again by whoever publishes to them. */
const eventuallyStream = Effect.gen(function* () {
  const nats = yield* Nats
  yield* nats.streamState("ACTIVITIES").pipe(Effect.retry({ times: 900, schedule: Schedule.spaced("100 millis") }))
})

describe("a store that fails", () => {
  it("before the answer is a status, in the middle of a watch a frame that ends it", async () => {
    await using api = await startApi({ writer: false })
    await api.run(ClickHouse.use((clickhouse) => clickhouse.command("DROP TABLE activities")))
    const list = await api.request("admin", all)
    expect([list.status, list.json().kind]).toEqual([500, "Status"])
    const watch = api.watch("admin", `${all}?watch=true`)
    expect((await watch.ended).status).toBe(200)
    expect(watch.frames.map((frame) => [frame.type, frame.object.kind, frame.object.code])).toEqual([
      ["ERROR", "Status", 500]
    ])
  }, 120_000)
})
