/**
 * A real informer (@kubernetes/client-node) that starts in the middle of a stream of activities: `add` once a name, none
 * missing.
 */
import { KubeConfig, type KubernetesObject, makeInformer } from "@kubernetes/client-node"
import { describe, expect, it } from "vitest"
import { eventually } from "../support/eventually.ts"
import { type Api, group, nameOf, startApi } from "./apiFixture.ts"

const total = 2_000
const perBatch = 50
const informersMax = 5

const startInformer = (api: Api) => {
  const config = new KubeConfig()
  config.loadFromOptions({
    clusters: [{ name: "api", server: api.url, caData: Buffer.from(api.authority).toString("base64") }],
    users: [{ name: "admin", token: "token-admin" }],
    contexts: [{ name: "api", cluster: "api", user: "admin" }],
    currentContext: "api"
  })
  const path = `${group}/activities`
  const added = new Map<string, number>()
  const informer = makeInformer<KubernetesObject>(config, path, async () => {
    const answer = await api.request("admin", path)
    if (answer.status !== 200) throw new Error(answer.text)
    return answer.json()
  })
  informer.on("add", (object) => {
    const name = object.metadata?.name ?? ""
    added.set(name, (added.get(name) ?? 0) + 1)
  })
  // The server going away for a moment is an error that the informer leaves to its owner.
  informer.on("error", () => setTimeout(() => void informer.start().catch(() => undefined), 50))
  const starting = informer.start()
  return { added, starting, stop: () => informer.stop() }
}

describe("informers", () => {
  it("informers that start in mid-stream miss nothing and add nothing twice, the server restarted once", async () => {
    await using api = await startApi()
    const informers: Array<ReturnType<typeof startInformer>> = []
    for (let sent = 0; sent < total; sent += perBatch) {
      await api.publish(Array.from({ length: perBatch }, (_, index) => ({ id: `i-${sent + index}` })))
      if (sent % (total / informersMax) === total / informersMax / 2) {
        const informer = startInformer(api)
        await informer.starting
        informers.push(informer)
      }
      if (sent === total / 2) {
        await api.stopServer()
        await api.startServer()
      }
    }
    const names = Array.from({ length: total }, (_, index) => nameOf(`i-${index}`))
    for (const [index, informer] of informers.entries()) {
      await eventually(`informer ${index} has all`, () => names.every((name) => informer.added.has(name)), {
        deadlineMillis: 60_000
      })
    }
    for (const informer of informers) {
      void informer.stop()
      expect([...informer.added].filter(([, times]) => times !== 1)).toEqual([])
      expect(informer.added.size).toBe(total)
    }
    expect(informers.length).toBe(informersMax)
  }, 180_000)
})
