/** Exports behind a real kube-apiserver, with the role that is shipped, and as a person takes one with curl. */
import { execFile } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { ClickHouse } from "../../../src/clients/clickhouse/ClickHouse.ts"
import { recordsFromCsv } from "../../support/strictCsv.ts"
import { binding, group, startApiBehind } from "../../system/apiBehind.ts"
import { type Cluster, showLogsOfFailures, startCluster, startMillisMax } from "../../system/cluster.ts"
import type { Api } from "../apiFixture.ts"
import { keptOf } from "./exportReader.ts"
import { fillTable, filledKinds } from "./filledTables.ts"

const path = `/apis/${group}/v1/auditlogqueries`
const rows = 8_000

const body = (more: object = {}) => ({
  apiVersion: `${group}/v1`,
  kind: "AuditLogQuery",
  spec: { startTime: "now-1d", endTime: "now", ...more }
})

describe("exports through kube-apiserver", () => {
  let cluster: Cluster
  let api: Api

  beforeAll(async () => {
    cluster = await startCluster({ controllers: false, users: { auditor: [], querier: [] } })
    api = await startApiBehind(cluster, { writer: false })
    await cluster.apply(
      binding("ClusterRoleBinding", "activity-audit-querier", "auditor"),
      binding("ClusterRoleBinding", "activity-export", "auditor"),
      binding("ClusterRoleBinding", "activity-audit-querier", "querier")
    )
    const command = (sql: string) => api.run(ClickHouse.use((clickhouse) => clickhouse.command(sql)))
    await fillTable(command, filledKinds.record, { rows, tenants: 3 })
  }, startMillisMax)
  afterAll(async () => {
    await api?.[Symbol.asyncDispose]()
    await cluster?.[Symbol.asyncDispose]()
  }, startMillisMax)
  showLogsOfFailures(() => cluster)

  const ask = (user: string, accept: string, more: object = {}, query = "") =>
    cluster.request(user, `${path}${query}`, { method: "POST", headers: { accept }, body: body(more) })

  it("lines of JSON and CSV arrive whole, in the form that was asked for", async () => {
    const lines = await ask("auditor", "application/jsonl")
    expect([lines.status, lines.headers["content-type"]]).toEqual([200, "application/jsonl"])
    const { facts, mark } = keptOf(lines.text)
    expect(mark).toMatchObject({ rows, complete: true, apiVersion: `${group}/v1` })
    expect(new Set(facts.map(({ auditID }) => auditID)).size).toBe(rows)
    const csv = await ask("auditor", "text/csv", {}, "?columns=auditID")
    const [, ...table] = recordsFromCsv(csv.text)
    expect([csv.status, table.length, table.at(-1)]).toEqual([200, rows + 1, ["", "complete"]])
    expect(new Set(table.slice(0, -1).map(([id]) => id))).toEqual(new Set(facts.map(({ auditID }) => auditID)))
  })

  it("parts that end by themselves are joined by their marks", async () => {
    const ids: Array<string> = []
    let parts = 0
    for (let next: string | undefined = ""; next !== undefined; parts++) {
      const part = await ask("auditor", "application/x-ndjson", { limit: 20, continue: next }, "?timeoutSeconds=1")
      const { facts, mark } = keptOf(part.text)
      ids.push(...facts.map(({ auditID }) => auditID))
      expect(part.status).toBe(200)
      next = mark?.continue
    }
    expect([ids.length, new Set(ids).size]).toEqual([rows, rows])
    expect(parts).toBeGreaterThan(1)
  }, 300_000)

  it("whoever may ask and not take away is told so; a page is answered all the same", async () => {
    const refused = await ask("querier", "text/csv")
    expect([refused.status, refused.json().message]).toEqual([
      403,
      expect.stringContaining('cannot create resource "auditlogqueries/export" in API group "activity.miloapis.com"')
    ])
    expect((await ask("querier", "application/json")).status).toBe(201)
    const invalid = await ask("auditor", "application/jsonl", { startTime: "soon" })
    expect([invalid.status, invalid.headers["content-type"]]).toEqual([422, "application/json"])
  })

  it("curl takes one to a file, and fails where it is cut", async () => {
    const file = (name: string) => join(api.folder, name)
    const { certificate, key } = cluster.clientCertificate("auditor")
    for (const [name, text] of Object.entries({
      "auditor.crt": certificate,
      "auditor.key": key,
      "ca.crt": cluster.authority,
      "query.json": JSON.stringify(body())
    })) {
      writeFileSync(file(name), text)
    }
    const curl = (...more: ReadonlyArray<string>) =>
      new Promise<number>((resolve) => {
        execFile(
          "curl",
          [
            ...["--silent", "--fail-with-body", "--output", file("taken"), "--data", `@${file("query.json")}`],
            ...["--cert", file("auditor.crt"), "--key", file("auditor.key"), "--cacert", file("ca.crt")],
            ...["--header", "Content-Type: application/json", ...more, `${cluster.url}${path}`]
          ],
          (error) => resolve(typeof error?.code === "number" ? error.code : error === null ? 0 : -1)
        )
      })
    expect(await curl("--header", "Accept: application/jsonl", "--compressed")).toBe(0)
    expect(keptOf(readFileSync(file("taken"), "utf8")).mark).toMatchObject({ rows, complete: true })
    const command = (sql: string) => api.run(ClickHouse.use((clickhouse) => clickhouse.command(sql)))
    // Slow enough that the table is gone before all of it is read.
    const cut = curl("--header", "Accept: application/jsonl", "--limit-rate", "1M")
    await command("RENAME TABLE audit_logs TO audit_logs_away")
    const code = await cut
    await command("RENAME TABLE audit_logs_away TO audit_logs")
    // 22: refused before the first line; 18 and 92: the body was cut.
    expect([18, 22, 92]).toContain(code)
  })
})
