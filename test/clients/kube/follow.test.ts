/**
 * A follower of a server that fails in every way known: what happened meanwhile arrives after it is well again, the
 * probes say so as long as it is not, and the server is not stormed.
 */
import { Effect, Fiber, Layer, Stream } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { follow, type Followed } from "../../../src/clients/kube/follow.ts"
import { kubeLayer } from "../../../src/clients/kube/kubeLayer.ts"
import { Health } from "../../../src/runtime/Health.ts"
import { eventually } from "../../support/eventually.ts"
import { writeKubeconfig } from "../../support/kubeconfig.ts"
import { type ListWatchServer, startListWatchServer } from "../../support/listWatchServer.ts"
import { watchFrames } from "../../support/recordedData.ts"
import { temporaryFolder, type TemporaryFolder } from "../../support/temporaryFolder.ts"

const path = "/apis/events.k8s.io/v1/events"
const frames = watchFrames("events.k8s.io/v1")

/** What has to arrive within a minute does, on a machine that is slow. */
const healMillisMax = 60_000

/** Sooner than a watch that said nothing ends, whose end is looked behind as well. */
const silentMillisMin = 20_000

let folder: TemporaryFolder
beforeAll(async () => {
  folder = await temporaryFolder("kube")
})
afterAll(() => folder.remove())

interface Follower extends AsyncDisposable {
  readonly seen: Array<Followed>
  /** `TYPE uid resourceVersion` of every change so far. */
  readonly changes: () => ReadonlyArray<string>
  readonly lists: () => number
  readonly isReady: () => boolean
}

const startFollower = async (server: string, user: object = {}, resourceVersion = ""): Promise<Follower> => {
  const seen: Array<Followed> = []
  let ready: () => boolean = () => false
  const fiber = Effect.runFork(
    Effect.gen(function* () {
      const health = yield* Health
      ready = () => health.report().ready
      yield* follow(path, { name: "events", role: "ready", resourceVersion }).pipe(
        Stream.runForEach((one) => Effect.sync(() => void seen.push(one)))
      )
    }).pipe(
      Effect.provide(
        Layer.merge(kubeLayer({ kubeconfig: writeKubeconfig(folder.path, server, user), name: "test" }), Health.layer)
      )
    )
  )
  return {
    seen,
    changes: () =>
      seen.flatMap((one) =>
        one._tag === "Changes"
          ? one.changes.map(({ object, type }) => `${type} ${object.metadata.uid} ${object.metadata.resourceVersion}`)
          : []
      ),
    lists: () => seen.filter(({ _tag }) => _tag === "Listed").length,
    isReady: () => ready(),
    [Symbol.asyncDispose]: () => Effect.runPromise(Fiber.interrupt(fiber))
  }
}

const frameTexts = (from: number, to: number): ReadonlyArray<string> =>
  frames.slice(from, to).map(({ object, type }) => `${type} ${object.metadata.uid} ${object.metadata.resourceVersion}`)

/** A follower that has listed what the first 100 frames left, and watches. */
const startWatching = async (server: ListWatchServer): Promise<Follower> => {
  server.play(100)
  const follower = await startFollower(server.url)
  await eventually("the watch is open", () => server.watches() === 1 && follower.isReady())
  return follower
}

