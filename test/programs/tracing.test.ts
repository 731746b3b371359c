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
import { isDeepStrictEqual } from "node:util"
import { projectFolder } from "../../.ci/projectFolder.ts"
import { connectBus } from "../support/bus.ts"
import { eventually } from "../support/eventually.ts"
import { freePort } from "../support/freePort.ts"
import { writeKubeconfig } from "../support/kubeconfig.ts"
import { startListWatchServer } from "../support/listWatchServer.ts"
import { madeNamespace, type MadeRecord, madeRecords, recordText } from "../support/madeRecords.ts"
import { type RunningProgram, startSystem, type System } from "../support/system.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"
import { type CollectedSpan, startTraceCollector, type TraceCollector } from "../support/traceCollector.ts"
import { startUp } from "../support/up.ts"
import { startLeader } from "./exporter/startExporter.ts"

const listPath = `/apis/activity.miloapis.com/v1alpha1/namespaces/${madeNamespace}/activities`

const placePolicy = async (api: RunningProgram): Promise<void> => {
  const answer = await api.request("/apis/activity.miloapis.com/v1alpha1/activitypolicies", {
    method: "POST",
    headers: { "content-type": "application/yaml" },
    body: readFileSync(join(projectFolder, "infra/policies/core-configmap.yaml"), "utf8")
  })
  assert.strictEqual(answer.status, 201, answer.text)
}

/** Each of them with the same flags; `collectorFlags` are the collector's alone. */
const startAll = async (system: System, flags: ReadonlyArray<string>, collectorFlags: ReadonlyArray<string> = []) => {
  const collector = await system.start("collector", [...flags, ...collectorFlags])
  await system.start("writer", flags)
  await system.start("processor", flags)
  const api = await system.start("apiserver", flags)
  await placePolicy(api)
  return { collector, api }
}

const post = async (collector: RunningProgram, records: ReadonlyArray<MadeRecord>, traceparent?: string) => {
  const answer = await collector.request("", {
    method: "POST",
    body: `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[${records.map(recordText).join(",")}]}`,
    headers: traceparent === undefined ? {} : { traceparent }
  })
  assert.strictEqual(answer.status, 200, answer.text)
}

/** Lists until all `count` activities are there. */
const listAll = (api: RunningProgram, count: number, headers: Readonly<Record<string, string>> = {}) =>
  eventually(`${count} activities are listed`, async () => {
    const answer = await api.request(listPath, { headers })
    return answer.status === 200 && answer.json().items.length === count
  })

/** A trace that somebody else began. */
const traceOfSender = (flags: "00" | "01") => {
  const traceId = randomBytes(16).toString("hex")
  const spanId = randomBytes(8).toString("hex")
  return { traceId, spanId, traceparent: `00-${traceId}-${spanId}-${flags}` }
}

/** `service: name < name of its parent`, each once: a batch may be taken in two pieces. */
const kinshipOf = (spans: ReadonlyArray<CollectedSpan>): ReadonlyArray<string> => [
  ...new Set(
    spans
      .map(({ name, parentSpanId, service }) => {
        const parent = spans.find(({ spanId }) => spanId === parentSpanId)
        return `${service}: ${name} < ${parent === undefined ? "another's" : parent.name}`
      })
      .toSorted()
  )
]

/** What a webhook batch leaves in its trace, up to the first list that shows its activities. */
const wholeTrace = (serviceOf: (program: string) => string = (program) => `activity-${program}`) =>
  [
    `${serviceOf("collector")}: collector.webhook < another's`,
    `${serviceOf("collector")}: collector.acceptBatch < collector.webhook`,
    `${serviceOf("processor")}: processor.batch < collector.acceptBatch`,
    `${serviceOf("writer")}: writer.batch < collector.acceptBatch`,
    `${serviceOf("writer")}: writer.batch < processor.batch`,
    `${serviceOf("writer")}: ClickHouse.insert < writer.batch`,
    `${serviceOf("apiserver")}: apiserver.shown < processor.batch`
  ].toSorted()

/** Waits for the spans of a trace of so many records, and compares them. */
const wholeTraceIn = async (
  traces: TraceCollector,
  traceId: string,
  records: number,
  expected: ReadonlyArray<string> = wholeTrace()
): Promise<ReadonlyArray<CollectedSpan>> => {
  const isWhole = (spans: ReadonlyArray<CollectedSpan>): boolean =>
    isDeepStrictEqual(kinshipOf(spans), expected) &&
    // The records, and their activities.
    sumOf(spans, "writer.batch", "activity.messages") >= 2 * records &&
    sumOf(spans, "apiserver.shown", "activity.facts") >= records
  await eventually("the trace is whole", () => isWhole(traces.ofTrace(traceId))).catch(() => undefined)
  const spans = traces.ofTrace(traceId)
  assert.deepStrictEqual(kinshipOf(spans), expected)
  return spans
}

