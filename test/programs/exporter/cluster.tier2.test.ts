/** The exporter against a real cluster: what its API server says of Events is what the stream holds. */
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { parseAllDocuments } from "yaml"
import { projectFolder } from "../../../.ci/projectFolder.ts"
import type { StoredMessage } from "../../../src/clients/nats/Nats.ts"
import { headerNames } from "../../../src/domain/streams.ts"
import { connectBus } from "../../support/bus.ts"
import { eventually } from "../../support/eventually.ts"
import { startNatsServer, type TestNatsServer } from "../../support/natsServer.ts"
import { type Cluster, showLogsOfFailures, startCluster } from "../../system/cluster.ts"
import { startExporter, startLeader } from "./startExporter.ts"

describe("an exporter", () => {
  let cluster: Cluster
  let nats: TestNatsServer
  /** Of the service account that we ship. */
  let kubeconfig: string
  beforeAll(async () => {
    nats = await startNatsServer()
    cluster = await startCluster({ controllers: false })
    await cluster.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: "activity-system" } })
    await cluster.apply(...shippedAccess())
    kubeconfig = cluster.tokenKubeconfig(
      "exporter",
      await cluster.serviceAccountToken("activity-system", "activity-exporter")
    )
  })
  afterAll(async () => {
    await cluster[Symbol.asyncDispose]()
    await nats.stop()
  })
  showLogsOfFailures(() => cluster)

  const options = () => ({ kubeconfig, natsUrl: nats.url })
  const start = () => startExporter(options())
  const startOne = () => startLeader(options())

  const patchEvent = async (name: string, namespace: string, body: object) => {
    const answer = await cluster.request("admin", `/api/v1/namespaces/${namespace}/events/${name}`, {
      method: "PATCH",
      headers: { "content-type": "application/merge-patch+json" },
      body
    })
    assert.strictEqual(answer.status, 200, answer.text)
  }

  /** The sights of one Event, once there are so many. */
  const sightsOf = async (name: string, countMin: number): Promise<ReadonlyArray<StoredMessage>> => {
    await using bus = connectBus(nats.url)
    return await eventually(`${countMin} sights of ${name}`, async () => {
      const found = (await bus.messages("MILO_EVENTS")).filter(({ subject }) => subject.endsWith(`.${name}-pod`))
      return found.length >= countMin ? found : undefined
    })
  }
  const tenantsOf = (sights: ReadonlyArray<StoredMessage>) => sights.map((sight) => sight.header(headerNames.tenant))
  const lastSequence = async () => {
    await using bus = connectBus(nats.url)
    return (await bus.state("MILO_EVENTS")).lastSequence
  }

  it("one Event patched from count 1 to 50 has 50 sights, in order", async () => {
    await using _exporter = await startOne()
    await cluster.apply(eventOf("counted"))
    for (let count = 2; count <= 50; count++) await patchEvent("counted", "default", { count })
    const sights = await sightsOf("counted", 50)
    const counts = sights.map(({ body }) => JSON.parse(Buffer.from(body).toString()).deprecatedCount)
    assert.deepStrictEqual(
      counts,
      Array.from({ length: 50 }, (_, index) => index + 1)
    )
    assert.deepStrictEqual(
      sights.map((sight) => sight.header(headerNames.mark)),
      ["added", ...Array.from({ length: 49 }, () => "modified")]
    )
  })

  it("the same under Deno, with a client certificate", async () => {
    await using exporter = await startLeader({
      ...options(),
      kubeconfig: cluster.kubeconfig("admin"),
      runtime: "deno"
    })
    await cluster.apply(eventOf("deno"))
    await patchEvent("deno", "default", { count: 2 })
    assert.lengthOf(await sightsOf("deno", 2), 2)
    assert.deepStrictEqual(await exporter.program.terminate(), { code: 0, signal: undefined })
  })

  it("an Event stays whose it was at first, whatever becomes of labels and annotations, also after kill -9", async () => {
    await cluster.apply({
      apiVersion: "v1",
      kind: "Namespace",
      metadata: {
        name: "shop",
        labels: { "platform.miloapis.com/scope.type": "project", "platform.miloapis.com/scope.name": "shop" }
      }
    })
    {
      await using exporter = await startOne()
      await cluster.apply(eventOf("first", { namespace: "shop" }), eventOf("plain"))
      await sightsOf("first", 1)
      await sightsOf("plain", 1)
      await cluster.kubectl("admin", [
        "label",
        "namespace",
        "shop",
        "platform.miloapis.com/scope.name=other",
        "--overwrite"
      ])
      await patchEvent("first", "shop", { count: 2 })
      await patchEvent("plain", "default", {
        metadata: {
          annotations: { "platform.miloapis.com/scope.type": "Project", "platform.miloapis.com/scope.name": "shop" }
        }
      })
      await sightsOf("first", 2)
      await eventually("the namespace's new label is known", async () => {
        const name = `second-${Math.random().toString(36).slice(2)}`
        await cluster.apply(eventOf(name, { namespace: "shop" }))
        return tenantsOf(await sightsOf(name, 1))[0] === "Project/other"
      })
      await exporter.program.kill()
    }
    await using _again = await start()
    await patchEvent("first", "shop", { count: 3 })
    await patchEvent("plain", "default", { count: 3 })
    assert.deepStrictEqual(tenantsOf(await sightsOf("first", 3)), ["Project/shop", "Project/shop", "Project/shop"])
    assert.deepStrictEqual(tenantsOf(await sightsOf("plain", 3)), ["Platform/", "Platform/", "Platform/"])
  })

  it("a new list of an idle cluster publishes nothing: three times after a compaction", async () => {
    await cluster.apply(eventOf("idle"))
    {
      await using exporter = await startOne()
      await sightsOf("idle", 1)
      await exporter.program.terminate()
    }
    const before = await lastSequence()
    for (let round = 0; round < 3; round++) {
      await cluster.apply({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: `round-${round}` } })
      await cluster.compact()
      await using exporter = await startOne()
      const counts = await eventually("the list was seen", async () => {
        const found = await exporter.counts()
        return (found["unchanged"] ?? 0) > 0 ? found : undefined
      })
      assert.strictEqual(counts["received"], counts["unchanged"])
      await exporter.program.terminate()
    }
    assert.strictEqual(await lastSequence(), before)
  })

  it("Events of before and after a restart of the API server and a compaction are all seen, once", async () => {
    await using _exporter = await startOne()
    await cluster.apply(eventOf("restart-0"))
    await sightsOf("restart-0", 1)
    await cluster.kubeApiserver.kill()
    await cluster.kubeApiserver.start()
    await cluster.apply(eventOf("restart-1"))
    await cluster.compact()
    await cluster.kubeApiserver.terminate()
    await cluster.kubeApiserver.start()
    await cluster.apply(eventOf("restart-2"))
    for (const name of ["restart-0", "restart-1", "restart-2"]) assert.lengthOf(await sightsOf(name, 1), 1)
  })

  it("a leader that was stopped past its lease is followed, and doubles nothing when it goes on", async () => {
    await using leader = await startLeader({ ...options(), flags: [] })
    await using standby = await startExporter({ ...options(), flags: [] })
    await eventually("the standby is ready, and says that it stands by", async () => {
      const answer = await standby.readyz()
      return answer.status === 200 && /\[\+\]lease ok: standing by, exporter-\w+ has it/.test(answer.text)
    })
    leader.program.signal("SIGSTOP")
    await cluster.apply(eventOf("orphan"))
    await standby.program.waitForLine(/"message":"exporting"/)
    await sightsOf("orphan", 1)
    leader.program.signal("SIGCONT")
    await leader.program.waitForLine(/"message":"the lease was lost"/)
    await patchEvent("orphan", "default", { count: 2 })
    const sights = await sightsOf("orphan", 2)
    assert.lengthOf(sights, 2)
    await leader.program.terminate()
    await standby.program.terminate()
    await using bus = connectBus(nats.url)
    const ids = (await bus.messages("MILO_EVENTS")).map((message) => message.header("Nats-Msg-Id"))
    assert.strictEqual(new Set(ids).size, ids.length)
  })
})

/** The exporter's service account and what it may do, without the Deployment. */
const shippedAccess = (): ReadonlyArray<object> =>
  parseAllDocuments(readFileSync(join(projectFolder, "infra/base/exporter.yaml"), "utf8"))
    .map((document) => document.toJS())
    .filter(({ kind }) => /^ServiceAccount$|Role$|RoleBinding$/.test(kind))

const eventOf = (name: string, more: { readonly namespace?: string; readonly note?: string } = {}) => ({
  apiVersion: "v1",
  kind: "Event",
  metadata: { name, namespace: more.namespace ?? "default" },
  involvedObject: { apiVersion: "v1", kind: "Pod", name: `${name}-pod`, namespace: more.namespace ?? "default" },
  reason: "BackOff",
  message: more.note ?? "",
  type: "Warning",
  source: { component: "kubelet" },
  firstTimestamp: "2026-01-01T00:00:00Z",
  lastTimestamp: "2026-01-01T00:00:01Z",
  count: 1
})