describe.concurrent("a follower", () => {
  it("sees every change once, in order, across watches that are cut", async () => {
    await using server = await startListWatchServer()
    await using follower = await startWatching(server)
    for (let at = 100; at < 1_000; at += 300) {
      server.play(300)
      await eventually("the changes", () => follower.changes().length === at + 200)
      server.cut()
      await eventually("another watch", () => server.watches() === 1)
    }
    server.play()
    await eventually("the rest", () => follower.changes().length === frames.length - 100)
    assert.deepStrictEqual(follower.changes(), frameTexts(100, frames.length))
    assert.strictEqual(follower.lists(), 1)
  })

  const fiveFailures = "410, then five lists that fail: it lists again, is not ready meanwhile, and asks a few times"
  it(fiveFailures, { timeout: 120_000 }, async () => {
    await using server = await startListWatchServer()
    await using follower = await startWatching(server)
    server.freezeAt(0)
    server.play(50)
    server.forget()
    server.failLists(5, 500)
    const before = server.requests.length
    server.cut()
    await eventually("it is not ready", () => !follower.isReady())
    // The pauses before it are at most 1, 2, 4, 8, 16 and 30 seconds.
    await eventually("the second list", () => follower.lists() === 2)
    await eventually("it is ready", () => follower.isReady())
    // A watch that is 410, five lists that fail and one that does not, another watch.
    assert.isAtMost(server.requests.length - before, 8)
    server.play()
    await eventually("the rest", () => follower.changes().at(-1) === frameTexts(0, frames.length).at(-1))
  })

  it("two watches that are 200 and empty: it lists again, after a few requests", async () => {
    await using server = await startListWatchServer()
    await using follower = await startWatching(server)
    const before = server.requests.length
    server.emptyWatches(2)
    server.cut()
    await eventually("the second list", () => follower.lists() === 2, { deadlineMillis: healMillisMax })
    assert.isAtMost(server.requests.length - before, 6)
    server.play(10)
    await eventually("the changes", () => follower.changes().length === 10)
  })

  it("watches that are always 200 and empty are asked for less and less often", async () => {
    await using server = await startListWatchServer()
    await using follower = await startWatching(server)
    server.emptyWatches(Number.POSITIVE_INFINITY)
    server.cut()
    await eventually("a third list", () => follower.lists() === 3, { deadlineMillis: healMillisMax })
    // Two watches to each list, a look behind the cut, at most another watch by now.
    assert.isAtMost(server.requests.length, 10)
  })

  it("a watch that froze within a frame is left, and what it had not said arrives", { timeout: 120_000 }, async () => {
    await using server = await startListWatchServer()
    await using follower = await startWatching(server)
    server.freezeAt(1_000)
    server.play(50)
    const before = server.requests.length
    await eventually("the changes", () => follower.changes().length === 50, { deadlineMillis: healMillisMax })
    assert.deepStrictEqual(follower.changes(), frameTexts(100, 150))
    assert.isAtMost(server.requests.length - before, 3)
    assert.strictEqual(follower.lists(), 1)
  })

  it(
    "a server that neither answers nor closes: not ready; a minute after it heals all is there",
    { timeout: 240_000 },
    async () => {
      await using server = await startListWatchServer()
      await using follower = await startWatching(server)
      server.hang()
      server.play(50)
      await eventually("it is not ready", () => !follower.isReady(), { deadlineMillis: 120_000 })
      const before = server.requests.length
      server.heal()
      await eventually("the changes", () => follower.changes().length === 50, { deadlineMillis: healMillisMax })
      assert.isTrue(follower.isReady())
      assert.isAtMost(server.requests.length - before, 4)
    }
  )

  it("a token that the server does not take any more is read again", async () => {
    await using server = await startListWatchServer({ token: "second" })
    const token = join(folder.path, "token")
    writeFileSync(token, "first")
    await using follower = await startFollower(server.url, { tokenFile: token })
    await eventually("it was refused", () => server.requests.length > 0 && !follower.isReady())
    writeFileSync(token, "second")
    await eventually("the list", () => follower.lists() === 1)
  })

  const wentBack = ({ seen }: Follower) => seen.flatMap((one) => (one._tag === "WentBack" ? [[one.from, one.to]] : []))
  const versionAt = (frame: number) => frames[frame - 1]!.object.metadata.resourceVersion!

  it("a saved position that the server has not reached any more: it says so, lists, and sees what comes", async () => {
    await using server = await startListWatchServer()
    server.play(100)
    await using follower = await startFollower(server.url, {}, versionAt(200))
    await eventually("the list", () => follower.lists() === 1)
    assert.deepStrictEqual(wentBack(follower), [[versionAt(200), versionAt(100)]])
    await eventually("the watch is open", () => server.watches() === 1)
    server.play(50)
    await eventually("the changes", () => follower.changes().length === 50)
    assert.deepStrictEqual(follower.changes(), frameTexts(100, 150))
  })

  it("a saved position that the server knows: no list", async () => {
    await using server = await startListWatchServer()
    server.play(100)
    await using follower = await startFollower(server.url, {}, versionAt(90))
    await eventually("the changes", () => follower.changes().length === 10)
    assert.deepStrictEqual(follower.changes(), frameTexts(90, 100))
    assert.strictEqual(follower.lists(), 0)
  })

  it("a server that comes back with an older snapshot: it says so, lists, and sees what comes", async () => {
    await using server = await startListWatchServer({ bookmarkMillis: 3_600_000 })
    await using follower = await startWatching(server)
    server.play(100)
    await eventually("the changes", () => follower.changes().length === 100)
    server.goBack(150)
    server.cut()
    await eventually("the second list", () => follower.lists() === 2)
    assert.deepStrictEqual(wentBack(follower), [[versionAt(200), versionAt(50)]])
    await eventually("the watch is open", () => server.watches() === 1)
    server.play(1)
    await eventually("the change", () => follower.changes().length === 101)
    assert.isTrue(follower.isReady())
  })

  it("a watch that ends in silence on a server that went back: it lists", { timeout: 120_000 }, async () => {
    await using server = await startListWatchServer({ bookmarkMillis: 3_600_000 })
    await using follower = await startWatching(server)
    server.goBack(50)
    await eventually("the second list", () => follower.lists() === 2, { deadlineMillis: healMillisMax })
    assert.deepStrictEqual(wentBack(follower), [[versionAt(100), versionAt(50)]])
  })

  it("a bookmark that is before the position: it lists", async () => {
    await using server = await startListWatchServer({ bookmarkMillis: 50 })
    await using follower = await startWatching(server)
    server.goBack(50)
    await eventually("the second list", () => follower.lists() === 2, { deadlineMillis: silentMillisMin })
    assert.deepStrictEqual(wentBack(follower), [[versionAt(100), versionAt(50)]])
  })

  it("a Retry-After of an hour is half a minute's", { timeout: 120_000 }, async () => {
    await using server = await startListWatchServer()
    server.play(100)
    server.refuseWatches(1, 3_600)
    await using follower = await startFollower(server.url)
    await eventually("the watch is open", () => server.watches() === 1, { deadlineMillis: healMillisMax })
    assert.isAtMost(server.requests.length, 3)
    server.play(10)
    await eventually("the changes", () => follower.changes().length === 10)
  })

  it("an answer of JSON that is no list counts as none: it is not ready, and asks less and less often", async () => {
    await using server = await startListWatchServer()
    server.play(100)
    server.oddLists(4, { message: "please log in" })
    await using follower = await startFollower(server.url)
    await eventually("it was answered", () => server.requests.length === 2)
    assert.isFalse(follower.isReady())
    await eventually("the watch is open", () => server.watches() === 1, { deadlineMillis: healMillisMax })
    assert.strictEqual(server.requests.length, 6)
    assert.strictEqual(follower.lists(), 1)
  })
})
