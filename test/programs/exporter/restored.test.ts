/** The exporter and what it depends on, put back to what it was, or gone: nothing twice, nobody else's, and it goes on. */
import { jetstreamManager } from "@nats-io/jetstream"
import { connect } from "@nats-io/transport-node"
import { assert, describe, it } from "vitest"
import type { StoredMessage } from "../../../src/clients/nats/Nats.ts"
import { headerNames } from "../../../src/domain/streams.ts"
import { connectBus } from "../../support/bus.ts"
import { eventually } from "../../support/eventually.ts"
import { writeKubeconfig } from "../../support/kubeconfig.ts"
import { startListWatchServer } from "../../support/listWatchServer.ts"
import { startNatsServer } from "../../support/natsServer.ts"
import { watchFrames } from "../../support/recordedData.ts"
import { temporaryFolder } from "../../support/temporaryFolder.ts"
import { startLeader } from "./startExporter.ts"

const frames = watchFrames("events.k8s.io/v1")
const versionAt = (frame: number): bigint => BigInt(frames[frame - 1]!.object.metadata.resourceVersion!)
const sightsBetween = (from: number, to: number): ReadonlyArray<string> =>
  frames
    .slice(from, to)
    .filter(({ type }) => type !== "DELETED")
    .map(({ object }) => `${object.metadata.uid} ${object.metadata.resourceVersion}`)

const metadataOf = ({ body }: StoredMessage): { readonly uid: string; readonly resourceVersion: string } =>
  JSON.parse(Buffer.from(body).toString()).metadata
const sightOf = (message: StoredMessage): string => {
  const { resourceVersion, uid } = metadataOf(message)
  return `${uid} ${resourceVersion}`
}

const checkpoints = "KV_activity_exporter"

const removeStream = async (url: string, name: string): Promise<void> => {
  const connection = await connect({ servers: url })
  try {
    const manager = await jetstreamManager(connection)
    await manager.streams.delete(name)
  } finally {
    await connection.close()
  }
}

const world = async () => {
  const folder = await temporaryFolder("exporter")
  const nats = await startNatsServer()
  const server = await startListWatchServer()
  const bus = connectBus(nats.url)
  const kubeconfig = writeKubeconfig(folder.path, server.url)
  // The next one waits for the lease of one that was killed.
  const start = (tenant = "Platform/") =>
    startLeader({ kubeconfig, natsUrl: nats.url, flags: ["--lease-duration", "6s", "--tenant", tenant] })
  /** Once the stream holds so many messages. */
  const stored = (count: number) =>
    eventually(`${count} messages`, async () => {
      const found = await bus.messages("MILO_EVENTS")
      return found.length >= count && found
    })
  return {
    server,
    bus,
    start,
    stored,
    removeCheckpoints: () => removeStream(nats.url, checkpoints),
    [Symbol.asyncDispose]: async () => {
      await bus[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
      await nats[Symbol.asyncDispose]()
      await folder[Symbol.asyncDispose]()
    }
  }
}

describe("an exporter", () => {
  it("of a server that went back: what comes is ordered behind all before, also by who takes over", async () => {
    await using at = await world()
    const offset = versionAt(200)
    const isBehind = (message: StoredMessage) =>
      BigInt(message.header(headerNames.order)) === BigInt(metadataOf(message).resourceVersion) + offset
    const before = sightsBetween(0, 200)
    const later = sightsBetween(200, 250)
    const last = sightsBetween(250, 300)
    {
      await using exporter = await at.start()
      at.server.play(200)
      await at.stored(before.length)
      at.server.goBack(100)
      at.server.cut()
      await exporter.program.waitForLine(/resourceVersions went back"/)
      // Those in between are known by their ids: the bus has them.
      at.server.play(150)
      const messages = await at.stored(before.length + later.length)
      assert.deepStrictEqual(messages.slice(before.length).map(sightOf), later)
      assert.isTrue(messages.slice(before.length).every(isBehind))
      assert.isTrue(messages.slice(0, before.length).every((message) => !isBehind(message)))
      assert.match(exporter.program.log(), /Events may be missing/)
    }
    // Not even a checkpoint is needed.
    await at.removeCheckpoints()
    await using _next = await at.start()
    at.server.play(50)
    const messages = await at.stored(before.length + later.length + last.length)
    assert.deepStrictEqual(messages.slice(before.length + later.length).map(sightOf), last)
    assert.isTrue(messages.slice(before.length + later.length).every(isBehind))
  })

  it("that finds no checkpoint: what the stream holds is not told again, and is whose it was", async () => {
    await using at = await world()
    const before = sightsBetween(0, 200)
    {
      await using _exporter = await at.start("Project/one")
      at.server.play(200)
      await at.stored(before.length)
    }
    await at.removeCheckpoints()
    await using exporter = await at.start("Project/two")
    at.server.play()
    const all = sightsBetween(0, frames.length)
    const messages = await at.stored(all.length)
    assert.deepStrictEqual(messages.map(sightOf), all)
    assert.strictEqual((await exporter.counts())["duplicate"], 0)
    const known = new Set(messages.slice(0, before.length).map((message) => metadataOf(message).uid))
    const changed = messages.slice(before.length).filter((message) => known.has(metadataOf(message).uid))
    assert.isAbove(changed.length, 0)
    for (const message of changed) assert.strictEqual(message.header(headerNames.tenant), "Project/one")
  })

  it("whose bucket is removed makes it again, with all of its sights", async () => {
    await using at = await world()
    const before = sightsBetween(0, 200)
    {
      await using exporter = await at.start("Project/one")
      at.server.play(200)
      await at.stored(before.length)
      await at.removeCheckpoints()
      at.server.play(10)
      await exporter.program.waitForLine(/the checkpoint is saved again/)
    }
    await using _next = await at.start("Project/two")
    at.server.play()
    const all = sightsBetween(0, frames.length)
    assert.deepStrictEqual((await at.stored(all.length)).map(sightOf), all)
  })

  it("of a list that holds what is no object sets that aside, counted, and goes on", async () => {
    await using at = await world()
    at.server.play(50)
    at.server.oddItems([null, {}, { metadata: null, reason: "Pulled" }])
    await using exporter = await at.start()
    await eventually("they are set aside", async () => (await exporter.counts())["unreadable"] === 3)
    // Of the first two nothing is left that tells them apart.
    assert.strictEqual((await at.bus.messages("DEAD_LETTERS")).length, 2)
    at.server.play(1)
    await eventually("what comes later", async () =>
      (await at.bus.messages("MILO_EVENTS")).map(sightOf).includes(sightsBetween(50, 51)[0] ?? "")
    )
  })
})
