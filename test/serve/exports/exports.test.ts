/** Exports over HTTPS, from the embedded engine. */
import { Effect, Metric } from "effect"
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { ClickHouse } from "../../../src/clients/clickhouse/ClickHouse.ts"
import { insertRows } from "../../../src/store/insertRows.ts"
import type { StoredLine, StoredTable } from "../../../src/store/rows.ts"
import { eventually } from "../../support/eventually.ts"
import { eventRow, recordRow } from "../../support/factRows.ts"
import { recordsFromCsv } from "../../support/strictCsv.ts"
import { activityRow } from "../../store/storeLayer.ts"
import { type Api, group, startApi } from "../apiFixture.ts"
import { type ExportRequest, keptOf, openExport, readExport } from "./exportReader.ts"
import { fillTable, type FilledKind, filledKinds, heldBytes } from "./filledTables.ts"

const day = { startTime: "now-1d", endTime: "now" }
const records: ExportRequest = { user: "admin", plural: "auditlogqueries", kind: "AuditLogQuery", spec: day }
const events: ExportRequest = { user: "admin", plural: "eventqueries", kind: "EventQuery", spec: day }
const activities: ExportRequest = { user: "admin", plural: "activityqueries", kind: "ActivityQuery", spec: day }

describe("exports", () => {
  let api: Api

  const command = (sql: string) => api.run(ClickHouse.use((clickhouse) => clickhouse.command(sql)))
  const insert = (table: StoredTable, rows: ReadonlyArray<StoredLine>) =>
    api.run(insertRows({ table, rows, onPoison: (_, refused) => Effect.die(refused) }))
  const exported = async (request: ExportRequest) => {
    const open = await openExport(api, request)
    return { ...(await readExport(open)), status: open.status, headers: open.headers }
  }
  const refusal = async (request: ExportRequest) => {
    const { headers, status, text } = await exported(request)
    return { headers, ...JSON.parse(text), httpStatus: status }
  }
  const ago = (seconds: number) => new Date(Date.now() - seconds * 1_000).toISOString().replace("Z", "789Z")

  beforeAll(async () => {
    api = await startApi({ writer: false })
  })
  afterAll(() => api[Symbol.asyncDispose]())
  beforeEach(async () => {
    for (const table of ["activities", "audit_logs", "k8s_events"]) await command(`TRUNCATE TABLE ${table}`)
  })

  it("lines of JSON are what the pages have, and marks between them", async () => {
    const spec = { startTime: "now-1d", endTime: ago(0), limit: 4 }
    await insert(
      "audit_logs",
      Array.from({ length: 9 }, (_, index) => recordRow({ auditID: `r${index}`, received: ago(100 + index) }))
    )
    await insert(
      "k8s_events",
      Array.from({ length: 9 }, (_, index) => eventRow({ uid: `e${index}`, created: ago(100 + index) }))
    )
    await insert(
      "activities",
      Array.from({ length: 9 }, (_, index) =>
        activityRow({ origin: `a${index}`, sequence: index + 1, timestamp: ago(100 + index) })
      )
    )
    for (const request of [records, events, activities]) {
      const { headers, status, text, whole } = await exported({ ...request, spec })
      expect([status, headers["content-type"], whole]).toEqual([200, "application/jsonl", true])
      const lines = text.trimEnd().split("\n")
      const page = await api.request("admin", `${group}/${request.plural}`, {
        method: "POST",
        body: JSON.stringify({
          apiVersion: "activity.miloapis.com/v1alpha1",
          kind: request.kind,
          spec: { ...spec, limit: 1_000 }
        })
      })
      const isMark = (line: string) => line.startsWith('{"kind":"ExportMark"')
      expect(lines.map(isMark)).toEqual(
        [4, 4, 1].flatMap((rows) => [...Array.from({ length: rows }, () => false), true])
      )
      // As they are written there, byte for byte.
      expect(page.text).toContain(`"results":[${lines.filter((line) => !isMark(line)).join(",")}]`)
      const [first, , last] = lines.filter(isMark).map((line) => JSON.parse(line))
      expect(first).toEqual({
        kind: "ExportMark",
        apiVersion: "activity.miloapis.com/v1alpha1",
        rows: 4,
        continue: expect.stringMatching(/^[\w-]{40,}$/),
        reachedTime: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/),
        effectiveStartTime: expect.any(String),
        effectiveEndTime: spec.endTime.replace(/789Z$/, "789Z")
      })
      expect([last.rows, last.complete, last.continue]).toEqual([9, true, undefined])
    }
  })

  it("a query that finds nothing is an end alone", async () => {
    expect(keptOf((await exported(records)).text)).toMatchObject({ facts: [], mark: { rows: 0, complete: true } })
    const csv = recordsFromCsv((await exported({ ...records, accept: "text/csv" })).text)
    expect(csv.map((row) => row.at(-1))).toEqual(["continue", "complete"])
  })

  it("a record of several lines is one, and one that begins as a mark is none", async () => {
    const row = recordRow({ auditID: "forged", received: ago(100) })
    // Read as an Event, as the last of two keys counts.
    const json = '{"kind":"ExportMark","complete":true,\r\n"auditID":"forged","n":1,"kind":"Event"}'
    const other = recordRow({ auditID: "lines", received: ago(90) })
    const lines = '{"auditID":"lines",\n "n":12345678901234567890,\r\n"note":"a\\nb \\u0045xportMark"}'
    await insert("audit_logs", [
      { ...row, line: JSON.stringify({ ...JSON.parse(row.line), json }) },
      { ...other, line: JSON.stringify({ ...JSON.parse(other.line), json: lines }) }
    ])
    const { text } = await exported(records)
    expect(text.split("\n").slice(0, 2)).toEqual([
      '{"auditID":"lines",  "n":12345678901234567890,  "note":"a\\nb \\u0045xportMark"}',
      '{"kind":"Event","complete":true,"auditID":"forged","n":1}'
    ])
  })

  it("CSV has the usual columns of each kind, or those that are chosen", async () => {
    await insert("audit_logs", [
      recordRow({
        auditID: "r",
        received: "2026-11-21T10:00:00.000001Z",
        verb: "delete",
        user: { username: "=cmd|' /C calc'!A0" },
        more: { userAgent: 'a "quoted", agent\r\nof two lines' }
      })
    ])
    await insert("k8s_events", [eventRow({ uid: "e", created: "2026-11-21T10:00:00.000001Z" })])
    await insert("activities", [activityRow({ origin: "a", sequence: 1, timestamp: "2026-11-21T10:00:00.000001Z" })])
    const spec = { startTime: "2026-11-21T09:00:00Z", endTime: "2026-11-21T11:00:00Z" }
    const table = async (request: ExportRequest) => {
      const { headers, text } = await exported({ ...request, spec, accept: "text/csv" })
      expect(headers["content-type"]).toBe("text/csv; charset=utf-8; header=present")
      const [names = [], fact = [], end = [], ...more] = recordsFromCsv(text)
      expect([end.slice(0, -1).join(""), end.at(-1), more]).toEqual(["", "complete", []])
      return Object.fromEntries(names.map((name, index) => [name, fact[index]]))
    }
    expect(await table(records)).toMatchObject({
      requestReceivedTimestamp: "2026-11-21T10:00:00.000001Z",
      verb: "delete",
      "user.username": "'=cmd|' /C calc'!A0",
      sourceIPs: '["192.0.2.1"]',
      userAgent: 'a "quoted", agent\r\nof two lines',
      "objectRef.resource": "configmaps",
      "objectRef.subresource": "",
      "responseStatus.code": "200",
      auditID: "r",
      continue: ""
    })
    expect(await table(events)).toMatchObject({ "metadata.uid": "e", "metadata.namespace": "team-1", type: "Normal" })
    expect(await table(activities)).toMatchObject({
      "spec.summary": "something about a",
      "spec.actor.name": "alice",
      "spec.resource.kind": "Deployment",
      "spec.origin.id": "a"
    })
    expect(await table({ ...records, query: "?columns=auditID,objectRef,%20verb" })).toEqual({
      auditID: "r",
      objectRef: expect.stringMatching(/^\{"resource":"configmaps",/),
      verb: "delete",
      continue: ""
    })
  })

  it.each([
    [
      "?columns=auditID,nope",
      "is no field that filters list (maps and bodies are taken whole); the usual ones are requestReceivedTimestamp,verb,"
    ],
    ["?columns=auditID,verb,auditID", "is named twice"],
    ["?columns=", ""],
    ["?columns=auditID&columns=verb", "columns is given more than once"],
    ["?timeoutSeconds=soon", "timeoutSeconds"]
  ])("%s is 400 with a sentence, or the default", async (query, sentence) => {
    const { status, text } = await exported({ ...records, accept: "text/csv", query })
    expect([status, text]).toEqual([sentence === "" ? 200 : 400, expect.stringContaining(sentence)])
  })

  it("the first form that the client names and there is, is given; other answers are never lines", async () => {
    for (const [accept, type] of [
      ["application/x-ndjson", "application/x-ndjson"],
      ["Application/JSONL;q=1, application/json", "application/jsonl"],
      ["text/html, text/csv, */*", "text/csv; charset=utf-8; header=present"],
      ["application/json, text/csv", "application/json"]
    ] as const) {
      expect((await exported({ ...records, accept })).headers["content-type"]).toBe(type)
    }
    for (const path of ["activities", "eventrecords"]) {
      const answer = await api.request("admin", `${group}/${path}`, { headers: { accept: "text/csv" } })
      expect([answer.status, answer.json().reason]).toEqual([406, "NotAcceptable"])
    }
    const facets = { ...records, plural: "auditlogfacetsqueries", kind: "AuditLogFacetsQuery", accept: "text/csv" }
    expect((await refusal(facets)).code).toBe(406)
    expect((await refusal({ ...records, query: "?columns=verb" })).message).toBe(
      "columns are those of text/csv: lines of JSON have all of a fact"
    )
  })

  it("who may ask may not therefore take all away", async () => {
    for (const { kind, plural } of [records, events, activities]) {
      for (const user of ["asker", "nobody"] as const) {
        const { code, message } = await refusal({ user, plural, kind, spec: { ...day, namespace: "team-1" } })
        const missing = user === "asker" ? `${plural}/export` : plural
        expect([code, message]).toEqual([403, expect.stringContaining(`cannot create resource "${missing}"`)])
      }
    }
  })

  it("what is wrong with a query is told before the first line", async () => {
    expect(await refusal({ ...records, spec: {} })).toMatchObject({ httpStatus: 422, reason: "Invalid" })
    expect(await refusal({ ...records, spec: { ...day, filter: "verb ==" } })).toMatchObject({ httpStatus: 422 })
    expect(await refusal({ ...records, spec: { ...day, limit: 1_001 } })).toMatchObject({ httpStatus: 422 })
    const token = keptOf(await firstMarkOf()).mark?.continue ?? ""
    for (const [request, message] of [
      [
        { ...records, spec: { ...day, continue: `${token.slice(0, -1)}${token.endsWith("A") ? "B" : "A"}` } },
        /made for another query or caller, or changed/
      ],
      [{ ...records, spec: { ...day, filter: "verb == 'get'", continue: token } }, /made for another/],
      [{ ...records, user: "master", spec: { ...day, continue: token } }, /made for another/],
      [{ ...events, spec: { ...day, continue: token } }, /made for another/]
    ] as const) {
      expect(await refusal(request)).toMatchObject({ httpStatus: 400, message: expect.stringMatching(message) })
    }
    // Pages and exports go on from one another's tokens, in any form.
    expect((await exported({ ...records, spec: { ...day, continue: token }, accept: "text/csv" })).status).toBe(200)
  })

  const firstMarkOf = async () => {
    await insert(
      "audit_logs",
      Array.from({ length: 3 }, (_, index) => recordRow({ auditID: `r${index}`, received: ago(100 + index) }))
    )
    const { text } = await exported({ ...records, spec: { ...day, limit: 2 } })
    return `${text.split("\n").slice(0, 3).join("\n")}\n`
  }

  it("it ends behind a page when its time is over, and goes on from there; in CSV too", async () => {
    await fillTable(command, filledKinds.record, { rows: 4_000 })
    // A mark a row: no machine gives 4,000 of them within a second.
    const spec = { ...day, limit: 1 }
    const { text, whole } = await exported({ ...records, spec, query: "?timeoutSeconds=1" })
    const { facts, mark } = keptOf(text)
    expect([whole, mark?.complete, typeof mark?.continue]).toEqual([true, undefined, "string"])
    const csv = await exported({
      ...records,
      spec: { ...spec, continue: mark?.continue },
      accept: "text/csv",
      query: "?timeoutSeconds=1&columns=auditID"
    })
    const [, ...taken] = recordsFromCsv(csv.text)
    const token = taken.at(-1)?.at(-1) ?? ""
    expect([csv.whole, token]).toEqual([true, expect.stringMatching(/^[\w-]{40,}$/)])
    const rest = keptOf((await exported({ ...records, spec: { ...day, continue: token } })).text)
    const ids = [
      ...facts.map(({ auditID }) => auditID),
      ...taken.map(([id]) => id),
      ...rest.facts.map(({ auditID }) => auditID)
    ]
    expect([ids.length, new Set(ids).size, rest.mark?.complete]).toEqual([4_000, 4_000, true])
  })

  /** 16 MB: more than connections hold by themselves. */
  const fat = { rows: 5_000, padding: 100 }

  it("a reader that takes nothing holds the server back; one that goes away gives its place back", async () => {
    await fillTable(command, filledKinds.record, fat)
    const request = { ...records, spec: day }
    const slow = await openExport(api, request)
    // The second is taken whole meanwhile: time enough to read all of the first.
    const before = await givenRows(api)
    expect(keptOf((await exported(request)).text).mark).toMatchObject({ rows: 5_000, complete: true })
    expect((await givenRows(api)) - before - 5_000).toBeLessThan(4_000)
    // Nothing was dropped.
    const { facts, mark } = keptOf((await readExport(slow)).text)
    expect([mark, new Set(facts.map(({ auditID }) => auditID)).size]).toMatchObject([{ complete: true }, 5_000])
    const others = [await openExport(api, request), await openExport(api, request)]
    const third = await openExport(api, request)
    expect([third.status, third.headers["retry-after"]]).toEqual([429, "5"])
    expect(JSON.parse((await readExport(third)).text).message).toMatch(/^too many of your exports are being given/)
    // Other users have theirs.
    const ofMaster = await openExport(api, { ...request, user: "master" })
    expect(ofMaster.status).toBe(200)
    for (const { body } of [...others, ofMaster]) body.destroy()
    await eventually("its place is free", async () => {
      const again = await openExport(api, request)
      again.body.destroy()
      return again.status === 200
    })
  }, 120_000)

  it("what goes wrong on the way is told in the last line, the connection is cut, and what is missing can be had", async () => {
    await fillTable(command, filledKinds.record, fat)
    const request = { ...records, spec: day }
    const open = await openExport(api, request)
    const csv = await openExport(api, {
      ...request,
      user: "master",
      accept: "text/csv",
      query: "?columns=auditID,requestURI"
    })
    await command("RENAME TABLE audit_logs TO audit_logs_away")
    const [failed, failedCsv] = await Promise.all([readExport(open), readExport(csv)])
    await command("RENAME TABLE audit_logs_away TO audit_logs")
    expect([failed.whole, failedCsv.whole]).toEqual([false, false])
    expect(JSON.parse(failed.text.trimEnd().split("\n").at(-1) ?? "")).toMatchObject({
      kind: "Status",
      status: "Failure",
      reason: "InternalError",
      code: 500
    })
    expect(recordsFromCsv(failedCsv.text).at(-1)).toEqual(["", "", expect.stringMatching(/^failed: the store refused/)])
    const { facts, mark } = keptOf(failed.text)
    const rest = keptOf((await exported({ ...request, spec: { ...request.spec, continue: mark?.continue } })).text)
    const ids = [...facts, ...rest.facts].map(({ auditID }) => auditID)
    expect([ids.length, new Set(ids).size, rest.mark?.complete]).toEqual([5_000, 5_000, true])
  }, 120_000)

  it("a server that stops ends it with a mark, and any server goes on", async () => {
    await fillTable(command, filledKinds.record, fat)
    const open = await openExport(api, { ...records, spec: day })
    const stopped = api.stopServer()
    const { text, whole } = await readExport(open)
    await stopped
    const { facts, mark } = keptOf(text)
    expect([whole, mark?.complete]).toEqual([true, undefined])
    await api.startServer()
    const rest = keptOf((await exported({ ...records, spec: { ...day, continue: mark?.continue } })).text)
    expect([facts.length + rest.facts.length, rest.mark?.complete]).toEqual([5_000, true])
  }, 120_000)

  // Over all tenants pages are read in another way.
  it.each([
    ["record", "admin", 100_000],
    ["record", "tenant-a", 20_000],
    ["event", "admin", 20_000],
    ["activity", "admin", 20_000],
    ["activity", "tenant-a", 20_000]
  ] as const)(
    "every %s that %s had at the first page comes once, as it was then or later, however rows come and the reader goes (%i)",
    async (kind, user, rows) => {
      const filled: FilledKind = filledKinds[kind]
      const tenants = user === "admin" ? 3 : 1
      await fillTable(command, filled, { rows, tenants })
      // Before the first page: nobody may get the version before.
      await fillTable(command, filled, { rows: 1_000, tenants, version: 2 })
      const changed = new AbortController()
      const changes = (async () => {
        for (let round = 0; !changed.signal.aborted; round++) {
          await fillTable(command, filled, { rows: 500, tenants, version: 3 + round, everyNth: 1 + (round % 13) })
          // Newer than all, older than all, and between them.
          await fillTable(command, filled, { rows: 50, tenants, name: `late${round}-`, ageSeconds: 1 })
          await fillTable(command, filled, { rows: 50, tenants, name: `early${round}-`, ageSeconds: 80_000 })
          await fillTable(command, filled, { rows: 50, tenants, name: `among${round}-` })
        }
      })()
      const seen = new Map<string, number>()
      let token = ""
      let kills = 0
      let bytes = 0
      let heldMax = 0
      const heldBefore = heldBytes()
      try {
        for (let complete = false; !complete;) {
          const request = {
            user,
            plural: filled.plural,
            kind: filled.kind,
            spec: { ...day, limit: 1_000, continue: token }
          }
          // Killed behind some marks, wherever in a page that is.
          const { text } = await readExport(await openExport(api, request), kills < 12 ? 1 + (kills % 5) : undefined)
          kills++
          bytes += text.length
          heldMax = Math.max(heldMax, heldBytes() - heldBefore)
          const { facts, mark } = keptOf(text)
          for (const fact of facts) {
            const { id, version } = filled.identify(fact)
            expect(seen.has(id), `${id} again`).toBe(false)
            seen.set(id, version)
          }
          token = mark?.continue ?? token
          complete = mark?.complete === true
        }
      } finally {
        changed.abort()
        await changes
      }
      const original = Array.from({ length: rows }, (_, index) => `o${index}`)
      expect(original.filter((id) => !seen.has(id))).toEqual([])
      expect(original.slice(0, 1_000).filter((id) => (seen.get(id) ?? 0) < 2)).toEqual([])
      expect(kills).toBeGreaterThan(5)
      // Of which some are this test's own: what it remembers, and the text of the last part.
      expect(heldMax).toBeLessThan(96 * 2 ** 20)
      expect(bytes).toBeGreaterThan(rows * 300)
    },
    300_000
  )
})

/** Over all exports of this process. */
const givenRows = (api: Api) =>
  api.run(
    Effect.map(Metric.snapshot, (all) => {
      const found = all.find(({ id }) => id === "activity_apiserver_exported_rows_total")
      return found?.type === "Counter" ? Number(found.state.count) : 0
    })
  )