const webhookSpan = (traces: TraceCollector) =>
  eventually("the webhook's span", () => traces.spans().find(({ name }) => name === "collector.webhook"))

const sumOf = (spans: ReadonlyArray<CollectedSpan>, name: string, attribute: string): number =>
  spans.reduce((sum, span) => sum + (span.name === name ? Number(span.attributes[attribute] ?? 0) : 0), 0)

describe("a trace", { timeout: 180_000 }, () => {
  it("goes from a webhook batch through collector, processor and writer to the list that shows it", async () => {
    await using traces = await startTraceCollector()
    await using system = await startSystem()
    const flags = ["--otlp-endpoint", traces.url, "--otlp-headers", "x-key=a%20b"]
    const { api, collector } = await startAll(system, flags)
    await post(collector, madeRecords("begun", 7))
    const reader = traceOfSender("01")
    await listAll(api, 7, { traceparent: reader.traceparent })

    const root = await webhookSpan(traces)
    assert.strictEqual(root.parentSpanId, "")
    assert.strictEqual(traces.headers()["x-key"], "a b")
    const spans = await wholeTraceIn(traces, root.traceId, 7)
    assert.strictEqual(sumOf(spans, "collector.acceptBatch", "activity.accepted"), 7)
    assert.strictEqual(sumOf(spans, "processor.batch", "activity.messages"), 7)
    assert.strictEqual(sumOf(spans, "processor.batch", "activity.activities"), 7)
    // Its records, and its activities.
    assert.strictEqual(sumOf(spans, "writer.batch", "activity.messages"), 14)
    assert.strictEqual(sumOf(spans, "apiserver.shown", "activity.facts"), 7)
    for (const { endNanos, startNanos } of spans) assert.isTrue(endNanos >= startNanos)

    // The request is in the trace of who asked; what it showed leads there.
    const shown = spans.find(({ name }) => name === "apiserver.shown")
    const asked = await eventually("the request that showed it", () => {
      const ofReader = traces.ofTrace(reader.traceId)
      const reading = ofReader.find(({ spanId }) => spanId === shown?.links[0]?.spanId)
      return ofReader.find(({ name, spanId }) => name === "apiserver.list" && spanId === reading?.parentSpanId)
    })
    assert.strictEqual(asked.parentSpanId, reader.spanId)
    assert.deepInclude(asked.attributes, { "activity.resource": "activities", "http.response.status_code": 200 })

    // Who lists them later is no part of it.
    const later = traceOfSender("01")
    await listAll(api, 7, { traceparent: later.traceparent })
    await eventually("the later list is told", () => traces.ofTrace(later.traceId).length > 0)
    assert.lengthOf(traces.ofTrace(root.traceId), spans.length)
  })

  it("is the sender's where there is one, and is not recorded where the sender does not want it", async () => {
    await using traces = await startTraceCollector()
    await using system = await startSystem()
    const { api, collector } = await startAll(system, ["--otlp-endpoint", traces.url, "--trace-ratio", "0"])
    const wanted = traceOfSender("01")
    await post(collector, madeRecords("wanted", 3), wanted.traceparent)
    await post(collector, madeRecords("unwanted", 3), traceOfSender("00").traceparent)
    await post(collector, madeRecords("broken", 3), `00-${"0".repeat(32)}-${"0".repeat(16)}-01`)
    await post(collector, madeRecords("none", 3))
    await listAll(api, 12)
    const spans = await wholeTraceIn(traces, wanted.traceId, 3)
    assert.strictEqual(spans.find(({ name }) => name === "collector.webhook")?.parentSpanId, wanted.spanId)
    // All twelve have been through, and nothing else is told.
    assert.lengthOf(traces.spans(), spans.length)
    await using bus = connectBus(system.nats.url)
    const carried = (await bus.messages("AUDIT_EVENTS")).map((message) => message.header("traceparent"))
    assert.deepStrictEqual(
      carried.map((traceparent) => traceparent.slice(3, 35)),
      [...Array<string>(3).fill(wanted.traceId), ...Array<string>(9).fill("")]
    )
  })

  it("is gone on with by the audit record of a request of the API, whose ID it has", async () => {
    await using traces = await startTraceCollector()
    await using system = await startSystem()
    await system.start("writer")
    const api = await system.start("apiserver", ["--otlp-endpoint", traces.url, "--record-requests", "direct"])
    const caller = traceOfSender("01")
    const headers = { traceparent: caller.traceparent, "audit-id": "a-request-of-ours" }
    assert.strictEqual((await api.request(listPath, { headers })).status, 200)
    await using bus = connectBus(system.nats.url)
    const [record] = await eventually("the request is recorded", async () => {
      const messages = await bus.messages("AUDIT_EVENTS")
      return messages.length > 0 ? messages : undefined
    })
    assert.strictEqual(JSON.parse(Buffer.from(record?.body ?? "").toString()).auditID, "a-request-of-ours")
    assert.strictEqual(record?.header("traceparent").slice(3, 35), caller.traceId)
    const list = await eventually("the request's span", () =>
      traces.ofTrace(caller.traceId).find(({ name }) => name === "apiserver.list")
    )
    assert.strictEqual(list.attributes["activity.audit_id"], "a-request-of-ours")
  })

  it("begins with what the exporter publishes of Events too, up to the list of eventrecords", async () => {
    await using traces = await startTraceCollector()
    await using system = await startSystem()
    await using server = await startListWatchServer()
    const flags = ["--otlp-endpoint", traces.url]
    await system.start("writer", flags)
    const api = await system.start("apiserver", flags)
    const kubeconfig = writeKubeconfig(system.folder, server.url)
    await using _exporter = await startLeader({ kubeconfig, natsUrl: system.nats.url, flags })
    server.play(50)
    const begun = await eventually("the exporter's span", () =>
      traces.spans().find(({ name, service }) => name === "exporter.batch" && service === "activity-exporter")
    )
    // The recorded Events are of a day that has passed.
    const path = "/apis/activity.miloapis.com/v1/eventrecords?start=now-7300d"
    await eventually("Events are listed", async () => (await api.request(path)).json().items.length > 0)
    const expected = [
      "activity-exporter: exporter.batch < another's",
      "activity-writer: writer.batch < exporter.batch",
      "activity-apiserver: apiserver.shown < exporter.batch"
    ]
    await eventually("its trace goes on", () =>
      expected.every((line) => kinshipOf(traces.ofTrace(begun.traceId)).includes(line))
    )
  })

  it("is told by up too, also what it holds when it is stopped", async () => {
    await using traces = await startTraceCollector()
    await using folder = await temporaryFolder("tracing")
    const up = await startUp(folder.path, { flags: ["--no-demo", "--otlp-endpoint", traces.url] })
    await up.post(madeRecords("up", 5).map(recordText))
    // A query shows them as a list does.
    const query = {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        apiVersion: "activity.miloapis.com/v1alpha1",
        kind: "ActivityQuery",
        spec: { startTime: "now-1h", endTime: "now", filter: `spec.resource.namespace == '${madeNamespace}'` }
      })
    }
    await eventually("5 activities are found", async () => {
      const answer = await up.api("/apis/activity.miloapis.com/v1alpha1/activityqueries", query)
      assert.strictEqual(answer.status, 201, answer.text)
      return answer.json().status.results.length === 5
    })
    const root = await webhookSpan(traces)
    await wholeTraceIn(
      traces,
      root.traceId,
      5,
      wholeTrace(() => "activity-up")
    )
    await up.post(madeRecords("last", 1).map(recordText))
    await up.process.terminate()
    assert.lengthOf(
      traces.spans().filter(({ name }) => name === "collector.webhook"),
      2
    )
  })
})

