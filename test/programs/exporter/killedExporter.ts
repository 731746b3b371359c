/** Events are made at a steady rate while their exporter is killed again and again. */
import { assert } from "vitest"
import { connectBus } from "../../support/bus.ts"
import { eventually } from "../../support/eventually.ts"
import { startNatsServer } from "../../support/natsServer.ts"
import type { ApiRequest } from "../../system/clusterRequests.ts"
import { startCluster } from "../../system/cluster.ts"
import { startExporter } from "./startExporter.ts"

export interface Scenario {
  readonly events: number
  readonly perSecond: number
  readonly kills: number
}

/** Of so many Events, one is changed right after it was made: its first sight may be superseded. */
const changedEach = 10
/** Requests at once, so that a slow API server is not stormed. */
const inFlightMax = 50

/** Every Event's last sight is in the stream, and no sight is there twice. */
export const eventsOfKilledExporterAreAllThere = async ({ events, kills, perSecond }: Scenario): Promise<void> => {
  await using nats = await startNatsServer()
  await using cluster = await startCluster({ controllers: false })
  await cluster.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: "activity-system" } })
  const options = { kubeconfig: cluster.kubeconfig("admin"), natsUrl: nats.url }
  /** uid → the resourceVersions that it has had. */
  const made = new Map<string, Array<string>>()
  let sent = 0
  let isOver = false

  const path = "/api/v1/namespaces/default/events"
  /** On a busy machine a connection may be cut: then again, as both requests may be repeated. */
  const send = (name: string, request: ApiRequest): Promise<{ uid: string; resourceVersion: string }> =>
    eventually(`the answer for ${name}`, async () => {
      const url = request.method === "POST" ? path : `${path}/${name}`
      const answer = await cluster.request("admin", url, request)
      // It had been made, and only the answer was lost.
      const found = answer.status === 409 ? await cluster.request("admin", `${path}/${name}`) : answer
      assert.include([200, 201], found.status, found.text)
      return found.json().metadata
    })
  const make = async (number: number) => {
    const body = eventNumber(number)
    const { resourceVersion, uid } = await send(body.metadata.name, { method: "POST", body })
    const versions = [resourceVersion]
    made.set(uid, versions)
    if (number % changedEach !== 0) return
    const headers = { "content-type": "application/merge-patch+json" }
    versions.push((await send(body.metadata.name, { method: "PATCH", headers, body: { count: 2 } })).resourceVersion)
  }
  const started = performance.now()
  const making = (async () => {
    const running = new Set<Promise<void>>()
    while (sent < events) {
      const due = Math.min(events, Math.ceil(((performance.now() - started) / 1000) * perSecond))
      for (; sent < due && running.size < inFlightMax; sent++) {
        const one: Promise<void> = make(sent).finally(() => running.delete(one))
        running.add(one)
      }
      await Promise.race([...running, new Promise((resolve) => setTimeout(resolve, 5))])
    }
    await Promise.all(running)
  })().finally(() => (isOver = true))
  // Awaited at the end.
  making.catch(() => undefined)
  await using bus = connectBus(nats.url)
  const storedCount = async () => (await bus.state("MILO_EVENTS").catch(() => ({ messages: 0 }))).messages
  for (let kill = 0; kill < kills; kill++) {
    const before = await storedCount()
    const exporter = await startExporter(options)
    await exporter.program.waitForLine(/"message":"exporting"/)
    // Somewhere within its work, and not before the load has gone on as far as this kill.
    await eventually("it has published", async () => isOver || (await storedCount()) > before)
    const moment = ((kill + Math.random()) * events) / kills
    await eventually("the moment of the kill", () => isOver || sent >= moment, {
      deadlineMillis: 120_000
    })
    await exporter.program.kill()
  }
  await making
  await using last = await startExporter(options)
  const stored = await eventually(
    "the last sight of every Event",
    async () => {
      if ((await bus.state("MILO_EVENTS")).messages < made.size) return undefined
      const sights = (await bus.messages("MILO_EVENTS")).map((message) => ({
        id: message.header("Nats-Msg-Id"),
        metadata: JSON.parse(Buffer.from(message.body).toString()).metadata
      }))
      const seen = new Set(sights.map(({ metadata }) => `${metadata.uid} ${metadata.resourceVersion}`))
      return [...made].every(([uid, versions]) => seen.has(`${uid} ${versions.at(-1)}`)) ? sights : undefined
    },
    { deadlineMillis: 120_000 }
  )
  assert.strictEqual(made.size, events)
  // Not even NATS, which knows ids for two minutes, had anything to hold back.
  assert.strictEqual((await last.counts())["duplicate"], 0)
  assert.strictEqual(new Set(stored.map(({ id }) => id)).size, stored.length)
  const known = new Set([...made].flatMap(([uid, versions]) => versions.map((version) => `${uid} ${version}`)))
  for (const { metadata } of stored) assert.isTrue(known.has(`${metadata.uid} ${metadata.resourceVersion}`))
}

const eventNumber = (number: number) => ({
  apiVersion: "v1",
  kind: "Event",
  metadata: { name: `event-${number}`, namespace: "default" },
  involvedObject: { apiVersion: "v1", kind: "Pod", name: `pod-${number}`, namespace: "default" },
  reason: "BackOff",
  message: "Back-off restarting failed container",
  type: "Warning",
  source: { component: "kubelet", host: "node-1" },
  firstTimestamp: "2026-01-01T00:00:00Z",
  lastTimestamp: "2026-01-01T00:00:01Z",
  count: 1
})
