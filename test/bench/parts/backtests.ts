/** The API server of the tests, filled with records of one kind, and backtests of that kind's policy, one after the other. */
import { Effect, Result } from "effect"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { isJsonObject, type Json, objectAt, textAt } from "../../../src/domain/AuditRecord.ts"
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
}

const runs = 3
const rowsAtOnce = 5_000

/** Changes of Deployments, 4.6 KB each on the average; three quarters are of their status. */
const bodies = auditRecordLines().flatMap((line) => {
  // What a cluster wrote is JSON.
  const body = JSON.parse(line) as Json
  const changes = ["create", "update", "patch", "delete"].includes(textAt(body, "verb"))
  const ofDeployment = textAt(objectAt(body, "objectRef"), "resource") === "deployments"
  return changes && ofDeployment && isJsonObject(body) ? [body] : []
})

const api = await startApi({ writer: false })
const began = Date.now()
const rowOf = (index: number) => {
  const text = JSON.stringify({
    ...bodies[index % bodies.length],
    auditID: `made-${index}`,
    requestReceivedTimestamp: new Date(began - 60_000 - index * 20).toISOString().replace("Z", "123Z")
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
const post = (plural: string, body: object) =>
  api.request("admin", `${group}/${plural}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body)
  })
const apiVersion = "activity.miloapis.com/v1alpha1"
const policy = samplePolicies().find(({ spec }) => spec.resource.kind === "Deployment")
if (policy === undefined) throw new Error("no sample policy is for Deployments")
await post("activitypolicies", { ...policy, apiVersion })
const changed = policy.spec.auditRules?.map((rule, index) =>
  index === 0 ? { ...rule, summary: `${rule.summary}!` } : rule
)
const preview = {
  apiVersion,
  kind: "PolicyPreview",
  spec: {
    policy: { ...policy.spec, auditRules: changed },
    policyName: policy.metadata.name,
    backtest: { timeRange: { start: "now-1d" } }
  }
}
let read = 0
const delays = monitorEventLoopDelay({ resolution: 5 })
delays.enable()
const spent = await spend(events * runs, async () => {
  for (let run = 0; run < runs; run++) {
    const answer = await post("policypreviews", preview)
    if (answer.status !== 201) throw new Error(answer.text)
    read = answer.json().status.backtest.facts
  }
})
delays.disable()
const { rssMaxBytes } = usageOf(process.pid)
await api[Symbol.asyncDispose]()
answerPart({ ...spent, rssMaxBytes, read, loopDelayMillisMax: delays.max / 1e6 } satisfies BacktestAnswer)
