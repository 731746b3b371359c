/**
 * One webhook batch is followed through the programs, by the spans that a collector of traces gets from them.
 *
 * The programs run as processes of their own, on a real nats-server and on a ClickHouse bridge (the embedded engine
 * behind HTTP, not a ClickHouse server).
 */
import { assert, describe, it } from "@effect/vitest"
import { randomBytes } from "node:crypto"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { projectFolder } from "../../.ci/projectFolder.ts"
import { connectBus } from "../support/bus.ts"
import { eventually } from "../support/eventually.ts"
import { freePort } from "../support/freePort.ts"
import { madeNamespace, type MadeRecord, madeRecords, recordText } from "../support/madeRecords.ts"
import { type RunningProgram, startSystem, type System } from "../support/system.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"
import { type CollectedSpan, startTraceCollector, type TraceCollector } from "../support/traceCollector.ts"
import { startUp } from "../support/up.ts"

const batchBody = (records: ReadonlyArray<MadeRecord>): string =>
  `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[${records.map(recordText).join(",")}]}`

const placePolicy = async (api: RunningProgram): Promise<void> => {
  const answer = await api.request("/apis/activity.miloapis.com/v1alpha1/activitypolicies", {
    method: "POST",
    headers: { "content-type": "application/yaml" },
    body: readFileSync(join(projectFolder, "infra/policies/core-configmap.yaml"), "utf8")
  })
  assert.strictEqual(answer.status, 201, answer.text)
}

const listPath = `/apis/activity.miloapis.com/v1alpha1/namespaces/${madeNamespace}/activities`

/** A trace of somebody else's. */
const traceOfSender = (sampled: boolean) => {
  const traceId = randomBytes(16).toString("hex")
  const spanId = randomBytes(8).toString("hex")
  return { traceId, spanId, traceparent: `00-${traceId}-${spanId}-${sampled ? "01" : "00"}` }
}

/** `service name of its parent's`, "" where the parent is not among them. */
const kinship = (spans: ReadonlyArray<CollectedSpan>): ReadonlyArray<string> =>
  spans
    .map(({ name, parentSpanId, service }) => {
      const parent = spans.find(({ spanId }) => spanId === parentSpanId)
      return `${service} ${name} < ${parent === undefined ? "" : parent.name}`
    })
    .toSorted()

/** What a batch of webhook records leaves in its trace, with the first list that shows its activities. */
const wholeTrace = (
  root: string,
  services = {
    collector: "activity-collector",
    processor: "activity-processor",
    writer: "activity-writer",
    apiserver: "activity-apiserver"
  }
) =>
  [
    `${services.collector} collector.webhook < ${root}`,
    `${services.collector} collector.acceptBatch < collector.webhook`,
    `${services.processor} processor.batch < collector.acceptBatch`,
    `${services.writer} writer.batch < collector.acceptBatch`,
    `${services.writer} ClickHouse.insert < writer.batch`,
    `${services.writer} writer.batch < processor.batch`,
    `${services.writer} ClickHouse.insert < writer.batch`,
    `${services.apiserver} apiserver.shown < processor.batch`
  ].toSorted()

/** @param flags of all; `collectorFlags` of the collector alone */
const startAll = async (system: System, flags: ReadonlyArray<string>, collectorFlags: ReadonlyArray<string> = []) => {
  const collector = await system.start("collector", [...flags, ...collectorFlags])
  const writer = await system.start("writer", flags)
  const processor = await system.start("processor", flags)
  const api = await system.start("apiserver", flags)
  await placePolicy(api)
  return { collector, processor, writer, api }
}

/** Lists until all `count` activities are there. */
const listAll = (api: RunningProgram, count: number, headers: Readonly<Record<string, string>> = {}) =>
  eventually(`${count} activities are listed`, async () => {
    const answer = await api.request(listPath, { headers })
    return answer.status === 200 && answer.json().items.length === count
  })

