/**
 * `up` ends, is killed, is started wrongly, and loses its NATS data: what was there before is there afterwards.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { mkdir, rm } from "node:fs/promises"
import { createServer } from "node:net"
import { join } from "node:path"
import { parse } from "yaml"
import { projectFolder } from "../../.ci/projectFolder.ts"
import { Nats } from "../../src/clients/nats/Nats.ts"
import { natsLayer } from "../../src/clients/nats/natsLayer.ts"
import type { JsonObject } from "../../src/domain/AuditRecord.ts"
import type { Mark } from "../../src/domain/streams.ts"
import { platformTenant } from "../../src/domain/Tenant.ts"
import { kubernetesEventFrom } from "../../src/normalise/kubernetesEventFrom.ts"
import { eventMessage } from "../../src/programs/eventMessage.ts"
import { connectBus } from "../support/bus.ts"
import { startProcess, startProgram } from "../support/childProcess.ts"
import { eventually } from "../support/eventually.ts"
import { openLedger, readLedger } from "../support/ledger.ts"
import { madeNamespace, madeRecords, recordText } from "../support/madeRecords.ts"
import { processesOn } from "../support/processesOn.ts"
import { queryFolder } from "../support/queryFolder.ts"
import { auditRecordLines } from "../support/recordedData.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"
import { freePorts, startUp, type Up } from "../support/up.ts"

const madePath = `/apis/activity.miloapis.com/v1/namespaces/${madeNamespace}/activities`
const activitiesPath = "/apis/activity.miloapis.com/v1/activities"

interface Told {
  readonly summary: string
  readonly resourceVersion: string
}

/** Every activity of a list, by name. */
const listed = async (up: Up, path: string): Promise<{ told: ReadonlyMap<string, Told>; resourceVersion: string }> => {
  const told = new Map<string, Told>()
  let resourceVersion = ""
  let next = ""
  do {
    const page = await up.api(`${path}${path.includes("?") ? "&" : "?"}limit=500&continue=${encodeURIComponent(next)}`)
    assert.strictEqual(page.status, 200, page.text)
    const { items, metadata } = page.json()
    for (const item of items) {
      assert.isFalse(told.has(item.metadata.name), `${item.metadata.name} is listed twice`)
      told.set(item.metadata.name, { summary: item.spec.summary, resourceVersion: item.metadata.resourceVersion })
    }
    resourceVersion = metadata.resourceVersion
    next = metadata.continue ?? ""
  } while (next !== "")
  return { told, resourceVersion }
}

const post = async (up: Up, records: ReadonlyArray<string>) => {
  const answer = await up.post(records)
  assert.strictEqual(answer.status, 200, answer.text)
}

/** The nats-server that `up` started on a folder. */
const natsServerPid = (data: string): number =>
  JSON.parse(readFileSync(join(data, "nats/nats-server.json"), "utf8")).pid

/** The names of the stored policies. */
const policiesOf = async (up: Up): Promise<ReadonlyArray<string>> => {
  const answer = await up.api("/apis/activity.miloapis.com/v1/activitypolicies")
  const { items }: { items: ReadonlyArray<{ metadata: { name: string } }> } = answer.json()
  return items.map(({ metadata }) => metadata.name)
}

/** Kills it as soon as there is one. */
const killNatsServer = (data: string): Promise<true> =>
  eventually("a nats-server is killed", () => process.kill(natsServerPid(data), "SIGKILL"))

/** Processor and writer have taken all that was published. */
const settled = async (up: Up): Promise<void> => {
  await using bus = connectBus(up.endpoints.nats)
  const consumers = [
    ["AUDIT_EVENTS", "processor"],
    ["AUDIT_EVENTS", "writer"],
    ["MILO_EVENTS", "processor"],
    ["MILO_EVENTS", "writer"],
    // Last: what the processor publishes comes before its acknowledgement.
    ["ACTIVITIES", "writer"]
  ] as const
  for (const [stream, durable] of consumers) {
    await eventually(
      `${durable} has taken all of ${stream}`,
      async () => (await bus.ackFloor(stream, durable)) >= (await bus.state(stream)).lastSequence
    )
  }
}