describe("a collector of traces that hangs", { timeout: 240_000 }, () => {
  it("holds up nothing: every record arrives, spans are lost and counted, and come again when it answers", async () => {
    await using traces = await startTraceCollector()
    await using system = await startSystem()
    const operations = `127.0.0.1:${await freePort()}`
    const { api, collector } = await startAll(system, ["--otlp-endpoint", traces.url], ["--ops-listen", operations])
    const lost = async (): Promise<number> => {
      const text = await (await fetch(`http://${operations}/metrics`)).text()
      return Number(/^activity_trace_spans_total\{outcome="lost"\} (\d+)/m.exec(text)?.[1] ?? 0)
    }
    traces.behave("hangs")
    const batches = 60
    for (let batch = 0; batch < batches; batch++) {
      await post(collector, madeRecords("hung", 10, batch * 10))
      // Four programs, one request each; one that was given up may be noticed after the next has come.
      await eventually("no more requests wait than programs ask", () => traces.requests().waiting <= 4)
    }
    await listAll(api, batches * 10)
    await eventually("spans are counted as lost", async () => (await lost()) > 0)
    assert.match(collector.process.log(), /"level":"warn","message":"traces are lost"/)

    traces.behave("takes")
    const later = traceOfSender("01")
    await post(collector, madeRecords("later", 2), later.traceparent)
    await listAll(api, batches * 10 + 2)
    await wholeTraceIn(traces, later.traceId, 2)
  })
})
