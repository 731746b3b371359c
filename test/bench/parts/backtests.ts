/** The API server of the tests, filled with records of one kind, and backtests of that kind's policy, one after the other. */
import { Effect, Result } from "effect"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { ClickHouse } from "../../../src/clients/clickhouse/ClickHouse.ts"
import { isJsonObject, type Json, type JsonObject, objectAt, textAt } from "../../../src/domain/AuditRecord.ts"
import { platformTenant } from "../../../src/domain/Tenant.ts"
import { auditRecordFrom } from "../../../src/normalise/auditRecordFrom.ts"
import { insertRows } from "../../../src/store/insertRows.ts"
import { auditLogLine } from "../../../src/store/rows.ts"
import { samplePolicies } from "../../process/scenarios.ts"
import { group, startApi } from "../../serve/apiFixture.ts"
import { auditRecordLines } from "../../support/recordedData.ts"
import type { Spent } from "../Benchmark.ts"
import { answerPart, partOptions, spend } from "../processes.ts"
import { usageOf } from "../usage.ts"

const { events } = partOptions<{ readonly events: number }>()

export interface BacktestAnswer extends Spent {
  readonly rssMaxBytes: number
  /** Of the stored ones, those that a rule could be asked about. */
  readonly read: number
  readonly loopDelayMillisMax: number
  /** Records of which every one is read, and told of twice. */
  readonly told: Spent
  /** From the end of the client's connection until the engine runs nothing of it and the user may run another one. */
  readonly cancelMillis: ReadonlyArray<number>
  /** Of the heap and of what it holds outside, after those that were cancelled, beyond what it was before them. */
  readonly keptBytes: number
}

const runs = 3
const cancelled = 8
const rowsAtOnce = 5_000

/** Changes of Deployments, 4.6 KB each on the average; three quarters are of their status. */
const bodies = auditRecordLines().flatMap((line) => {
  // What a cluster wrote is JSON.
  const body = JSON.parse(line) as Json
  const changes = ["create", "update", "patch", "delete"].includes(textAt(body, "verb"))
  const ofDeployment = textAt(objectAt(body, "objectRef"), "resource") === "deployments"
  return changes && ofDeployment && isJsonObject(body) ? [body] : []
})
const ofMainResources = bodies.filter((body) => textAt(objectAt(body, "objectRef"), "subresource") === "")

const api = await startApi({ writer: false })
const dayMillis = 86_400_000
const began = Date.now()
const insert = async (name: string, some: ReadonlyArray<JsonObject>, newestMillis: number) => {
  const rowOf = (index: number) => {
    const text = JSON.stringify({
      ...some[index % some.length],
      auditID: `${name}-${index}`,
      requestReceivedTimestamp: new Date(newestMillis - index * 20).toISOString().replace("Z", "123Z")
    })
    return auditLogLine(
      Result.getOrThrow(auditRecordFrom(text, { cluster: "local", defaultTenant: platformTenant })),
      index + 1
    )
  }
  for (let from = 0; from < events; from += rowsAtOnce) {
    const rows = Array.from({ length: Math.min(rowsAtOnce, events - from) }, (_, index) => rowOf(from + index))
    await api.run(insertRows({ table: "audit_logs", rows, onPoison: (_, refused) => Effect.die(refused) }))
  }
}
await insert("mixed", bodies, began - 60_000)
await insert("main", ofMainResources, began - 2 * dayMillis)
const asked = (plural: string, body: object, signal?: AbortSignal) =>
  api.request("admin", `${group}/${plural}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    ...(signal === undefined ? {} : { signal })
  })
const apiVersion = "activity.miloapis.com/v1alpha1"
const policy = samplePolicies().find(({ spec }) => spec.resource.kind === "Deployment")
if (policy === undefined) throw new Error("no sample policy is for Deployments")
await asked("activitypolicies", { ...policy, apiVersion })
const changed = policy.spec.auditRules?.map((rule, index) =>
  index === 0 ? { ...rule, summary: `${rule.summary}!` } : rule
)
const preview = (backtest: object) => ({
  apiVersion,
  kind: "PolicyPreview",
  spec: { policy: { ...policy.spec, auditRules: changed }, policyName: policy.metadata.name, backtest }
})
const mixed = preview({ timeRange: { start: "now-1d" } })
const main = preview({ timeRange: { start: "now-4d", end: "now-1d" } })
const run = async (body: object): Promise<number> => {
  const answer = await asked("policypreviews", body)
  if (answer.status !== 201) throw new Error(answer.text)
  return answer.json().status.backtest.facts
}

let read = 0
const delays = monitorEventLoopDelay({ resolution: 5 })
delays.enable()
const spent = await spend(events * runs, async () => {
  for (let count = 0; count < runs; count++) read = await run(mixed)
})
const told = await spend(events, async () => {
  const facts = await run(main)
  if (facts !== events) throw new Error(`of ${events} records ${facts} were told`)
})
delays.disable()

setFlagsFromString("--expose-gc")
const collect: unknown = runInNewContext("gc")
const held = (): number => {
  if (typeof collect === "function") collect()
  const { external, heapUsed } = process.memoryUsage()
  return heapUsed + external
}
/** A backtest that is refused as soon as the user may run one. */
const refused = preview({ timeRange: { start: "now-1d" }, continue: "none" })
const isOver = async (): Promise<boolean> => {
  if ((await asked("policypreviews", refused)).status === 429) return false
  const reading =
    "SELECT 1 FROM system.processes WHERE query LIKE '%audit_logs%' AND query NOT LIKE '%system.processes%'"
  return (await api.run(ClickHouse.use((clickhouse) => clickhouse.query({ sql: reading })))).length === 0
}
const cancelMillis: Array<number> = []
const heldBefore = held()
for (let count = 0; count < cancelled; count++) {
  const client = new AbortController()
  const ended = asked("policypreviews", main, client.signal).catch(() => undefined)
  // At another place of its work each time.
  await new Promise((resolve) => setTimeout(resolve, (told.seconds * 1_000 * (count + 1)) / (cancelled + 2)))
  // It was faster than the one before.
  if ((await asked("policypreviews", refused)).status !== 429) continue
  const left = performance.now()
  client.abort()
  while (!(await isOver())) await new Promise((resolve) => setTimeout(resolve, 1))
  cancelMillis.push(performance.now() - left)
  await ended
}
if (cancelMillis.length === 0) throw new Error("each was over before it was cancelled")
const keptBytes = held() - heldBefore
const { rssMaxBytes } = usageOf(process.pid)
await api[Symbol.asyncDispose]()
answerPart({
  ...spent,
  rssMaxBytes,
  read,
  loopDelayMillisMax: delays.max / 1e6,
  told,
  cancelMillis,
  keptBytes
} satisfies BacktestAnswer)
