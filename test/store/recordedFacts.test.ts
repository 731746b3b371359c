import { readFileSync } from "node:fs"
import { gunzipSync } from "node:zlib"
import { assert, layer } from "@effect/vitest"
import { Effect, Result } from "effect"
import { ClickHouse } from "../../src/clients/clickhouse/ClickHouse.ts"
import { auditRecordFrom } from "../../src/normalise/auditRecordFrom.ts"
import { kubernetesEventFromText } from "../../src/normalise/kubernetesEventFrom.ts"
import { insertRows } from "../../src/store/insertRows.ts"
import { auditLogLine, kubernetesEventLine } from "../../src/store/rows.ts"
import { storeLayer } from "./storeLayer.ts"

const linesOf = (file: string): ReadonlyArray<string> =>
  gunzipSync(readFileSync(new URL(`../data/${file}`, import.meta.url)))
    .toString()
    .split("\n")
    .filter((line) => line !== "")

const tenant = { type: "Platform", name: "" }

/** What the engine itself reads out of the stored JSON must be what the columns say: `column = extracted`. */
const differingRows = (table: string, pairs: Readonly<Record<string, string>>) =>
  ClickHouse.use((clickhouse) =>
    clickhouse.query({
      sql: `SELECT ${Object.entries(pairs)
        .map(([column, extracted]) => `toUInt32(countIf(${column} != ${extracted})) AS ${column}_differs`)
        .join(", ")} FROM ${table} FINAL`
    })
  ).pipe(
    Effect.map((rows) =>
      Object.entries(rows[0] ?? { nothing: 1 })
        .filter(([, count]) => count !== 0)
        .map(([name]) => name)
    )
  )

const text = (...path: ReadonlyArray<string | number>) =>
  `JSONExtractString(json, ${path.map((step) => (typeof step === "number" ? step : `'${step}'`)).join(", ")})`
const time = (...path: ReadonlyArray<string>) => `parseDateTime64BestEffort(${text(...path)}, 6, 'UTC')`

layer(storeLayer, { timeout: 60_000 })("recorded facts", (it) => {
  it.effect(
    "records that a person or a proxy has spread over lines, empty ones among them, are stored as they came",
    () =>
      Effect.gen(function* () {
        const record = {
          ...{ kind: "Event", apiVersion: "audit.k8s.io/v1", level: "Metadata", stage: "ResponseComplete" },
          ...{ requestURI: "/api/v1/nodes", verb: "list", user: { username: "alice" } },
          ...{ requestReceivedTimestamp: "2026-01-01T00:00:00.000001Z", stageTimestamp: "2026-01-01T00:00:00.000001Z" }
        }
        const blanks = ["\n", "\n\n", "\r\n\r\n", "\n \n", "\t\n\n\n"]
        const texts = blanks.map((blank, index) =>
          JSON.stringify({ auditID: `spread-${index}`, ...record }, undefined, 1).replaceAll("\n", blank)
        )
        const rows = texts.map((json, index) =>
          auditLogLine(
            Result.getOrThrow(auditRecordFrom(json, { cluster: "spread", defaultTenant: tenant })),
            index + 1
          )
        )
        yield* insertRows({ table: "audit_logs", rows, onPoison: (_, refused) => Effect.die(refused) })
        const stored = yield* ClickHouse.use((clickhouse) =>
          clickhouse.query({ sql: "SELECT json FROM audit_logs FINAL WHERE cluster = 'spread' ORDER BY seq" })
        )
        assert.deepStrictEqual(
          stored,
          texts.map((json) => ({ json }))
        )
        yield* ClickHouse.use((clickhouse) => clickhouse.command("TRUNCATE TABLE audit_logs"))
      })
  )

  it.effect("every recorded audit record becomes a row, its columns what its JSON says", () =>
    Effect.gen(function* () {
      const rows = linesOf("audit-events.jsonl.gz").map((line, index) =>
        auditLogLine(
          Result.getOrThrow(auditRecordFrom(line, { cluster: "recorded", defaultTenant: tenant })),
          index + 1
        )
      )
      const stored = yield* insertRows({ table: "audit_logs", rows, onPoison: (_, refused) => Effect.die(refused) })
      assert.strictEqual(stored, 3_040)
      const counted = yield* ClickHouse.use((clickhouse) =>
        clickhouse.query({
          sql: "SELECT toUInt32(count()) AS rows, toUInt32(uniqExact(seq)) AS seqs FROM audit_logs FINAL"
        })
      )
      assert.deepStrictEqual(counted, [{ rows: 3_040, seqs: 3_040 }])
      assert.deepStrictEqual(
        yield* differingRows("audit_logs", {
          ts: time("requestReceivedTimestamp"),
          audit_id: text("auditID"),
          stage: text("stage"),
          level: text("level"),
          verb: text("verb"),
          user: text("user", "username"),
          user_uid: text("user", "uid"),
          api_group: text("objectRef", "apiGroup"),
          resource: text("objectRef", "resource"),
          subresource: text("objectRef", "subresource"),
          namespace: text("objectRef", "namespace"),
          resource_name: text("objectRef", "name"),
          status_code: "JSONExtractUInt(json, 'responseStatus', 'code')",
          user_agent: text("userAgent"),
          source_ip: text("sourceIPs", 1)
        }),
        []
      )
    })
  )

  it.effect("every recorded Event becomes the row of its newest version, its columns what its JSON says", () =>
    Effect.gen(function* () {
      const lines = linesOf("kube-events.jsonl.gz")
      const rows = lines.map((line, index) =>
        kubernetesEventLine(
          Result.getOrThrow(kubernetesEventFromText(line, { cluster: "recorded", tenant })),
          // The last line comes first: order is the source's, not ours.
          lines.length - index
        )
      )
      yield* insertRows({ table: "k8s_events", rows, onPoison: (_, refused) => Effect.die(refused) })
      const newest = new Map<string, bigint>()
      for (const line of lines) {
        const { resourceVersion, uid } = JSON.parse(line).metadata
        const version = BigInt(resourceVersion)
        if (version > (newest.get(uid) ?? 0n)) newest.set(uid, version)
      }
      const stored = yield* ClickHouse.use((clickhouse) =>
        clickhouse.query({ sql: "SELECT uid, resource_version FROM k8s_events FINAL" })
      )
      assert.deepStrictEqual(
        new Map(stored.map((row) => [String(row["uid"]), BigInt(String(row["resource_version"]))])),
        newest
      )
      assert.strictEqual(stored.length, newest.size)
      assert.deepStrictEqual(
        yield* differingRows("k8s_events", {
          ts: time("metadata", "creationTimestamp"),
          name: text("metadata", "name"),
          namespace: text("metadata", "namespace"),
          reason: text("reason"),
          type: text("type"),
          note: text("note"),
          regarding_kind: text("regarding", "kind"),
          regarding_namespace: text("regarding", "namespace"),
          regarding_name: text("regarding", "name"),
          regarding_uid: text("regarding", "uid"),
          related_kind: text("related", "kind"),
          reporting_controller: text("reportingController")
        }),
        []
      )
    })
  )
})