const spansOf = (collector: TraceCollector, traceId: string, count: number) =>
  eventually(`the trace has ${count} spans`, () => {
    const spans = collector.ofTrace(traceId)
    return spans.length >= count ? spans : undefined
  })

describe("a trace", () => {
  it(
    "goes from a webhook batch through collector, processor and writer to the list that shows it",
    { timeout: 180_000 },
    async () => {
      await using traces = await startTraceCollector()
      await using system = await startSystem()
      const { api, collector } = await startAll(system, [
        "--otlp-endpoint",
        traces.url,
        "--otlp-headers",
        "x-key=a%20b"
      ])

      const answer = await collector.request("", { method: "POST", body: batchBody(madeRecords("begun", 7)) })
      assert.strictEqual(answer.status, 200, answer.text)
      const reader = traceOfSender(true)
      await listAll(api, 7, { traceparent: reader.traceparent })

      const root = await eventually("the webhook's span", () =>
        traces.spans().find(({ name }) => name === "collector.webhook")
      )
      const spans = await spansOf(traces, root.traceId, 8)
      assert.deepStrictEqual(kinship(spans), wholeTrace(""))
      assert.strictEqual(traces.headers()["x-key"], "a b")
      const byName = (name: string) => spans.filter((span) => span.name === name)
      assert.deepInclude(byName("collector.acceptBatch")[0]?.attributes, {
        "activity.records": 7,
        "activity.accepted": 7
      })
      assert.deepInclude(byName("processor.batch")[0]?.attributes, { "activity.messages": 7, "activity.activities": 7 })
      assert.deepStrictEqual(
        byName("writer.batch").map(({ attributes }) => [
          attributes["activity.stream"],
          attributes["activity.messages"]
        ]),
        [
          ["AUDIT_EVENTS", 7],
          ["ACTIVITIES", 7]
        ]
      )
      for (const { endNanos, startNanos } of spans) assert.isTrue(endNanos >= startNanos)
      // The list is a request of its own, in the trace of who asked, and is led to from what it showed.
      const [shown] = byName("apiserver.shown")
      const asked = await eventually("the request that showed it", () => {
        const spans = traces.ofTrace(reader.traceId)
        const reading = spans.find(({ spanId }) => spanId === shown?.links[0]?.spanId)
        return spans.find(({ name, spanId }) => name === "apiserver.list" && spanId === reading?.parentSpanId)
      })
      assert.strictEqual(asked.parentSpanId, reader.spanId)
      assert.deepInclude(asked.attributes, { "activity.resource": "activities", "http.response.status_code": 200 })
      assert.deepInclude(shown?.attributes, { "activity.resource": "activities", "activity.facts": 7 })
      // Only who shows them first is part of the trace.
      await listAll(api, 7)
      await eventually(
        "the later list is told",
        () => traces.spans().filter(({ name }) => name === "apiserver.list").length >= 2
      )
      assert.lengthOf(traces.ofTrace(root.traceId), 8)
    }
  )

  it(
    "is the sender's where it has one, and is not recorded where the sender does not want it",
    { timeout: 180_000 },
    async () => {
      await using traces = await startTraceCollector()
      await using system = await startSystem()
      const { api, collector } = await startAll(system, ["--otlp-endpoint", traces.url, "--trace-ratio", "0"])
      const wanted = traceOfSender(true)
      const unwanted = traceOfSender(false)
      const broken = "00-00000000000000000000000000000000-0000000000000000-01"
      for (const [name, traceparent] of Object.entries({
        wanted: wanted.traceparent,
        unwanted: unwanted.traceparent,
        broken,
        none: ""
      })) {
        const answer = await collector.request("", {
          method: "POST",
          body: batchBody(madeRecords(name, 3)),
          headers: traceparent === "" ? {} : { traceparent }
        })
        assert.strictEqual(answer.status, 200, answer.text)
      }
      await listAll(api, 12)
      const spans = await spansOf(traces, wanted.traceId, 8)
      assert.deepStrictEqual(kinship(spans), wholeTrace(""))
      assert.strictEqual(spans.find(({ name }) => name === "collector.webhook")?.parentSpanId, wanted.spanId)
      // All of them have been through: what else is traced would be here.
      assert.lengthOf(traces.spans(), 8)
      await using bus = connectBus(system.nats.url)
      const carried = (await bus.messages("AUDIT_EVENTS")).map((message) => message.header("traceparent"))
      assert.strictEqual(carried.length, 12)
      assert.lengthOf(
        carried.filter((traceparent) => traceparent.startsWith(`00-${wanted.traceId}-`)),
        3
      )
      assert.lengthOf(
        carried.filter((traceparent) => traceparent === ""),
        9
      )
    }
  )

  it("is told by up too", { timeout: 180_000 }, async () => {
    await using traces = await startTraceCollector()
    await using folder = await temporaryFolder("tracing")
    const up = await startUp(folder.path, { flags: ["--no-demo", "--otlp-endpoint", traces.url] })
    const answer = await up.post(madeRecords("up", 5).map(recordText))
    assert.strictEqual(answer.status, 200, answer.text)
    await eventually("5 activities are listed", async () => (await up.api(listPath)).json().items.length === 5)
    const root = await eventually("the webhook's span", () =>
      traces.spans().find(({ name }) => name === "collector.webhook")
    )
    const one = { collector: "activity-up", processor: "activity-up", writer: "activity-up", apiserver: "activity-up" }
    assert.deepStrictEqual(kinship(await spansOf(traces, root.traceId, 8)), wholeTrace("", one))
    // What it holds when it is stopped is still sent.
    await up.post(madeRecords("last", 1).map(recordText))
    await up.process.terminate()
    assert.lengthOf(
      traces.spans().filter(({ name }) => name === "collector.webhook"),
      2
    )
  })
})

