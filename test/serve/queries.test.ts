/** The questions of the API, as bodies that are sent and answers that come back. */
import { Effect } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { Scope } from "../../src/domain/Scope.ts"
import { cursorText } from "../../src/store/cursor.ts"
import { insertRows } from "../../src/store/insertRows.ts"
import type { StoredLine, StoredTable } from "../../src/store/rows.ts"
import { eventually } from "../support/eventually.ts"
import { eventRow, recordRow } from "../support/factRows.ts"
import { type Api, group, startApi, type UserName } from "./apiFixture.ts"

const platformTenant = { type: "Platform", name: "" }

const began = Date.now()

/** So many seconds before this began, to the microsecond. */
const ago = (seconds: number): string => new Date(began - seconds * 1_000).toISOString().replace("Z", "789Z")

/** Is this sentence the one that is expected, or like it? */
const isTold = (sentence: string, expected: string | RegExp | undefined): boolean =>
  expected instanceof RegExp ? expected.test(sentence) : sentence === expected

describe("questions", () => {
  let api: Api

  const insert = (table: StoredTable, rows: ReadonlyArray<StoredLine>) =>
    api.run(insertRows({ table, rows, onPoison: (_, refused) => Effect.die(refused) }))

  const post = (plural: string, kind: string, spec: object, user: UserName = "admin", more: object = {}) =>
    api.request(user, `${group}/${plural}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ apiVersion: "activity.miloapis.com/v1alpha1", kind, metadata: {}, spec, ...more })
    })
  const auditLogs = (spec: object, user: UserName = "admin") => post("auditlogqueries", "AuditLogQuery", spec, user)
  const day = { startTime: "now-1d", endTime: "now" }
  const idsOf = (answer: { status: { results: ReadonlyArray<{ auditID: string }> } }) =>
    answer.status.results.map(({ auditID }) => auditID)
  const causesOf = (answer: { details: { causes: ReadonlyArray<{ field: string; message: string }> } }) =>
    answer.details.causes.map(({ field, message }) => `${field}: ${message}`)

  beforeAll(async () => {
    api = await startApi()
    const tenant = platformTenant
    await insert("audit_logs", [
      ...Array.from({ length: 20 }, (_, index) =>
        recordRow({
          auditID: `r${index}`,
          received: ago(100 + index),
          tenant,
          verb: index % 4 === 0 ? "delete" : "update",
          code: index % 5 === 0 ? 409 : 200
        })
      ),
      recordRow({ auditID: "two", received: ago(200), tenant, objectRef: { namespace: "team-2", apiGroup: "apps" } }),
      recordRow({ auditID: "of-a", received: ago(201), tenant: { type: "Project", name: "a" } }),
      recordRow({ auditID: "elsewhere", received: ago(202), tenant, cluster: "elsewhere" }),
      recordRow({ auditID: "long-ago", received: ago(30 * 86_400), tenant })
    ])
    await insert("k8s_events", [
      eventRow({ uid: "e1", created: ago(100), tenant }),
      eventRow({
        uid: "e2",
        created: ago(110),
        tenant,
        event: {
          type: "Warning",
          reason: "BackOff",
          regarding: { apiVersion: "apps/v1", kind: "Deployment", name: "web" }
        }
      }),
      eventRow({ uid: "e3", created: ago(120), tenant, namespace: "team-2" }),
      eventRow({ uid: "of-a", created: ago(130), tenant: { type: "Project", name: "a" } })
    ])
    await api.publish([
      { id: "web", name: "web", summary: "alice created Deployment web", ageSeconds: 10 },
      {
        id: "db",
        name: "db",
        kind: "StatefulSet",
        namespace: "team-2",
        summary: "bob deleted StatefulSet db",
        ageSeconds: 20
      },
      { id: "of-a", tenant: { type: "Project", name: "a" }, ageSeconds: 30 }
    ])
    await eventually(
      "the activities are stored",
      async () => (await api.request("admin", `${group}/activities`)).json().items.length === 3
    )
  })
  afterAll(() => api[Symbol.asyncDispose]())

  it("a query comes back as it was sent, with its status filled in, 201", async () => {
    const answer = await post(
      "auditlogqueries",
      "AuditLogQuery",
      { ...day, filter: "verb == 'delete'", limit: 2 },
      "admin",
      { metadata: { name: "mine", creationTimestamp: null }, status: {} }
    )
    expect([answer.status, answer.headers["content-type"]]).toEqual([201, "application/json"])
    const { apiVersion, kind, metadata, spec, status } = answer.json()
    expect([apiVersion, kind, metadata]).toEqual(["activity.miloapis.com/v1alpha1", "AuditLogQuery", { name: "mine" }])
    expect(spec).toEqual({ ...day, filter: "verb == 'delete'", limit: 2 })
    expect(Object.keys(status).toSorted()).toEqual([
      "continue",
      "effectiveEndTime",
      "effectiveStartTime",
      "results",
      "total"
    ])
    expect(status.total).toEqual({ count: 5, exact: true })
    expect(status.results.map(({ auditID }: { auditID: string }) => auditID)).toEqual(["r0", "r4"])
    expect(Date.parse(status.effectiveEndTime) - Date.parse(status.effectiveStartTime)).toBe(86_400_000)
    // Nothing is stored: there is nothing to get, and a list is not allowed.
    expect((await api.request("admin", `${group}/auditlogqueries`)).status).toBe(405)
    expect((await api.request("admin", `${group}/auditlogqueries/mine`)).status).toBe(405)
  })

  it("a result is the audit record as it was stored, byte for byte", async () => {
    // A number beyond 2^53, and one with a zero that a reader would drop.
    const big = '{"kind":"Event","auditID":"big","verb":"get","n":12345678901234567890,"f":1.0}'
    const row = recordRow({ auditID: "big", received: ago(2 * 86_400), tenant: { type: "Project", name: "a_b" } })
    await insert("audit_logs", [{ ...row, line: JSON.stringify({ ...JSON.parse(row.line), json: big }) }])
    expect((await auditLogs({ startTime: "now-3d", endTime: "now" }, "tenant-a_b")).text).toContain(
      `"results":[${big}]}}`
    )
  })

  it("YAML in and YAML out", async () => {
    const answer = await api.request("admin", `${group}/auditlogqueries`, {
      method: "POST",
      headers: { "content-type": "application/yaml", accept: "application/yaml" },
      body: "apiVersion: activity.miloapis.com/v1alpha1\nkind: AuditLogQuery\nspec:\n  startTime: now-1h\n  endTime: now\n  limit: 1\n"
    })
    expect([answer.status, answer.headers["content-type"]]).toEqual([201, "application/yaml"])
    expect(answer.text).toContain("auditID: r0")
  })

  it("both versions answer, in their own name", async () => {
    const answer = await api.request("admin", "/apis/activity.miloapis.com/v1/activityqueries", {
      method: "POST",
      body: JSON.stringify({ apiVersion: "activity.miloapis.com/v1", kind: "ActivityQuery", spec: day })
    })
    const { apiVersion, status } = answer.json()
    expect(apiVersion).toBe("activity.miloapis.com/v1")
    expect(new Set(status.results.map((one: { apiVersion: string }) => one.apiVersion))).toEqual(new Set([apiVersion]))
  })

  it("pages follow one another to the end, the total stands on the first alone", async () => {
    const seen: Array<string> = []
    let token = ""
    let pages = 0
    const times = new Set<string>()
    do {
      const { status } = (await auditLogs({ ...day, limit: 7, ...(token === "" ? {} : { continue: token }) })).json()
      seen.push(...status.results.map(({ auditID }: { auditID: string }) => auditID))
      times.add(`${status.effectiveStartTime} ${status.effectiveEndTime}`)
      expect(status.total).toEqual(pages === 0 ? { count: 23, exact: true } : undefined)
      token = status.continue ?? ""
      pages++
    } while (token !== "")
    expect([seen.length, new Set(seen).size, pages]).toEqual([23, 23, 4])
    // "now" is the first page's.
    expect(times.size).toBe(1)
  })

  describe("a continue token", () => {
    const first = async (spec: object = {}, user: UserName = "admin") => {
      const answer = await auditLogs({ ...day, limit: 2, ...spec }, user)
      return String(answer.json().status.continue)
    }
    const refusal = /^spec\.continue is not valid: .*; start the query again without it$/

    it("with any of its bytes changed is 400, with a sentence", async () => {
      const token = await first()
      for (const at of [0, 10, 43, 60, token.length - 1]) {
        const other = token[at] === "A" ? "B" : "A"
        const changed = token.slice(0, at) + other + token.slice(at + 1)
        const answer = await auditLogs({ ...day, limit: 2, continue: changed })
        expect([answer.status, answer.json().reason], `byte ${at}`).toEqual([400, "BadRequest"])
        expect(answer.json().message).toMatch(refusal)
      }
      for (const text of ["!", "eyJvIjoxMDB9", "x".repeat(5_000)]) {
        expect((await auditLogs({ ...day, continue: text })).status).toBe(400)
      }
    })

    it("with another filter, time, namespace, kind or caller is 400; with another limit it goes on", async () => {
      const token = await first()
      const others: ReadonlyArray<Promise<{ status: number }>> = [
        auditLogs({ ...day, filter: "verb == 'update'", continue: token }),
        auditLogs({ ...day, startTime: "now-2d", continue: token }),
        auditLogs({ ...day, endTime: "now-1s", continue: token }),
        auditLogs({ ...day, namespace: "team-1", continue: token }),
        post("activityqueries", "ActivityQuery", { ...day, continue: token }),
        auditLogs({ ...day, continue: token }, "master"),
        auditLogs({ ...day, continue: token }, "tenant-a")
      ]
      expect((await Promise.all(others)).map(({ status }) => status)).toEqual(others.map(() => 400))
      const answer = await auditLogs({ ...day, limit: 3, continue: token })
      expect([answer.status, idsOf(answer.json())]).toEqual([201, ["r2", "r3", "r4"]])
      // The same question in other words of JSON.
      const same = await auditLogs({ filter: "", continue: token, endTime: "now", startTime: "now-1d" })
      expect(same.status).toBe(201)
    })

    it("that is older than an hour is 410 Expired, with a sentence", async () => {
      const scope: Scope = { _tag: "Platform" }
      const position = { time: "2026-11-21 10:00:00.000000", id: "00000000-0000-4000-8000-000000000000" }
      const began = { position, start: ago(86_400), end: ago(0), resourceVersion: "" }
      const query = JSON.stringify(["auditlogqueries", "admin", "now-1d", "now", "", "", "", ""])
      const tokenOf = (nowMillis: number) =>
        cursorText({ ...began, nowMillis }, { key: new Uint8Array(32).fill(7), scope, query })
      const old = await auditLogs({ ...day, continue: tokenOf(Date.now() - 3_600_001) })
      expect([old.status, old.json().reason]).toEqual([410, "Expired"])
      expect(old.json().message).toBe("spec.continue is too old: start the query again without it")
      // The same token of a moment ago is ours, or the one above says nothing.
      expect((await auditLogs({ ...day, continue: tokenOf(Date.now()) })).status).toBe(201)
    })
  })

  it.each([
    [{}, ["spec.startTime: Required value", "spec.endTime: Required value"]],
    [
      { startTime: "yesterday", endTime: "now" },
      [
        'spec.startTime: Invalid value: "yesterday" is no time: use RFC 3339 such as 2026-01-31T12:00:00Z, now, or now-7d (units s, m, h, d, w)'
      ]
    ],
    [
      { startTime: "now-7xd", endTime: "now+1h" },
      [/^spec\.startTime: Invalid value: "now-7xd" is no time/, /^spec\.endTime: Invalid value: "now\+1h" is no time/]
    ],
    [{ startTime: "now-1h", endTime: "now-1h" }, ['spec.endTime: Invalid value: "now-1h" is not after spec.startTime']],
    [{ startTime: "now-1h", endTime: "now-2h" }, ['spec.endTime: Invalid value: "now-2h" is not after spec.startTime']],
    [
      { startTime: "now-31d", endTime: "now" },
      [
        'spec.startTime: Invalid value: "now-31d" is more than 30 days before spec.endTime, the most that one query may ask for: ask for the time in parts'
      ]
    ],
    [{ ...day, endTime: "2100-01-01T00:00:00Z" }, [/^spec\.endTime: .* is in the future/]],
    [{ ...day, limit: -1 }, ["spec.limit: Invalid value: -1: must be from 0 to 1000"]],
    [{ ...day, limit: 1_001 }, ["spec.limit: Invalid value: 1001: must be from 0 to 1000"]],
    [{ ...day, filter: "verb ==\n ((" }, [/^spec\.filter: Invalid value: "verb ==\\n \(\(": line 2, column \d+: /]],
    [{ ...day, filter: "verb == 'a' && nope == 'b'", limit: -1 }, [/^spec\.filter: .*nope/, /^spec\.limit: /]]
  ])("%j is 422, each field with its cause", async (spec, causes) => {
    const answer = await auditLogs(spec)
    expect([answer.status, answer.json().reason]).toEqual([422, "Invalid"])
    expect(answer.json().details).toMatchObject({ group: "activity.miloapis.com", kind: "AuditLogQuery" })
    const told = causesOf(answer.json()).toSorted()
    expect(told.length).toBe(causes.length)
    expect(causes.filter((cause) => !told.some((one) => isTold(one, cause)))).toEqual([])
  })

  it.each([
    ["now-30d to now", { startTime: "now-30d", endTime: "now" }],
    ["a clock half a minute ahead", { startTime: "now-1h", endTime: new Date(Date.now() + 30_000).toISOString() }],
    [
      "thirty days to a clock that is ahead",
      { startTime: "now-30d", endTime: new Date(Date.now() + 20_000).toISOString() }
    ],
    ["fractions and a zone", { startTime: "2026-01-01T00:00:00.123456789+02:00", endTime: "2026-01-02T00:00:00Z" }],
    ["weeks", { startTime: "now-2w", endTime: "now-1w" }]
  ])("%s is a time", async (_, times) => {
    expect((await auditLogs(times)).status).toBe(201)
  })

  it("effective times are exact, in UTC", async () => {
    const { status } = (
      await auditLogs({ startTime: "2026-01-01T00:00:00.123456789+02:00", endTime: "2026-01-02T00:00:00Z" })
    ).json()
    expect([status.effectiveStartTime, status.effectiveEndTime]).toEqual([
      "2025-12-31T22:00:00.123456Z",
      "2026-01-02T00:00:00Z"
    ])
    expect([status.results, status.total]).toEqual([[], { count: 0, exact: true }])
  })

  it("a body of another kind, or with unknown fields, is 400 or warned of", async () => {
    expect((await post("auditlogqueries", "EventQuery", day)).json().message).toBe(
      "the kind in the data (EventQuery) is not AuditLogQuery"
    )
    const strict = await api.request("admin", `${group}/auditlogqueries?fieldValidation=Strict`, {
      method: "POST",
      body: JSON.stringify({
        apiVersion: "activity.miloapis.com/v1alpha1",
        kind: "AuditLogQuery",
        spec: { ...day, search: "x" }
      })
    })
    expect([strict.status, strict.json().message]).toEqual([
      400,
      'AuditLogQuery in version "v1alpha1" cannot be handled as a AuditLogQuery: strict decoding error: unknown field "spec.search"'
    ])
    expect((await auditLogs({ ...day, search: "x" })).headers["warning"]).toBe(
      '299 - "unknown field \\"spec.search\\""'
    )
    expect((await auditLogs({ ...day, limit: "5" })).status).toBe(400)
  })

  /** As kube-apiserver 1.34 answers bodies of Events. */
  it("a field that is given twice is refused, told or passed over, as the client asks", async () => {
    const body = `{"spec": {"startTime": "now-1d", "endTime": "now", "limit": 1, "limit": 2}}`
    const asked = (validation: string) =>
      api.request("admin", `${group}/auditlogqueries?fieldValidation=${validation}`, { method: "POST", body })
    const strict = await asked("Strict")
    expect([strict.status, strict.json().message]).toEqual([
      400,
      'AuditLogQuery in version "v1alpha1" cannot be handled as a AuditLogQuery: strict decoding error: duplicate field "spec.limit"'
    ])
    for (const validation of ["", "Warn"]) {
      expect((await asked(validation)).headers["warning"]).toBe('299 - "duplicate field \\"spec.limit\\""')
    }
    const ignored = await asked("Ignore")
    expect([ignored.headers["warning"], ignored.json().status.results.length]).toEqual([undefined, 2])
  })

  it("a body without kind and version is of those that its path says; a dry run is All or none", async () => {
    const sent = (query: string) =>
      api.request("admin", `${group}/auditlogqueries${query}`, { method: "POST", body: JSON.stringify({ spec: day }) })
    const answer = await sent("?dryRun=All")
    const { apiVersion, kind } = answer.json()
    expect([answer.status, apiVersion, kind]).toEqual([201, "activity.miloapis.com/v1alpha1", "AuditLogQuery"])
    expect((await sent("?dryRun=all")).status).toBe(422)
  })

  it("an activity query filters and searches, and gives Activities", async () => {
    const ask = async (spec: object) => (await post("activityqueries", "ActivityQuery", { ...day, ...spec })).json()
    const names = async (spec: object) =>
      (await ask(spec)).status.results.map((one: { spec: { resource: { name: string } } }) => one.spec.resource.name)
    expect(await names({})).toEqual(["web", "db", "of-a"])
    expect(await names({ filter: "spec.resource.kind == 'StatefulSet'" })).toEqual(["db"])
    expect(await names({ search: "CREATED deployment" })).toEqual(["web"])
    expect(await names({ search: "created statefulset" })).toEqual([])
    expect(await names({ namespace: "team-2" })).toEqual(["db"])
    const [activity] = (await ask({ limit: 1 })).status.results
    expect([activity.kind, activity.metadata.resourceVersion]).toEqual(["Activity", expect.stringMatching(/^\d+$/)])
    expect(causesOf(await ask({ search: "--" }))).toEqual([
      'spec.search: Invalid value: "--": it has no words: a word is of letters and digits'
    ])
    // The store refused a word of a million characters, and the answer was 500.
    expect(causesOf(await ask({ search: "x".repeat(1_000_000) }))).toEqual([
      `spec.search: Invalid value: "${"x".repeat(200)}": it is longer than 1024 characters`
    ])
  })

  it("an event query gives EventRecords by filter and field selector, in every spelling", async () => {
    const ask = async (spec: object) => (await post("eventqueries", "EventQuery", { ...day, ...spec })).json()
    const uids = async (spec: object) =>
      (await ask(spec)).status.results.map((one: { metadata: { uid: string } }) => one.metadata.uid)
    expect(await uids({})).toEqual(["e1", "e2", "e3", "of-a"])
    const [record] = (await ask({ limit: 1 })).status.results
    expect([record.apiVersion, record.kind]).toEqual(["activity.miloapis.com/v1alpha1", "EventRecord"])
    expect(record.metadata).toEqual(record.event.metadata)
    expect([record.event.apiVersion, record.event.kind, record.event.note]).toEqual([
      "events.k8s.io/v1",
      "Event",
      "Successfully pulled image"
    ])
    expect(await uids({ fieldSelector: "type=Warning" })).toEqual(["e2"])
    expect(await uids({ fieldSelector: "type!=Warning, regarding.kind==Pod,source.component=kubelet" })).toEqual([
      "e1",
      "e3",
      "of-a"
    ])
    expect(
      await uids({ fieldSelector: "involvedObject.kind=Deployment,reportingInstance=node-1,source.host=node-1" })
    ).toEqual(["e2"])
    expect(await uids({ fieldSelector: "metadata.uid = e3" })).toEqual(["e3"])
    expect(await uids({ search: "IMAGE pulled", namespace: "team-2" })).toEqual(["e3"])
    expect(await uids({ search: "image pull" })).toEqual([])
    expect(await uids({ filter: "type == 'Warning' && regarding.kind == 'Deployment'" })).toEqual(["e2"])
    expect(await uids({ namespace: "team-2" })).toEqual(["e3"])
    expect(causesOf(await ask({ fieldSelector: "nope=1" }))[0]).toMatch(
      /^spec\.fieldSelector: Invalid value: "nope=1": field label not supported: nope/
    )
    expect(causesOf(await ask({ fieldSelector: "reason" }))[0]).toContain("invalid field selector")
    // Sixty days, as existing clients may ask for.
    expect((await ask({ startTime: "now-60d" })).status.effectiveStartTime).toBeDefined()
  })

  describe("a facet query", () => {
    const ask = (spec: object, user: UserName = "admin") =>
      post("auditlogfacetsqueries", "AuditLogFacetsQuery", spec, user)
    const facets = [{ field: "verb" }, { field: "responseStatus.code", limit: 1 }, { field: "objectRef.apiGroup" }]

    it("counts the last seven days, the commonest value first, in the order that was asked for", async () => {
      const answer = await ask({ facets })
      expect(answer.status).toBe(201)
      const { status } = answer.json()
      expect(status.facets).toEqual([
        {
          field: "verb",
          values: [
            { value: "update", count: 19 },
            { value: "delete", count: 5 }
          ]
        },
        { field: "responseStatus.code", values: [{ value: "200", count: 20 }] },
        {
          field: "objectRef.apiGroup",
          values: [
            { value: "", count: 23 },
            { value: "apps", count: 1 }
          ]
        }
      ])
      expect(Date.parse(status.effectiveEndTime) - Date.parse(status.effectiveStartTime)).toBe(7 * 86_400_000)
    })

    it("takes a time and a filter", async () => {
      // The first six records, two of which are deletes.
      const spec = { timeRange: { start: ago(105) }, filter: "verb == 'update'", facets: [{ field: "verb" }] }
      expect((await ask(spec)).json().status.facets[0].values).toEqual([{ value: "update", count: 4 }])
      const before = { timeRange: { end: "now-8d" }, facets: [{ field: "verb" }] }
      expect((await ask(before)).json().status.facets[0].values).toEqual([])
    })

    it("counts over time by outcome, in one answer with the facets or alone", async () => {
      const spec = { timeRange: { start: "now-1h" }, histogram: { interval: "1h" } }
      const { histogram } = (await ask(spec)).json().status
      expect(histogram.interval).toBe("1h")
      expect(histogram.buckets.length).toBe(2)
      const count = (outcome: string) =>
        histogram.buckets
          .flatMap((bucket: { outcomes: ReadonlyArray<object> }) => bucket.outcomes)
          .filter((one: { value: string }) => one.value === outcome)
          .reduce((sum: number, one: { count: number }) => sum + one.count, 0)
      expect([count("Success"), count("Failure")]).toEqual([19, 4])
      expect(Date.parse(histogram.buckets[0].start) % 3_600_000).toBe(0)
      const usual = (await ask({ histogram: {}, facets })).json().status
      expect([usual.histogram.interval, usual.facets.length]).toEqual(["3h", 3])
      expect(usual.histogram.buckets.length).toBeLessThanOrEqual(60)
    })

    it.each([
      [{}, ["spec.facets: Required value"]],
      [{ facets: [{ field: "" }] }, ["spec.facets[0].field: Required value"]],
      [
        { facets: [{ field: "verb", limit: -1 }, { field: "nope" }] },
        [
          "spec.facets[0].limit: Invalid value: -1: must be 0 or more",
          /^spec\.facets\[1\]\.field: Unsupported value: "nope": supported values: "level", "objectRef.apiGroup", /
        ]
      ],
      [
        { facets: Array.from({ length: 11 }, () => ({ field: "verb" })) },
        ["spec.facets: Too many: 11: must have at most 10 items"]
      ],
      [
        { facets: [{ field: "verb" }], timeRange: { start: "then" } },
        [/^spec\.timeRange\.start: Invalid value: "then" is no time/]
      ],
      [
        { histogram: { interval: "90" } },
        ['spec.histogram.interval: Invalid value: "90": use a whole number and a unit of s, m, h, d, w, such as 1h']
      ],
      [
        { histogram: { interval: "1s" } },
        [
          'spec.histogram.interval: Invalid value: "1s": the time has more than 1000 such stretches: choose a longer interval'
        ]
      ]
    ])("%j is 422", async (spec, causes) => {
      const answer = await ask(spec)
      expect(answer.status).toBe(422)
      const told = causesOf(answer.json())
      expect(told.length).toBe(causes.length)
      expect(told.filter((one, index) => !isTold(one, causes[index]))).toEqual([])
    })

    it("a limit above 100 is 100, and the empty kind of what an Event is related to is no value", async () => {
      const spec = { facets: [{ field: "related.kind", limit: 1_000 }, { field: "regarding.namespace" }] }
      const { status } = (await post("eventfacetqueries", "EventFacetQuery", spec)).json()
      expect(status.facets[0]).toEqual({ field: "related.kind", values: [] })
      expect(status.facets[1].values).toEqual([
        { value: "team-1", count: 2 },
        { value: "", count: 1 },
        { value: "team-2", count: 1 }
      ])
    })

    it("activities are counted too", async () => {
      const spec = { facets: [{ field: "spec.resource.kind" }], search: "statefulset" }
      const { status } = (await post("activityfacetqueries", "ActivityFacetQuery", spec)).json()
      expect(status.facets[0].values).toEqual([{ value: "StatefulSet", count: 1 }])
    })
  })

  describe("a caller", () => {
    const plurals = [
      ["activityqueries", "ActivityQuery"],
      ["auditlogqueries", "AuditLogQuery"],
      ["eventqueries", "EventQuery"]
    ] as const

    it.each(plurals)("of a tenant gets its own %s alone", async (plural, kind) => {
      const { status } = (await post(plural, kind, day, "tenant-a")).json()
      expect([status.results.length, status.total]).toEqual([1, { count: 1, exact: true }])
      expect(JSON.stringify(status.results)).toContain("of-a")
      const other = (await post(plural, kind, day, "tenant-A")).json()
      expect(other.status.results).toEqual([])
    })

    it.each(plurals)("without a tenant or the platform is refused %s, except in a namespace", async (plural, kind) => {
      const all = await post(plural, kind, day, "viewer")
      expect([all.status, all.json().reason]).toEqual([403, "Forbidden"])
      const { status } = (await post(plural, kind, { ...day, namespace: "team-2" }, "viewer")).json()
      expect(status.results.length).toBe(1)
    })

    it("without the right to a namespace is refused that namespace", async () => {
      const own = await post("activityqueries", "ActivityQuery", { ...day, namespace: "team-1" }, "team-1-viewer")
      expect(own.json().status.results.length).toBe(1)
      const other = await post("activityqueries", "ActivityQuery", { ...day, namespace: "team-2" }, "team-1-viewer")
      expect([other.status, other.json().message]).toEqual([
        403,
        'activities.activity.miloapis.com is forbidden: User "team-1-viewer" cannot list resource "activities" in API group "activity.miloapis.com" in the namespace "team-2"'
      ])
    })

    it.each(["half-type", "half-name", "empty-name", "unknown-type", "repeated"] as const)(
      "with a tenant that is incomplete (%s) is refused everything",
      async (user) => {
        const statuses = await Promise.all([
          ...plurals.map(([plural, kind]) => post(plural, kind, day, user)),
          post("auditlogfacetsqueries", "AuditLogFacetsQuery", { facets: [{ field: "verb" }] }, user),
          post("activityqueries", "ActivityQuery", { ...day, namespace: "team-1" }, user)
        ])
        expect(statuses.map(({ status }) => status)).toEqual(statuses.map(() => 403))
      }
    )

    it("of a service provider gets what concerns its API group, in every tenant, when it asks for no more", async () => {
      const provider = (filter: string) => auditLogs({ ...day, filter }, "apps-provider")
      const answer = await provider("verb == 'update' && objectRef.apiGroup == 'apps'")
      expect([answer.status, idsOf(answer.json())]).toEqual([201, ["two"]])
      const wider = ["objectRef.apiGroup != 'apps'", "objectRef.apiGroup == 'apps' || verb == 'delete'"]
      for (const filter of ["", "objectRef.apiGroup == 'batch'", ...wider]) {
        expect([filter, (await provider(filter)).status]).toEqual([filter, 403])
      }
      const events = await post(
        "eventqueries",
        "EventQuery",
        { ...day, fieldSelector: "regarding.apiVersion=apps/v1" },
        "apps-provider"
      )
      expect(events.json().status.results.map((one: { metadata: { uid: string } }) => one.metadata.uid)).toEqual(["e2"])
      const facets = { facets: [{ field: "spec.resource.kind" }], filter: "spec.resource.apiGroup == 'apps'" }
      const counted = (await post("activityfacetqueries", "ActivityFacetQuery", facets, "apps-provider")).json()
      expect(counted.status.facets[0].values).toEqual([
        { value: "Deployment", count: 2 },
        { value: "StatefulSet", count: 1 }
      ])
    })

    it("counts nothing that it may not see", async () => {
      const spec = { facets: [{ field: "objectRef.namespace" }], histogram: {} }
      const { status } = (await post("auditlogfacetsqueries", "AuditLogFacetsQuery", spec, "tenant-a")).json()
      expect(status.facets[0].values).toEqual([{ value: "team-1", count: 1 }])
      const counts = status.histogram.buckets.map(({ count }: { count: number }) => count)
      expect(counts.reduce((sum: number, count: number) => sum + count, 0)).toBe(1)
    })
  })
})
