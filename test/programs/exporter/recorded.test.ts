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

describe("an exporter of recorded Events", () => {
  for (const version of versions) {
    it(`${version}: publishes each sight once, the same whichever version it reads`, async () => {
      await using folder = await temporaryFolder("exporter")
      await using nats = await startNatsServer()
      await using server = await startListWatchServer({ versions: [version] })
      await using exporter = await startLeader({
        kubeconfig: writeKubeconfig(folder.path, server.url),
        natsUrl: nats.url
      })
      server.play()
      await using bus = connectBus(nats.url)
      const expected = watchFrames("events.k8s.io/v1")
        .filter(({ type }) => type !== "DELETED")
        .map(({ object }) => `${object.metadata.uid} ${object.metadata.resourceVersion}`)
      const stored = await eventually("all sights", async () => {
        const found = await bus.messages("MILO_EVENTS")
        return found.length >= expected.length ? found : undefined
      })
      const sights = stored.map(({ body }) => {
        const { metadata } = JSON.parse(Buffer.from(body).toString())
        return `${metadata.uid} ${metadata.resourceVersion}`
      })
      assert.deepStrictEqual(sights.toSorted(), expected.toSorted())
      const counts = await exporter.counts()
      assert.deepInclude(counts, { received: 1_109, published: expected.length, deleted: 1_109 - expected.length })
    })
  }
})