describe("a collector of traces that hangs", () => {
  it(
    "holds up nothing: every record arrives, spans are lost and counted, and come again when it answers",
    { timeout: 240_000 },
    async () => {
      await using traces = await startTraceCollector()
      await using system = await startSystem()
      const operations = `127.0.0.1:${await freePort()}`
      const { api, collector } = await startAll(system, ["--otlp-endpoint", traces.url], ["--ops-listen", operations])
      const lost = async (): Promise<number> => {
        const text = await (await fetch(`http://${operations}/metrics`)).text()
        return Number(/^activity_trace_spans_total\{[^}]*outcome="lost"[^}]*\} (\d+)/m.exec(text)?.[1] ?? 0)
      }
      traces.behave("hangs")
      const batches = 60
      for (let batch = 0; batch < batches; batch++) {
        const answer = await collector.request("", {
          method: "POST",
          body: batchBody(madeRecords("hung", 10, batch * 10))
        })
        assert.strictEqual(answer.status, 200, answer.text)
        // Four programs, one request each.
        assert.isAtMost(traces.requests().waiting, 4)
      }
      await listAll(api, batches * 10)
      await eventually("spans are counted as lost", async () => (await lost()) > 0, { deadlineMillis: 60_000 })
      assert.match(collector.process.log(), /"level":"warn","message":"traces are lost"/)

      traces.behave("takes")
      const later = traceOfSender(true)
      await collector.request("", {
        method: "POST",
        body: batchBody(madeRecords("later", 2)),
        headers: { traceparent: later.traceparent }
      })
      await listAll(api, batches * 10 + 2)
      const spans = await eventually(
        "the later trace is whole",
        () => {
          const found = traces.ofTrace(later.traceId)
          return found.length >= 8 ? found : undefined
        },
        { deadlineMillis: 60_000 }
      )
      assert.deepStrictEqual(kinship(spans), wholeTrace(""))
    }
  )
})
