/**
 * The other side is away or full: the collector spools, then refuses; what it has answered 200 arrives all the same.
 *
 * The programs run as processes of their own, on a real nats-server and on a ClickHouse bridge (the embedded engine
 * behind HTTP, not a ClickHouse server).
 */
import { assert, describe, it } from "@effect/vitest"
import { readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { projectFolder } from "../../.ci/projectFolder.ts"
import { connectBus } from "../support/bus.ts"
import { eventually } from "../support/eventually.ts"
import { type Ledger, openLedger, readLedger } from "../support/ledger.ts"
import { type MadeRecord, madeRecords, recordText } from "../support/madeRecords.ts"
import { type RunningProgram, startSystem, type System } from "../support/system.ts"

/** AUDIT_EVENTS holds 4 MiB, ACTIVITIES 2 MiB. */
const smallStreams = ["--stream-scale", String(4 / 1024)]
/** About 170 KB of records. */
const batchSize = 100

const batchBody = (records: ReadonlyArray<MadeRecord>): string =>
  `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[${records.map(recordText).join(",")}]}`

/** Posts one batch; the ledger knows what was sent and what was answered 200. */
const post = async (collector: RunningProgram, ledger: Ledger, records: ReadonlyArray<MadeRecord>) => {
  const ids = records.map(({ auditID }) => auditID)
  ledger.sent(...ids)
  const answer = await collector.request("", { method: "POST", body: batchBody(records) })
  if (answer.status === 200) ledger.acknowledged(...ids)
  return answer
}

/** The sample that tells the records that this file sends. */
const placePolicy = async (api: RunningProgram): Promise<void> => {
  const answer = await api.request("/apis/activity.miloapis.com/v1alpha1/activitypolicies", {
    method: "POST",
    headers: { "content-type": "application/yaml" },
    body: readFileSync(join(projectFolder, "infra/policies/core-configmap.yaml"), "utf8")
  })
  assert.strictEqual(answer.status, 201, answer.text)
}

const spoolFiles = (system: System): ReadonlyArray<string> =>
  readdirSync(join(system.folder, "spool")).filter((name) => name.endsWith(".spool"))

const spoolBytes = (system: System): number =>
  spoolFiles(system).reduce((sum, name) => sum + statSync(join(system.folder, "spool", name)).size, 0)

/** Everything acknowledged is a row, nothing is there that was not sent, and the spool is empty. */
const everythingArrives = async (system: System, ledgerPath: string): Promise<void> => {
  const { acknowledged, sent } = readLedger(ledgerPath)
  await eventually("the spool is empty", () => spoolFiles(system).length === 0)
  let missing: ReadonlyArray<string> = []
  await eventually("every acknowledged record is stored", async () => {
    const rows = await system.query<{ audit_id: string }>("SELECT audit_id FROM audit_logs FINAL")
    const stored = new Set(rows.map((row) => row.audit_id))
    assert.strictEqual(stored.size, rows.length)
    assert.isTrue([...stored].every((id) => sent.has(id)))
    missing = [...acknowledged].filter((id) => !stored.has(id))
    return missing.length === 0
  })
}

describe("back-pressure", () => {
  it(
    "without a writer the stream fills, then the spool, then senders are told to wait; then all of it arrives",
    { timeout: 240_000 },
    async () => {
      await using system = await startSystem()
      const collector = await system.start("collector", [...smallStreams, "--spool-bytes", "4MiB"])
      await system.start("processor", smallStreams)
      await placePolicy(await system.start("apiserver"))
      const ledgerPath = join(system.folder, "ledger")
      using ledger = openLedger(ledgerPath)

      let spooled = 0
      let refused: { readonly records: ReadonlyArray<MadeRecord>; readonly retryAfter: string | undefined } | undefined
      for (let batch = 0; refused === undefined; batch++) {
        assert.isBelow(batch, 200, "neither stream nor spool is full after 20,000 records")
        const records = madeRecords("waiting", batchSize, batch * batchSize)
        const answer = await post(collector, ledger, records)
        if (answer.status === 200) spooled += answer.json().spooled
        else {
          assert.strictEqual(answer.status, 429, answer.text)
          refused = { records, retryAfter: answer.headers["retry-after"] }
        }
      }
      assert.isAbove(spooled, 0)
      assert.match(refused.retryAfter ?? "", /^[1-9]\d*$/)
      await using bus = connectBus(system.nats.url)
      assert.isBelow((await bus.state("AUDIT_EVENTS")).messages, readLedger(ledgerPath).acknowledged.size)

      await system.start("writer", smallStreams)
      const { records } = refused
      await eventually(
        "the refused batch is taken when it is sent again",
        async () => (await post(collector, ledger, records)).status === 200
      )
      await everythingArrives(system, ledgerPath)
      const total = readLedger(ledgerPath).acknowledged.size
      assert.strictEqual(total, readLedger(ledgerPath).sent.size)
      await eventually(
        "each has its activity",
        async () =>
          (await system.query<{ count: number }>("SELECT count() AS count FROM activities FINAL"))[0]?.count === total
      )
    }
  )

  it("what is answered while NATS is stopped, then gone, is there when it is back", { timeout: 240_000 }, async () => {
    await using system = await startSystem()
    const spoolBytesMax = 4 * 1024 * 1024
    const collector = await system.start("collector", ["--spool-bytes", String(spoolBytesMax)])
    const withoutSpool = await system.start("collector", ["--spool-bytes", "0"])
    await system.start("writer")
    const ledgerPath = join(system.folder, "ledger")
    using ledger = openLedger(ledgerPath)
    let sent = 0
    const sendUntil = async (enough: () => boolean) => {
      while (!enough()) {
        assert.isBelow(sent, 20_000)
        const answer = await post(collector, ledger, madeRecords("away", batchSize, sent))
        sent += batchSize
        assert.strictEqual(answer.status, 200, answer.text)
      }
    }
    await sendUntil(() => sent >= 3 * batchSize)
    system.nats.freeze()
    await sendUntil(() => spoolBytes(system) > spoolBytesMax / 4)
    system.nats.thaw()
    await everythingArrives(system, ledgerPath)

    await system.nats.kill()
    await sendUntil(() => spoolBytes(system) > spoolBytesMax / 2)
    // Without a spool its sender has to keep the batch.
    const kept = madeRecords("kept", batchSize)
    const refused = await post(withoutSpool, ledger, kept)
    assert.strictEqual(refused.status, 503, refused.text)
    assert.match(refused.headers["retry-after"] ?? "", /^[1-9]\d*$/)
    await system.nats.start()
    await eventually(
      "the kept batch is taken when it is sent again",
      async () => (await post(withoutSpool, ledger, kept)).status === 200
    )
    sent += batchSize
    await everythingArrives(system, ledgerPath)
    assert.strictEqual(readLedger(ledgerPath).acknowledged.size, sent)
  })

  it(
    "a collector that is killed with a filled spool brings all of it when it is started again",
    { timeout: 240_000 },
    async () => {
      await using system = await startSystem()
      const first = await system.start("collector")
      await system.start("writer")
      const ledgerPath = join(system.folder, "ledger")
      using ledger = openLedger(ledgerPath)
      await system.nats.kill()
      // Several at once, and one that is on its way when the process dies: it may be stored or not.
      for (let round = 0; round < 5; round++) {
        const answers = await Promise.all(
          [0, 1, 2, 3].map((at) => post(first, ledger, madeRecords("killed", batchSize, (round * 4 + at) * batchSize)))
        )
        for (const answer of answers) {
          assert.strictEqual(answer.status, 200, answer.text)
          assert.strictEqual(answer.json().spooled, batchSize)
        }
      }
      const torn = post(first, ledger, madeRecords("torn", batchSize)).catch(() => undefined)
      await first.process.kill()
      await torn
      assert.isAbove(spoolBytes(system), 0)
      await system.nats.start()
      const second = await system.start("collector")
      assert.strictEqual((await post(second, ledger, madeRecords("after", batchSize))).status, 200)
      await everythingArrives(system, ledgerPath)
      assert.isAtLeast(readLedger(ledgerPath).acknowledged.size, 21 * batchSize)
    }
  )
})
