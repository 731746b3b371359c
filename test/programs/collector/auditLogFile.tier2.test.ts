/** A real kube-apiserver under the printed policy, which writes, rotates and compresses its log while the collector reads. */
import { mkdirSync, readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { auditPolicy } from "../../../src/programs/print/auditPolicy.ts"
import { type Cluster, showLogsOfFailures, startCluster } from "../../system/cluster.ts"
import { connectBus } from "../../support/bus.ts"
import { startProgram } from "../../support/childProcess.ts"
import { eventually } from "../../support/eventually.ts"
import { startNatsServer, type TestNatsServer } from "../../support/natsServer.ts"
import { temporaryFolder, type TemporaryFolder } from "../../support/temporaryFolder.ts"

describe("kube-apiserver's log", () => {
  let folder: TemporaryFolder
  let cluster: Cluster
  let nats: TestNatsServer
  let log = ""

  beforeAll(async () => {
    folder = await temporaryFolder("kube-audit-log")
    mkdirSync(join(folder.path, "log"))
    log = join(folder.path, "log/audit.log")
    const policy = join(folder.path, "policy.yaml")
    writeFileSync(policy, auditPolicy)
    nats = await startNatsServer()
    cluster = await startCluster({
      controllers: false,
      // A megabyte is the least that it rotates by.
      flags: [
        `--audit-policy-file=${policy}`,
        `--audit-log-path=${log}`,
        "--audit-log-maxsize=1",
        "--audit-log-compress"
      ]
    })
  }, 300_000)
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]()
    await nats?.[Symbol.asyncDispose]()
    await folder?.remove()
  })
  showLogsOfFailures(() => cluster)

  const send = async (method: string, path: string, body?: object) => {
    const answer = await cluster.request("admin", path, { method, ...(body === undefined ? {} : { body }) })
    assert.isBelow(answer.status, 300, answer.text)
  }

  it(
    "becomes records, each once, over its rotations and a killed collector; Secrets come without contents",
    { timeout: 180_000 },
    async () => {
      const flags = ["--nats-url", nats.url, "--ops-listen", "127.0.0.1:0", "--spool", join(folder.path, "spool")]
      const start = async () => {
        const program = startProgram(["collector", "--file", log, "--cluster", "kube", ...flags])
        await program.waitForLine(/collector started/)
        return program
      }
      const configmaps = "/api/v1/namespaces/default/configmaps"
      const names = Array.from({ length: 40 }, (_, index) => `large-${index}`)
      const create = async (some: ReadonlyArray<string>) => {
        for (const name of some) {
          // Request and answer: 100 KB in the log.
          await send("POST", configmaps, { metadata: { name }, data: { filling: "x".repeat(50_000) } })
        }
      }
      const first = await start()
      await create(names.slice(0, 20))
      await first.kill()
      await create(names.slice(20))
      await send("POST", "/api/v1/namespaces/default/secrets", {
        metadata: { name: "told" },
        stringData: { a: "c4nary" }
      })
      await send("DELETE", `${configmaps}/large-0`)
      await send("GET", configmaps)
      await start()
      await using bus = connectBus(nats.url)
      const records = await eventually("the deletion is published", async () => {
        const messages = await bus.messages("AUDIT_EVENTS")
        const read = messages.map(({ body, subject }) => ({
          subject,
          record: JSON.parse(Buffer.from(body).toString())
        }))
        return read.some(({ record }) => record.verb === "delete") ? read : undefined
      })
      const of = (resource: string, verb: string) =>
        records.filter(({ record }) => record.objectRef?.resource === resource && record.verb === verb)
      assert.sameMembers(
        of("configmaps", "create").flatMap(({ record: { objectRef } }) =>
          objectRef.namespace === "default" ? [objectRef.name] : []
        ),
        names
      )
      assert.isTrue(records.every(({ subject }) => subject === "audit.k8s.kube"))
      const [told] = of("secrets", "create").filter(({ record }) => record.objectRef.namespace === "default")
      assert.strictEqual(told?.record.level, "Metadata")
      assert.isUndefined(told?.record.requestObject)
      assert.deepStrictEqual(
        records.filter(({ record }) => ["get", "list", "watch"].includes(record.verb)),
        []
      )
      assert.deepStrictEqual(
        records.filter(({ record }) => record.objectRef?.resource === "leases"),
        []
      )
      // 40 creations of 100 KB fill four files of a megabyte.
      assert.isAtLeast(readdirSync(join(folder.path, "log")).filter((name) => name !== "audit.log").length, 3)
    }
  )
})
