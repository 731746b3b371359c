/** The exporter against a server that shows recorded Events: each sight of each of them is published once. */
import { assert, describe, it } from "vitest"
import { connectBus } from "../../support/bus.ts"
import { eventually } from "../../support/eventually.ts"
import { writeKubeconfig } from "../../support/kubeconfig.ts"
import { startListWatchServer } from "../../support/listWatchServer.ts"
import { startNatsServer } from "../../support/natsServer.ts"
import { type EventsVersion, watchFrames } from "../../support/recordedData.ts"
import { temporaryFolder } from "../../support/temporaryFolder.ts"
import { startLeader } from "./startExporter.ts"

const versions: ReadonlyArray<EventsVersion> = ["events.k8s.io/v1", "v1"]

const expected = watchFrames("events.k8s.io/v1")
  .filter(({ type }) => type !== "DELETED")
  .map(({ object }) => `${object.metadata.uid} ${object.metadata.resourceVersion}`)

/** `uid resourceVersion` of every message, once there are so many. */
const storedSights = async (natsUrl: string, countMin: number): Promise<ReadonlyArray<string>> => {
  await using bus = connectBus(natsUrl)
  const stored = await eventually(
    `${countMin} sights`,
    async () => {
      const found = await bus.messages("MILO_EVENTS")
      return found.length >= countMin ? found : undefined
    },
    { deadlineMillis: 120_000 }
  )
  return stored.map(({ body }) => {
    const { metadata } = JSON.parse(Buffer.from(body).toString())
    return `${metadata.uid} ${metadata.resourceVersion}`
  })
}

/** Before it there is nothing to go on from but a list, which has the newest sights only. */
const savedPosition = async (natsUrl: string, resourceVersion: string): Promise<void> => {
  await using bus = connectBus(natsUrl)
  await eventually("the position is saved", async () =>
    (await bus.messages("KV_activity_exporter")).some(({ body }) =>
      Buffer.from(body).toString().includes(`"resourceVersion":"${resourceVersion}"`)
    )
  )
}

describe("an exporter of recorded Events", () => {
  for (const version of versions) {
    it(`${version}: publishes each sight once, the same whichever version it reads`, async () => {
      await using folder = await temporaryFolder("exporter")
      await using nats = await startNatsServer()
      await using server = await startListWatchServer({ versions: [version] })
      const kubeconfig = writeKubeconfig(folder.path, server.url)
      await using exporter = await startLeader({ kubeconfig, natsUrl: nats.url, flags: [] })
      server.play()
      const sights = await storedSights(nats.url, expected.length)
      assert.deepStrictEqual(sights.toSorted(), expected.toSorted())
      const counts = await exporter.counts()
      assert.deepInclude(counts, { received: 1_109, published: expected.length, deleted: 1_109 - expected.length })
    })
  }

  it(
    "while the API server hangs it is not ready; a minute after that all is there, once",
    { timeout: 240_000 },
    async () => {
      await using folder = await temporaryFolder("exporter")
      await using nats = await startNatsServer()
      await using server = await startListWatchServer()
      const kubeconfig = writeKubeconfig(folder.path, server.url)
      await using exporter = await startLeader({ kubeconfig, natsUrl: nats.url, flags: [] })
      server.play(100)
      const before = (await storedSights(nats.url, 1)).length
      server.hang()
      server.play()
      await eventually("it is not ready", async () => (await exporter.readyz()).status === 503, {
        deadlineMillis: 150_000
      })
      assert.isAtLeast(before, 1)
      const requests = server.requests.length
      server.heal()
      const sights = await storedSights(nats.url, expected.length)
      assert.deepStrictEqual(sights.toSorted(), expected.toSorted())
      await eventually("it is ready", async () => (await exporter.readyz()).status === 200)
      assert.isAtMost(server.requests.length - requests, 100)
    }
  )

  it("while NATS is away it is not ready, and Events wait in the API server", { timeout: 240_000 }, async () => {
    await using folder = await temporaryFolder("exporter")
    await using nats = await startNatsServer()
    await using server = await startListWatchServer()
    const kubeconfig = writeKubeconfig(folder.path, server.url)
    await using exporter = await startLeader({ kubeconfig, natsUrl: nats.url, flags: [] })
    server.play(100)
    await storedSights(nats.url, 1)
    await nats.kill()
    server.play()
    await eventually("it is not ready", async () => (await exporter.readyz()).status === 503)
    await nats.start()
    const sights = await storedSights(nats.url, expected.length)
    assert.deepStrictEqual(sights.toSorted(), expected.toSorted())
    const counts = await eventually("all are accounted for", async () => {
      const found = await exporter.counts()
      return found["received"] === 1_109 ? found : undefined
    })
    const { received, ...others } = counts
    assert.strictEqual(
      Object.values(others).reduce((sum, value) => sum + value, 0),
      received
    )
  })

  it("the lease lost while NATS is away: all is there, once, when both are back", { timeout: 240_000 }, async () => {
    await using folder = await temporaryFolder("exporter")
    await using nats = await startNatsServer()
    await using server = await startListWatchServer()
    const kubeconfig = writeKubeconfig(folder.path, server.url)
    await using exporter = await startLeader({ kubeconfig, natsUrl: nats.url })
    server.play(100)
    await savedPosition(nats.url, server.resourceVersion())
    await nats.kill()
    server.play(500)
    server.hang()
    await exporter.program.waitForLine(/"message":"the lease was lost"/)
    server.play()
    server.heal()
    await nats.start()
    const sights = await storedSights(nats.url, expected.length)
    assert.deepStrictEqual(sights.toSorted(), expected.toSorted())
  })

  it("whoever was away for longer than Events are kept says from when until when some are missing", async () => {
    await using folder = await temporaryFolder("exporter")
    await using nats = await startNatsServer()
    await using server = await startListWatchServer()
    const options = {
      kubeconfig: writeKubeconfig(folder.path, server.url),
      natsUrl: nats.url,
      flags: ["--event-retention", "1ms"]
    }
    {
      await using exporter = await startLeader(options)
      server.play(100)
      await storedSights(nats.url, 1)
      await exporter.program.terminate()
    }
    server.play()
    server.forget()
    await using exporter = await startLeader(options)
    const line = await exporter.program.waitForLine(/\{.*Events of this time are missing.*\}/)
    const { from, level, to } = JSON.parse(line[0])
    assert.strictEqual(level, "error")
    assert.isAtMost(Date.parse(from), Date.parse(to))
  })
})