describe("up, again", () => {
  it(
    "SIGTERM ends it with 0 within ten seconds and leaves no process; the next start continues",
    { timeout: 180_000 },
    async () => {
      await using folder = await temporaryFolder("restart")
      const data = join(folder.path, "data")
      const first = await startUp(data)
      await post(first, madeRecords("early", 50).map(recordText))
      const server = natsServerPid(data)
      assert.isTrue(processesOn(data).some(({ pid }) => pid === server))
      // Half of them are still on their way when it is told to stop.
      const ended = await first.process.terminate(10_000)
      assert.deepStrictEqual(ended, { code: 0, signal: undefined })
      assert.deepStrictEqual(processesOn(data), [])

      const second = await startUp(data)
      await post(second, madeRecords("late", 50).map(recordText))
      await eventually("the old and the new are listed", async () => (await listed(second, madePath)).told.size === 100)
      assert.deepStrictEqual(await second.process.terminate(10_000), { code: 0, signal: undefined })
      assert.deepStrictEqual(processesOn(data), [])
    }
  )

  it(
    "after kill -9 the next start stops the nats-server that was left, and nothing acknowledged is lost",
    { timeout: 240_000 },
    async () => {
      await using folder = await temporaryFolder("restart")
      const data = join(folder.path, "data")
      const ledgerPath = join(folder.path, "ledger")
      using ledger = openLedger(ledgerPath)
      let up = await startUp(data)
      for (let round = 0; round < 3; round++) {
        // Batches one after the other until one fails, because the process was killed in its middle.
        let batches = 0
        const sending = (async () => {
          for (let alive = true; alive; batches++) {
            const records = madeRecords(`round-${round}`, 40, batches * 40)
            const ids = records.map(({ auditID }) => auditID)
            ledger.sent(...ids)
            alive = await up.post(records.map(recordText)).then(
              ({ status }) => status === 200,
              () => false
            )
            if (alive) ledger.acknowledged(...ids)
          }
        })()
        await eventually("some batches are taken", () => batches >= 10 * (round + 1))
        const orphan = natsServerPid(data)
        await up.process.kill()
        await sending
        assert.deepStrictEqual(
          processesOn(data).map(({ pid }) => pid),
          [orphan]
        )
        up = await startUp(data)
        assert.notStrictEqual(natsServerPid(data), orphan)
        assert.isFalse(processesOn(data).some(({ pid }) => pid === orphan))
      }
      const { acknowledged, sent } = readLedger(ledgerPath)
      assert.isAtLeast(acknowledged.size, 40 * 60)
      // What a killed process held is delivered again after the ack wait of a minute.
      await settled(up)
      const { told } = await listed(up, madePath)
      assert.deepStrictEqual(await up.process.terminate(), { code: 0, signal: undefined })
      const rows = await queryFolder<{ audit_id: string }>(
        join(data, "clickhouse"),
        "SELECT audit_id FROM audit_logs FINAL"
      )
      const stored = new Set(rows.map((row) => row.audit_id))
      assert.strictEqual(stored.size, rows.length)
      assert.deepStrictEqual(
        [...acknowledged].filter((id) => !stored.has(id)),
        []
      )
      assert.deepStrictEqual(
        [...stored].filter((id) => !sent.has(id)),
        []
      )
      assert.strictEqual(told.size, rows.length)
    }
  )

  it(
    "a nats-server that is killed under up is started again; without its data a watch is told, and records go on",
    { timeout: 240_000 },
    async () => {
      await using folder = await temporaryFolder("restart")
      const data = join(folder.path, "data")
      const ledgerPath = join(folder.path, "ledger")
      using ledger = openLedger(ledgerPath)
      const up = await startUp(data)
      const stop = new AbortController()
      const postMade = async (prefix: string, from: number) => {
        const records = madeRecords(prefix, 40, from)
        const ids = records.map(({ auditID }) => auditID)
        ledger.sent(...ids)
        await eventually("the batch is taken", async () => (await up.post(records.map(recordText))).status === 200)
        ledger.acknowledged(...ids)
      }
      const listedCount = async () => (await listed(up, madePath)).told.size
      // Records and activities are written apart: what is listed says nothing of the records.
      const recordsAreRows = () =>
        eventually("the records are rows", async () => {
          await using bus = connectBus(up.endpoints.nats)
          return (await bus.ackFloor("AUDIT_EVENTS", "writer")) === (await bus.state("AUDIT_EVENTS")).lastSequence
        })
      const policy = readFileSync(join(projectFolder, "infra/policies/core-pod.yaml"), "utf8")
      const created = await up.api("/apis/activity.miloapis.com/v1alpha1/activitypolicies", {
        method: "POST",
        headers: { "content-type": "application/yaml" },
        body: policy.replace("name: core-pod", "name: made-here")
      })
      assert.strictEqual(created.status, 201, created.text)
      try {
        for (let batch = 0; batch < 30; batch++) {
          await postMade("killed", batch * 40)
          if (batch === 10 || batch === 20) await killNatsServer(data)
        }
        await eventually("all of them are told once", async () => (await listedCount()) === 1_200, {
          deadlineMillis: 120_000
        })

        let frames = ""
        let ended = false
        const { resourceVersion } = await listed(up, madePath)
        const watching = up
          .api(`${madePath}?watch=true&resourceVersion=${resourceVersion}`, {
            signal: stop.signal,
            onText: (text) => void (frames += text)
          })
          .catch(() => undefined)
          .finally(() => void (ended = true))
        await postMade("watched", 0)
        await eventually("the watch tells them", () => frames.includes("watched-39"))
        await eventually("they are listed", async () => (await listedCount()) === 1_240)
        await recordsAreRows()
        await killNatsServer(data)
        rmSync(join(data, "nats/jetstream-data"), { recursive: true, force: true })
        await postMade("after", 0)
        await eventually("what is new is listed beside what was there", async () => (await listedCount()) === 1_280, {
          deadlineMillis: 120_000
        })
        // Either it goes on and tells what is new, or it ends, so that its client begins again; it is never silent.
        await eventually("the watch tells what is new, or ends", () => frames.includes("after-39") || ended)
        await eventually("the policies are stored again, what was changed through the API included", async () => {
          const policies = await policiesOf(up)
          return policies.length > 10 && policies.includes("made-here")
        })
        await postMade("later", 0)
        await eventually("they tell what comes later", async () => (await listedCount()) === 1_320)
        await recordsAreRows()
        stop.abort()
        await watching
      } finally {
        stop.abort()
        assert.deepStrictEqual(await up.process.terminate(), { code: 0, signal: undefined })
      }
      const rows = await queryFolder<{ audit_id: string }>(
        join(data, "clickhouse"),
        "SELECT audit_id FROM audit_logs FINAL"
      )
      assert.deepStrictEqual(new Set(rows.map((row) => row.audit_id)), readLedger(ledgerPath).acknowledged)
      assert.strictEqual(rows.length, 1_320)
    }
  )

  it(
    "TERM to npm start and Ctrl-C at its terminal drain, exit with 0 and leave no process",
    { timeout: 120_000 },
    async () => {
      await using folder = await temporaryFolder("restart")
      const data = join(folder.path, "data")
      const start = async () => {
        const npm = startProcess({
          command: "npm",
          arguments: ["start", "--", "--no-demo", "--data", data, ...freePorts],
          ownGroup: true
        })
        await npm.waitForLine(/^Ctrl-C stops everything/m, 120_000)
        return npm
      }
      const terminated = await start()
      assert.deepStrictEqual(await terminated.terminate(), { code: 0, signal: undefined })
      await eventually("no process is left after TERM", () => processesOn(data).length === 0)

      // A terminal sends the signal to all of the group, npm and node alike.
      const interrupted = await start()
      process.kill(-interrupted.pid, "SIGINT")
      assert.strictEqual((await interrupted.exited).code, 0)
      await eventually("no process is left after Ctrl-C", () => processesOn(data).length === 0)
      assert.notMatch(interrupted.log(), /defect|\.ts:\d+/)
    }
  )

  it(
    "a start that cannot be says why in one sentence, exits 2 and leaves nothing running",
    { timeout: 120_000 },
    async () => {
      await using folder = await temporaryFolder("restart")
      const data = join(folder.path, "data")
      const other = join(folder.path, "other")
      const policies = join(folder.path, "policies")
      await mkdir(policies)
      const refused = async (flags: ReadonlyArray<string>, sentence: RegExp) => {
        const started = startProgram(["up", "--no-demo", ...flags])
        assert.deepStrictEqual(await started.exited, { code: 2, signal: undefined }, started.log())
        assert.strictEqual(started.stdout(), "")
        assert.match(started.log(), sentence)
        assert.strictEqual(started.log().trimEnd().split("\n").length, 1, started.log())
      }
      const up = await startUp(data)
      const before = processesOn(data).map(({ pid }) => pid)
      await refused(["--data", data, ...freePorts], new RegExp(`^${data} is in use by process ${up.process.pid}\\.`))
      assert.deepStrictEqual(
        processesOn(data).map(({ pid }) => pid),
        before
      )
      assert.strictEqual((await up.api("/livez")).status, 200)
      assert.deepStrictEqual(await up.process.terminate(), { code: 0, signal: undefined })

      const taken = createServer()
      const port = await new Promise<number>((resolve) =>
        taken.listen(0, "127.0.0.1", () => {
          const address = taken.address()
          resolve(typeof address === "object" && address !== null ? address.port : 0)
        })
      )
      for (const name of ["api-listen", "audit-listen", "ops-listen"]) {
        await refused(
          [
            "--data",
            other,
            ...freePorts.map((flag, at) => (freePorts[at - 1] === `--${name}` ? `127.0.0.1:${port}` : flag))
          ],
          new RegExp(`^127\\.0\\.0\\.1:${port} is in use.*--${name}`)
        )
      }
      taken.close()

      const inPolicies = ["--data", other, ...freePorts, "--policies", policies]
      writeFileSync(
        join(policies, "bad.yaml"),
        "apiVersion: activity.miloapis.com/v1\nkind: [ActivityPolicy\nspec: {}\n"
      )
      await refused(inPolicies, /--policies: .*bad\.yaml: line \d+, column \d+: /)
      writeFileSync(
        join(policies, "bad.yaml"),
        `
apiVersion: activity.miloapis.com/v1
kind: ActivityPolicy
metadata: { name: bad }
spec:
  resource: { apiGroup: "", kind: Pod }
  auditRules: [{ name: broken, match: "audit.verb = 'create'", summary: "x" }]
`
      )
      await refused(
        inPolicies,
        /--policies: .*bad\.yaml: policy "bad", spec\.auditRules\[0\]\.match, line 1, column 12: /
      )
      await refused(
        ["--data", other, ...freePorts, "--policies", join(folder.path, "nowhere")],
        /--policies .*nowhere cannot be read/
      )
      assert.deepStrictEqual(processesOn(other), [])
    }
  )

  it(
    "without the NATS data nothing stored is lost, nothing old wins, and an old watch gets 410",
    { timeout: 240_000 },
    async () => {
      await using folder = await temporaryFolder("restart")
      const data = join(folder.path, "data")
      const policies = join(folder.path, "policies")
      await mkdir(policies)
      for (const name of ["core-configmap.yaml", "core-pod.yaml"]) {
        writeFileSync(join(policies, name), readFileSync(join(projectFolder, "infra/policies", name)))
      }
      const flags = ["--no-demo", "--policies", policies]
      const old = madeRecords("old", 60).map(recordText)

      const first = await startUp(data, { flags })
      await post(first, old)
      await publishEvent(first, { resourceVersion: "100", note: "first sight", count: 1 }, "added")
      await publishEvent(first, { resourceVersion: "200", note: "second sight", count: 2 }, "modified")
      await settled(first)
      const before = await listed(first, madePath)
      assert.strictEqual(before.told.size, 61)
      assert.strictEqual([...before.told.values()].filter(({ summary }) => summary.includes("second sight")).length, 1)
      assert.deepStrictEqual(await first.process.terminate(), { code: 0, signal: undefined })
      await rm(join(data, "nats"), { recursive: true })

      const second = await startUp(data, { flags })
      try {
        assert.deepStrictEqual(await policiesOf(second), ["core-configmap", "core-pod"])
        const atStart = await listed(second, madePath)
        assert.deepStrictEqual(atStart.told, before.told)
        assert.isAtLeast(Number(atStart.resourceVersion), Number(before.resourceVersion))

        // An informer that goes on where it was is told to list again.
        await second.api(`${madePath}?watch=true&resourceVersion=${before.resourceVersion}`).then((answer) => {
          const frame = answer.status === 200 ? answer.json() : { type: "ERROR", object: answer.json() }
          assert.strictEqual(frame.type, "ERROR", answer.text)
          assert.strictEqual(frame.object.code, 410, answer.text)
          assert.strictEqual(frame.object.reason, "Expired", answer.text)
        })

        await post(second, old)
        await publishEvent(second, { resourceVersion: "100", note: "first sight", count: 1 }, "added")
        await settled(second)
        const repeated = await listed(second, madePath)
        const summaries = ({ told }: typeof before) => new Map([...told].map(([name, { summary }]) => [name, summary]))
        assert.deepStrictEqual(summaries(repeated), summaries(before))

        await post(second, madeRecords("new", 40).map(recordText))
        await publishEvent(second, { resourceVersion: "300", note: "third sight", count: 3 }, "modified")
        await settled(second)
        const after = await listed(second, madePath)
        assert.strictEqual(after.told.size, 101)
        assert.strictEqual([...after.told.values()].filter(({ summary }) => summary.includes("third sight")).length, 1)
      } finally {
        assert.deepStrictEqual(await second.process.terminate(), { code: 0, signal: undefined })
      }
      const [counts] = await queryFolder<Record<string, number | string>>(
        join(data, "clickhouse"),
        `SELECT
      (SELECT count() FROM audit_logs FINAL) AS records,
      (SELECT count() FROM k8s_events FINAL) AS events,
      (SELECT any(resource_version) FROM k8s_events FINAL) AS version,
      (SELECT count() FROM activities FINAL) AS activities`
      )
      assert.deepStrictEqual({ ...counts }, { records: 100, events: 1, version: "300", activities: 101 })
    }
  )

  it(
    "with all stages kept every record is a row, however often it is sent; requests that share an audit ID are four",
    { timeout: 240_000 },
    async () => {
      await using folder = await temporaryFolder("restart")
      const data = join(folder.path, "data")
      const up = await startUp(data, {
        flags: [
          "--no-demo",
          "--cluster",
          "recorded",
          "--stages",
          "RequestReceived,ResponseStarted,ResponseComplete,Panic"
        ]
      })
      const records = auditRecordLines()
      const batchSizes = [500, 333]
      for (const size of batchSizes) {
        for (let at = 0; at < records.length; at += size) await post(up, records.slice(at, at + size))
      }
      await settled(up)
      assert.deepStrictEqual(
        new Map(
          [...(await listed(up, `${activitiesPath}?start=2026-11-01T00:00:00Z`)).told].map(([name, { summary }]) => [
            name,
            summary
          ])
        ),
        goldenOfRecords()
      )

      // The client chooses the audit ID. Two requests with one ID were not received in the same microsecond.
      const shared = madeRecords("shared", 4).map((record, index) => ({
        ...record,
        auditID: index < 3 ? "7c1e8a0e-6b53-4a86-9d3c-0e4f52a6b8d1" : "it's mine; not a UUID ✓",
        receivedMillis: record.receivedMillis + index
      }))
      await post(up, shared.map(recordText))
      await settled(up)
      const { told } = await listed(up, madePath)
      assert.deepStrictEqual(
        new Set([...told.values()].map(({ summary }) => summary)),
        new Set([0, 1, 2, 3].map((index) => `bob@example.com created ConfigMap shared-${index} in ${madeNamespace}`))
      )
      assert.strictEqual(told.size, 4)
      assert.deepStrictEqual(await up.process.terminate(), { code: 0, signal: undefined })
      const rows = await queryFolder<{ stage: string; count: number }>(
        join(data, "clickhouse"),
        "SELECT stage, count() AS count FROM audit_logs FINAL GROUP BY stage ORDER BY stage"
      )
      // 2,948 and 92 recorded, 3,040 together, and the four.
      assert.deepStrictEqual(
        rows.map(({ stage, count }) => [stage, count]),
        [
          ["ResponseComplete", 2_952],
          ["ResponseStarted", 92]
        ]
      )
    }
  )
})

