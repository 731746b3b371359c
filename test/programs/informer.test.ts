/**
 * client-node's informer against the API server, started twenty times in the middle of a stream of activities, while the
 * server is restarted once: `add` once for each name, and none missing.
 */
import { KubeConfig, type KubernetesObject, makeInformer } from "@kubernetes/client-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Nats, type OutgoingMessage } from "../../src/clients/nats/Nats.ts"
import { natsLayer } from "../../src/clients/nats/natsLayer.ts"
import { activityKey, activityName, activityVersion } from "../../src/domain/identity.ts"
import { timestampText } from "../../src/domain/instant.ts"
import { activities, headerNames } from "../../src/domain/streams.ts"
import { activitySubject } from "../../src/domain/subject.ts"
import type { Activity } from "../../src/domain/Activity.ts"
import { eventually } from "../support/eventually.ts"
import { freePort } from "../support/freePort.ts"
import { startSystem } from "../support/system.ts"

const activityCount = 5_000
const perSecond = 500
const stepMillis = 100
const informerCount = 20

const messageOf = (number: number): OutgoingMessage => {
  const key = activityKey("local", "audit", `request-${number}`)
  const now = BigInt(Date.now()) * 1000n
  const activity: Activity = {
    apiVersion: "activity.miloapis.com/v1alpha1",
    kind: "Activity",
    metadata: {
      name: activityName(key),
      namespace: `team-${number % 7}`,
      uid: key,
      creationTimestamp: timestampText(now),
      labels: {}
    },
    spec: {
      summary: `alice@example.com created ConfigMap settings-${number}`,
      changeSource: "human",
      timestamp: timestampText(now),
      cluster: "local",
      actor: { type: "user", name: "alice@example.com" },
      resource: { apiVersion: "v1", kind: "ConfigMap", name: `settings-${number}`, namespace: `team-${number % 7}` },
      tenant: { type: "Platform", name: "" },
      outcome: "Success",
      statusCode: 201,
      origin: { type: "audit", id: `request-${number}` },
      policy: { name: "core-configmap", generation: 1, rule: "create" }
    }
  }
  const json = JSON.stringify(activity)
  return {
    subject: activitySubject(
      {
        tenantType: "Platform",
        tenantName: "",
        apiGroup: "",
        kind: "ConfigMap",
        namespace: `team-${number % 7}`,
        name: `settings-${number}`
      },
      "audit"
    ),
    id: activityVersion(key, "live", key, "", json),
    body: Buffer.from(json),
    headers: {
      [headerNames.cluster]: "local",
      [headerNames.tenant]: "Platform/",
      [headerNames.mark]: "added",
      [headerNames.order]: "0"
    }
  }
}

interface ActivityList extends KubernetesObject {
  readonly items: Array<KubernetesObject>
}

describe("client-node's informer", () => {
  it("adds each name once, whenever it starts and though the server restarts", { timeout: 240_000 }, async () => {
    await using system = await startSystem()
    await system.start("writer")
    const address = ["--api-listen", `127.0.0.1:${await freePort()}`]
    let server = await system.start("apiserver", address)

    const config = new KubeConfig()
    config.loadFromOptions({
      clusters: [{ name: "c", server: server.url, caData: Buffer.from(system.authority).toString("base64") }],
      users: [{ name: "u", token: system.adminToken }],
      contexts: [{ name: "x", cluster: "c", user: "u" }],
      currentContext: "x"
    })
    const path = "/apis/activity.miloapis.com/v1alpha1/activities"
    const stopped: Array<() => void> = []
    const startInformer = (): Map<string, number> => {
      const added = new Map<string, number>()
      let running = true
      const informer = makeInformer<KubernetesObject>(config, path, async () => {
        const answer = await server.request(path)
        if (answer.status !== 200) throw new Error(answer.text)
        // The list of a server; its items are Kubernetes objects.
        return answer.json() as ActivityList
      })
      informer.on("add", (object) => {
        const name = object.metadata?.name ?? ""
        added.set(name, (added.get(name) ?? 0) + 1)
      })
      // client-node leaves starting again to its user.
      informer.on("error", () => {
        if (running) setTimeout(() => void informer.start().catch(() => undefined), 200)
      })
      void informer.start().catch(() => undefined)
      stopped.push(() => {
        running = false
        void informer.stop()
      })
      return added
    }

    const informers: Array<Map<string, number>> = []
    const publishing = Effect.runPromise(
      Effect.gen(function* () {
        const nats = yield* Nats
        const perStep = (perSecond * stepMillis) / 1000
        for (let next = 0; next < activityCount; next += perStep) {
          yield* nats.publish(Array.from({ length: perStep }, (_, index) => messageOf(next + index)))
          yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, stepMillis)))
        }
      }).pipe(Effect.provide(natsLayer({ servers: [system.nats.url], name: "test" })), Effect.scoped)
    )
    const published = () =>
      Effect.runPromise(
        Nats.use((nats) => nats.streamState(activities.name)).pipe(
          Effect.map((state) => state.messages),
          Effect.provide(natsLayer({ servers: [system.nats.url], name: "test" })),
          Effect.scoped
        )
      )
    for (let started = 0; started < informerCount; started++) {
      await eventually(
        "the stream goes on",
        async () => (await published()) >= ((started + 1) * activityCount) / (informerCount + 2)
      )
      informers.push(startInformer())
      if (started === informerCount / 2) {
        assert.strictEqual((await server.process.terminate()).code, 0)
        server = await system.start("apiserver", address)
      }
    }
    await publishing
    for (const [index, added] of informers.entries()) {
      await eventually(`informer ${index} has every name (it has ${added.size})`, () => added.size === activityCount)
    }
    for (const stop of stopped) stop()
    const wanted = Array.from({ length: activityCount }, (_, number) =>
      activityName(activityKey("local", "audit", `request-${number}`))
    )
    for (const added of informers) {
      assert.deepStrictEqual(
        [...added.values()].filter((count) => count !== 1),
        []
      )
      assert.deepStrictEqual(new Set(added.keys()), new Set(wanted))
    }
  })
})
