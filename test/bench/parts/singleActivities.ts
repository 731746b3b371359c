/** What was changed, worked out for single activities by the code that serves them, from records in the embedded engine. */
import { Effect, Layer } from "effect"
import { ClickHouse, type Row } from "../../../src/clients/clickhouse/ClickHouse.ts"
import { layerFromUrl } from "../../../src/clients/clickhouse/layerFromUrl.ts"
import type { Activity } from "../../../src/domain/Activity.ts"
import { activityKey } from "../../../src/domain/identity.ts"
import type { Tenant } from "../../../src/domain/Tenant.ts"
import { activityChanges } from "../../../src/serve/changes/activityChanges.ts"
import { FactQueries } from "../../../src/store/FactQueries.ts"
import { migrate } from "../../../src/store/migrate.ts"
import type { Spent } from "../Benchmark.ts"
import * as made from "../madeRecords.ts"
import { answerPart, partOptions } from "../processes.ts"
import { usageOf } from "../usage.ts"

const { folder, rounds, rows } = partOptions<{
  readonly folder: string
  readonly rounds: number
  readonly rows: number
}>()

export interface SingleActivitiesAnswer extends Spent {
  readonly rssMaxBytes: number
  readonly shapes: Readonly<Record<string, Readonly<Record<string, number>>>>
}

/** Records of what sort the activities are made from. */
const shapes: Readonly<Record<string, { readonly tenant: Tenant; readonly where: string }>> = {
  largest_tenant: { tenant: made.largest, where: "resource_name LIKE 'object-%'" },
  largest_tenant_shared_name: { tenant: made.largest, where: `resource_name = '${made.sharedName}'` },
  largest_project: { tenant: made.largestProject, where: "resource_name LIKE 'object-%'" }
}

/** How many are made by one statement. */
const loadRows = 125_000

const load = Effect.gen(function* () {
  const clickhouse = yield* ClickHouse
  yield* migrate()
  const [stored] = yield* clickhouse.query({ sql: "SELECT toUInt32(count()) AS n FROM audit_logs" })
  if (Number(stored?.["n"]) > 0) return
  const parts = Math.ceil(rows / loadRows)
  const end = new Date().toISOString().slice(0, 10)
  for (let part = 0; part < parts; part++) {
    console.error(`changes: making records: ${part * loadRows} of ${rows}`)
    yield* clickhouse.command(made.insertRecords({ count: rows, everyNth: parts, remainder: part, end }))
  }
  console.error("changes: merging them")
  yield* clickhouse.command("OPTIMIZE TABLE audit_logs FINAL")
})

/** As the processor would have made it, as far as it is looked at. */
const activityOf = (row: Row, tenant: Tenant): Pick<Activity, "metadata" | "spec"> => {
  const timestamp = `${String(row["time"]).replace(" ", "T")}Z`
  const uid = activityKey(made.cluster, "audit", String(row["key"]))
  return {
    metadata: { name: "", uid, creationTimestamp: timestamp, labels: {} },
    spec: {
      summary: "",
      changeSource: "human",
      timestamp,
      cluster: made.cluster,
      actor: { type: "user", name: "" },
      resource: { kind: "Deployment", name: "" },
      tenant,
      outcome: "Success",
      statusCode: 200,
      verb: String(row["verb"]),
      origin: { type: "audit", id: String(row["audit_id"]) },
      policy: { name: "", generation: 1, rule: "" }
    }
  }
}

const measure = Effect.gen(function* () {
  const clickhouse = yield* ClickHouse
  const queries = yield* FactQueries
  const measured: Record<string, Readonly<Record<string, number>>> = {}
  const total = { events: 0, seconds: 0, cpuSeconds: 0 }
  for (const [name, { tenant, where }] of Object.entries(shapes)) {
    console.error(`changes: ${name}`)
    const chosen = yield* clickhouse.query({
      sql:
        "SELECT toString(ts) AS time, toString(id) AS key, audit_id, verb FROM audit_logs " +
        `WHERE tenant_type = '${tenant.type}' AND tenant_name = '${tenant.name}' AND subresource = '' ` +
        `AND verb IN ('update', 'patch') AND ${where} ORDER BY cityHash64(id) LIMIT ${rounds + 1}`
    })
    const millis: Array<number> = []
    const cpuMillis: Array<number> = []
    let told = 0
    // Once before, for what is read from disk for the first time.
    for (const [index, row] of chosen.entries()) {
      const cpu = process.cpuUsage()
      const started = performance.now()
      const { changes } = yield* activityChanges(queries, { _tag: "Platform" }, activityOf(row, tenant))
      if (index === 0) continue
      const { system, user } = process.cpuUsage(cpu)
      millis.push(performance.now() - started)
      cpuMillis.push((system + user) / 1000)
      if (changes !== undefined) told++
    }
    measured[name] = {
      p50_ms: percentile(millis, 0.5),
      p99_ms: percentile(millis, 0.99),
      cpu_ms: percentile(cpuMillis, 0.5),
      told
    }
    total.events += millis.length
    total.seconds += sum(millis) / 1000
    total.cpuSeconds += sum(cpuMillis) / 1000
  }
  return { ...total, shapes: measured }
})

const sum = (numbers: ReadonlyArray<number>): number => numbers.reduce((all, one) => all + one, 0)

/** The `part`-th part of them; 0.5 is the median. */
const percentile = (numbers: ReadonlyArray<number>, part: number): number => {
  const sorted = numbers.toSorted((one, other) => one - other)
  return Math.round((sorted[Math.ceil(part * sorted.length) - 1] ?? 0) * 100) / 100
}

const answer = await Effect.runPromise(
  load.pipe(
    Effect.andThen(measure),
    Effect.provide(FactQueries.layer.pipe(Layer.provideMerge(layerFromUrl(`embedded:${folder}`))))
  )
)
answerPart({ ...answer, rssMaxBytes: usageOf(process.pid).rssMaxBytes } satisfies SingleActivitiesAnswer)