/** One sight of one Event about a pod, as the exporter would publish it. */
const publishEvent = async (up: Up, sight: { resourceVersion: string; note: string; count: number }, mark: Mark) => {
  const now = new Date().toISOString().replace("Z", "000Z")
  const json: JsonObject = {
    apiVersion: "events.k8s.io/v1",
    kind: "Event",
    metadata: {
      name: "web.17a",
      namespace: madeNamespace,
      uid: "5f1dbb4c-9c6b-4a55-8c4c-4c1f0d1f7a11",
      resourceVersion: sight.resourceVersion,
      creationTimestamp: eventCreated
    },
    eventTime: null,
    reason: "FailedScheduling",
    note: sight.note,
    type: "Warning",
    reportingController: "default-scheduler",
    regarding: {
      kind: "Pod",
      namespace: madeNamespace,
      name: "web",
      uid: "8f2b3c1e-13d5-4c4e-9f5a-0a8f5f0b6c22",
      apiVersion: "v1"
    },
    deprecatedCount: sight.count,
    deprecatedFirstTimestamp: eventCreated,
    deprecatedLastTimestamp: now.slice(0, 19) + "Z"
  }
  const event = Result.getOrThrow(kubernetesEventFrom(json, { cluster: "local", tenant: platformTenant }))
  await Effect.runPromise(
    Nats.use((nats) => nats.publish([eventMessage(event, mark)])).pipe(
      Effect.provide(natsLayer({ servers: [up.endpoints.nats], name: "test" })),
      Effect.scoped
    )
  )
}

const eventCreated = `${new Date().toISOString().slice(0, 19)}Z`

/** By name: what the activities of the recorded audit records say, read by a person. The list also has those of Events. */
const goldenOfRecords = (): ReadonlyMap<string, string> => {
  const folder = join(projectFolder, "infra/policies")
  const auditRules = new Set(
    readdirSync(folder)
      .filter((name) => name.endsWith(".yaml"))
      .flatMap((name) => {
        const { metadata, spec } = parse(readFileSync(join(folder, name), "utf8"))
        return (spec.auditRules ?? []).map((rule: { readonly name: string }) => `${metadata.name}/${rule.name}`)
      })
  )
  const lines = readFileSync(join(projectFolder, "test/data/golden-activities.tsv"), "utf8").trim().split("\n")
  return new Map(
    lines.flatMap((line) => {
      const [name = "", rule = "", summary = ""] = line.split("\t")
      return auditRules.has(rule) ? [[name, summary] as const] : []
    })
  )
}
