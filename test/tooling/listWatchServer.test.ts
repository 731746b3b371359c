/** The stand-in for a kube-apiserver's Events answers as the real one does. Totals are those of test/data/README.md. */
import { assert, describe, it } from "vitest"
import { eventually } from "../support/eventually.ts"
import { startListWatchServer } from "../support/listWatchServer.ts"
import { observeEvents, type ObservedEvent } from "../support/observeEvents.ts"
import type { EventsVersion } from "../support/recordedData.ts"
import { watchFrames } from "../support/recordedData.ts"

const versions: ReadonlyArray<EventsVersion> = ["v1", "events.k8s.io/v1"]

const json = async (url: string) => {
  const response = await fetch(url)
  return { code: response.status, body: JSON.parse(await response.text()) }
}

describe("list and watch", () => {
  for (const version of versions) {
    it(`${version}: a reader that starts in the middle sees every later frame once, in order`, async () => {
      await using server = await startListWatchServer()
      server.play(500)
      const seen: Array<ObservedEvent> = []
      const stop = new AbortController()
      const reading = (async () => {
        for await (const event of observeEvents(server.url, { version, pageSize: 7, signal: stop.signal }))
          seen.push(event)
      })()
      await eventually("the watch is open", () => server.watches() === 1)
      const listed = seen.length
      server.play()
      await eventually("all frames", () => seen.length === listed + 609)
      stop.abort()
      await reading
      const frames = watchFrames(version)
      assert.deepStrictEqual(
        seen.slice(listed).map(({ type, object }) => [type, object.metadata.uid, object.metadata.resourceVersion]),
        frames.slice(500).map(({ type, object }) => [type, object.metadata.uid, object.metadata.resourceVersion])
      )
      const deleted = frames.slice(0, 500).filter((frame) => frame.type === "DELETED").length
      const added = frames.slice(0, 500).filter((frame) => frame.type === "ADDED").length
      assert.strictEqual(listed, added - deleted)
    })
  }

  it("all pages are of the first page's resourceVersion, whatever happens meanwhile", async () => {
    await using server = await startListWatchServer()
    server.play(100)
    const resource = `${server.url}/apis/events.k8s.io/v1/events`
    const first = await json(`${resource}?limit=40`)
    server.play()
    const second = await json(`${resource}?limit=1000&continue=${first.body.metadata.continue}`)
    assert.strictEqual(second.body.metadata.resourceVersion, first.body.metadata.resourceVersion)
    const alive = watchFrames("events.k8s.io/v1")
      .slice(0, 100)
      .filter(({ type }) => type === "ADDED").length
    assert.strictEqual(first.body.items.length + second.body.items.length, alive)
    assert.isUndefined(second.body.metadata.continue)
    assert.isUndefined(first.body.items[0].kind)
  })

  it("a forgotten resourceVersion is 410, for a page and inside a watch", async () => {
    await using server = await startListWatchServer()
    server.play(100)
    const resource = `${server.url}/api/v1/events`
    const first = await json(`${resource}?limit=10`)
    server.play(100)
    server.forget()
    const page = await json(`${resource}?limit=10&continue=${first.body.metadata.continue}`)
    assert.deepStrictEqual([page.code, page.body.reason], [410, "Expired"])
    const watch = await fetch(`${resource}?watch=1&resourceVersion=${first.body.metadata.resourceVersion}`)
    assert.strictEqual(watch.status, 200)
    const frame = JSON.parse(await watch.text())
    assert.deepStrictEqual([frame.type, frame.object.code], ["ERROR", 410])
  })

  it("a watch ends after its timeoutSeconds, with bookmarks on the way for who allows them", async () => {
    await using server = await startListWatchServer({ bookmarkMillis: 100 })
    server.play(1)
    const resource = `${server.url}/api/v1/events`
    const place = server.resourceVersion()
    const text = async (query: string) =>
      (await fetch(`${resource}?watch=true&resourceVersion=${place}&${query}`)).text()
    const lines = (await text("timeoutSeconds=1&allowWatchBookmarks=true")).trim().split("\n")
    assert.isAtLeast(lines.length, 1)
    for (const line of lines) {
      const { type, object } = JSON.parse(line)
      assert.deepStrictEqual([type, object.metadata.resourceVersion], ["BOOKMARK", place])
    }
    assert.strictEqual(await text("timeoutSeconds=1"), "")
  })

  it("a reader goes on after its watch was cut, and after its place was forgotten", async () => {
    await using server = await startListWatchServer()
    const seen = new Set<string>()
    const stop = new AbortController()
    const reading = (async () => {
      for await (const { object } of observeEvents(server.url, { signal: stop.signal })) {
        seen.add(object.metadata.resourceVersion)
      }
    })()
    await eventually("the watch is open", () => server.watches() === 1)
    server.play(200)
    await eventually("the first 200", () => seen.size === 200)
    server.cut()
    server.play(200)
    await eventually("the next 200", () => seen.size === 400)
    server.forget()
    server.cut()
    server.play()
    await eventually("all", () => seen.size === 1_109)
    stop.abort()
    await reading
  })

  it("a version that is not served is 404, a request without the token 401", async () => {
    await using server = await startListWatchServer({ versions: ["v1"], token: "secret" })
    assert.strictEqual((await json(`${server.url}/api/v1/events`)).code, 401)
    const headers = { Authorization: "Bearer secret" }
    assert.strictEqual((await fetch(`${server.url}/api/v1/events`, { headers })).status, 200)
    assert.strictEqual((await fetch(`${server.url}/apis/events.k8s.io/v1/events`, { headers })).status, 404)
  })
})
