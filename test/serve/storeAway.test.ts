/** What is answered while ClickHouse cannot be reached: by HTTP, to the bridge of test/support, which is killed. */
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { ClickHouse } from "../../src/clients/clickhouse/ClickHouse.ts"
import { type Bridge, startClickHouseBridge } from "../support/clickhouseBridge.ts"
import { eventually } from "../support/eventually.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"
import { type Api, group, startApi } from "./apiFixture.ts"
import { keptOf, openExport, readExport } from "./exports/exportReader.ts"
import { fillTable, filledKinds } from "./exports/filledTables.ts"

const day = { startTime: "now-1d", endTime: "now" }
const facets = { timeRange: { start: "now-1d", end: "now" }, histogram: { interval: "1h" } }

const questions = {
  activityqueries: ["ActivityQuery", day],
  auditlogqueries: ["AuditLogQuery", day],
  eventqueries: ["EventQuery", day],
  activityfacetqueries: ["ActivityFacetQuery", { ...facets, facets: [{ field: "spec.actor.name" }] }],
  auditlogfacetsqueries: ["AuditLogFacetsQuery", { ...facets, facets: [{ field: "verb" }] }],
  eventfacetqueries: ["EventFacetQuery", { ...facets, facets: [{ field: "reason" }] }]
} as const

describe("while ClickHouse is away", () => {
  let api: Api
  let bridge: Bridge
  let folder: Awaited<ReturnType<typeof temporaryFolder>>

  const start = (port?: number) =>
    startClickHouseBridge({ folder: join(folder.path, "data"), ...(port === undefined ? {} : { port }) })

  beforeAll(async () => {
    folder = await temporaryFolder("store-away")
    bridge = await start()
    api = await startApi({ writer: false, clickhouse: `${bridge.url}/activity` })
    const command = (sql: string) => api.run(ClickHouse.use((clickhouse) => clickhouse.command(sql)))
    await fillTable(command, filledKinds.record, { rows: 8_000, padding: 100 })
  })
  afterAll(async () => {
    await api[Symbol.asyncDispose]()
    await bridge.stop()
    await folder.remove()
  })

  const ask = (plural: keyof typeof questions, accept = "application/json") => {
    const [kind, spec] = questions[plural]
    return api.request("admin", `${group}/${plural}`, {
      method: "POST",
      headers: { accept },
      body: JSON.stringify({ apiVersion: "activity.miloapis.com/v1alpha1", kind, spec })
    })
  }
  // The keys of a literal are its type's.
  const plurals = Object.keys(questions) as ReadonlyArray<keyof typeof questions>

  it("of watches that wait until they are told what there is, one user has its share, 32", async () => {
    const watch = () => api.request("admin", `${group}/activities?watch=true&timeoutSeconds=1`)
    let refused = 0
    const opened = () =>
      watch().then(({ headers, status }) => {
        if (status === 429 && headers["retry-after"] === "1") refused++
        return status
      })
    process.kill(bridge.pid, "SIGSTOP")
    const statuses = Array.from({ length: 40 }, opened)
    try {
      await eventually("those beyond it are refused", () => refused === 8)
    } finally {
      process.kill(bridge.pid, "SIGCONT")
    }
    expect((await Promise.all(statuses)).filter((status) => status === 200)).toHaveLength(32)
    expect((await Promise.all(Array.from({ length: 8 }, watch))).map(({ status }) => status)).toEqual(
      Array(8).fill(200)
    )
  })

  it("queries, facet queries, lists and exports are 503 with Retry-After, an export under way ends with a Status, and all come back", async () => {
    for (const plural of plurals) expect([plural, (await ask(plural)).status]).toEqual([plural, 201])
    const request = { user: "admin", plural: "auditlogqueries", kind: "AuditLogQuery", spec: day }
    const open = await openExport(api, request)
    await bridge.kill()
    const begun = await readExport(open)
    expect(begun.whole).toBe(false)
    expect(JSON.parse(begun.text.trimEnd().split("\n").at(-1) ?? "")).toMatchObject({
      kind: "Status",
      reason: "ServiceUnavailable",
      code: 503
    })
    const answers = [
      ...plurals.map((plural) => [plural, () => ask(plural)] as const),
      ...(["activityqueries", "auditlogqueries", "eventqueries"] as const).flatMap((plural) =>
        ["application/jsonl", "text/csv"].map(
          (accept) => [`${plural} as ${accept}`, () => ask(plural, accept)] as const
        )
      ),
      ...["activities", "eventrecords", "activities/act-00000000000040008000000000000000"].map(
        (path) => [path, () => api.request("admin", `${group}/${path}`)] as const
      )
    ]
    for (const [name, asked] of answers) {
      const answer = await asked()
      expect([name, answer.status, answer.headers["retry-after"], answer.headers["content-type"]]).toEqual([
        name,
        503,
        "1",
        "application/json"
      ])
      expect(answer.json()).toMatchObject({
        kind: "Status",
        reason: "ServiceUnavailable",
        details: { retryAfterSeconds: 1 }
      })
    }
    // It takes requests all the same: an unavailable group hangs the deletion of namespaces.
    expect((await api.request("admin", "/readyz")).status).toBe(200)
    bridge = await start(Number(new URL(bridge.url).port))
    await eventually("it answers again", async () => (await ask("auditlogqueries")).status === 201)
    for (const plural of plurals) expect([plural, (await ask(plural)).status]).toEqual([plural, 201])
    const { facts, mark } = keptOf(begun.text)
    const rest = await readExport(await openExport(api, { ...request, spec: { ...day, continue: mark?.continue } }))
    const ids = [...facts, ...keptOf(rest.text).facts].map(({ auditID }) => auditID)
    expect([ids.length, new Set(ids).size, keptOf(rest.text).mark?.complete]).toEqual([8_000, 8_000, true])
  }, 120_000)
})
