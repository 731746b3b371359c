/** What the API's own requests leave behind, on a real bus and in the real store. */
import { Effect } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { ClickHouse } from "../../../src/clients/clickhouse/ClickHouse.ts"
import { Nats } from "../../../src/clients/nats/Nats.ts"
import { auditEvents } from "../../../src/domain/streams.ts"
import { eventually } from "../../support/eventually.ts"
import { type Api, group, nameOf, startApi, type UserName } from "../apiFixture.ts"

const apiVersion = "activity.miloapis.com/v1alpha1"

const policy = (name: string) => ({
  apiVersion,
  kind: "ActivityPolicy",
  metadata: { name },
  spec: {
    resource: { apiGroup: "apps", kind: "Deployment" },
    auditRules: [{ match: "audit.verb == 'create'", summary: "{{ actor }} created it" }]
  }
})

const post = (body: unknown, headers: Readonly<Record<string, string>> = {}) => ({
  method: "POST",
  headers: { "content-type": "application/json", ...headers },
  body: JSON.stringify(body)
})

const recordsIn = async (api: Api, auditID: string): Promise<ReadonlyArray<ReturnType<typeof JSON.parse>>> => {
  const rows = await api.run(
    ClickHouse.use((clickhouse) =>
      clickhouse.query({
        sql: "SELECT json, tenant_type, tenant_name, cluster FROM audit_logs FINAL WHERE audit_id = {id:String}",
        parameters: { id: auditID }
      })
    )
  )
  return rows.map((row) => ({
    ...JSON.parse(String(row["json"])),
    tenant: `${String(row["tenant_type"])}/${String(row["tenant_name"])} in ${String(row["cluster"])}`
  }))
}

const one = (api: Api, auditID: string) =>
  eventually(`the record ${auditID}`, async () => {
    const found = await recordsIn(api, auditID)
    return found.length > 0 ? found : undefined
  })

describe("requests of the API", () => {
  let api: Api
  beforeAll(async () => {
    api = await startApi({ recordedRequests: "direct" })
  })
  afterAll(() => api[Symbol.asyncDispose]())

  it("a read is a record of its reader's tenant, with the audit ID that its answer tells", async () => {
    const answer = await api.request("tenant-a", `${group}/namespaces/team-1/activities?limit=5`, {
      headers: { "user-agent": "kubectl/v1.34.4" }
    })
    const auditID = String(answer.headers["audit-id"])
    expect(auditID).toMatch(/^[0-9a-f-]{36}$/)
    expect(await one(api, auditID)).toEqual([
      {
        kind: "Event",
        apiVersion: "audit.k8s.io/v1",
        level: "Metadata",
        auditID,
        stage: "ResponseComplete",
        requestURI: `${group}/namespaces/team-1/activities?limit=5`,
        verb: "list",
        user: {
          username: "tenant-a",
          groups: ["viewers", "system:authenticated"],
          extra: { "iam.miloapis.com/parent-type": ["Project"], "iam.miloapis.com/parent-name": ["a"] }
        },
        sourceIPs: ["127.0.0.1"],
        userAgent: "kubectl/v1.34.4",
        objectRef: {
          resource: "activities",
          namespace: "team-1",
          apiGroup: "activity.miloapis.com",
          apiVersion: "v1alpha1"
        },
        responseStatus: { metadata: {}, code: 200 },
        requestReceivedTimestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/),
        stageTimestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/),
        tenant: "Project/a in local"
      }
    ])
  })

  it("refusals are recorded with their reason; what strangers send, and what tells nothing of facts, is not", async () => {
    const audited = (auditID: string) => ({ headers: { "audit-id": auditID } })
    await api.request("viewer", `${group}/activities`, audited("refused"))
    await api.request("admin", `${group}/activities/${nameOf("missing")}`, audited("missing"))
    await api.request("admin", group, audited("discovery"))
    await api.request("admin", "/readyz", audited("probe"))
    await api.request("no such token" as UserName, `${group}/activities`, audited("stranger"))
    await api.request("admin", `${group}/activities`, audited("the last"))
    await one(api, "the last")
    const [refused] = await one(api, "refused")
    expect(refused.responseStatus).toMatchObject({ status: "Failure", reason: "Forbidden", code: 403 })
    expect(refused.responseStatus.message).toContain(`User "viewer" cannot list`)
    expect((await one(api, "missing"))[0]).toMatchObject({
      verb: "get",
      objectRef: { name: nameOf("missing") },
      responseStatus: { code: 404 }
    })
    for (const auditID of ["discovery", "probe", "stranger"]) expect(await recordsIn(api, auditID)).toEqual([])
  })

  it("a change, and a question, are recorded with what was sent, and the tokens of neither", async () => {
    await api.request("admin", `${group}/activitypolicies`, post(policy("recorded"), { "audit-id": "policy" }))
    const question = { apiVersion, kind: "AuditLogQuery", spec: { startTime: "now-1d", endTime: "now" } }
    await api.request("admin", `${group}/auditlogqueries`, post(question, { "audit-id": "question" }))
    await api.request("admin", `${group}/activitypolicies/recorded`, {
      method: "DELETE",
      headers: { "audit-id": "delete" }
    })
    const [created] = await one(api, "policy")
    expect(created).toMatchObject({
      level: "Request",
      verb: "create",
      objectRef: { resource: "activitypolicies" },
      responseStatus: { code: 201 },
      requestObject: policy("recorded")
    })
    expect((await one(api, "question"))[0]).toMatchObject({ level: "Request", requestObject: question })
    expect((await one(api, "question"))[0]).not.toHaveProperty("annotations")
    expect((await one(api, "delete"))[0]).toMatchObject({
      level: "Metadata",
      verb: "delete",
      objectRef: { name: "recorded" },
      responseStatus: { code: 200 }
    })
    expect(JSON.stringify(created)).not.toContain("token-admin")
  })

  it("an export is recorded as one, given or refused", async () => {
    const question = { apiVersion, kind: "AuditLogQuery", spec: { startTime: "now-1d", endTime: "now" } }
    for (const [user, auditID, accept, code] of [
      ["admin", "lines", "application/jsonl", 200],
      ["asker", "refused-table", "text/csv", 403]
    ] as const) {
      await api.request(user, `${group}/auditlogqueries`, post(question, { "audit-id": auditID, accept }))
      expect((await one(api, auditID))[0]).toMatchObject({
        verb: "create",
        objectRef: { resource: "auditlogqueries" },
        responseStatus: { code },
        annotations: { "activity.miloapis.com/export": accept },
        // Who may not is refused before the body is read.
        ...(code === 200 ? { requestObject: question } : {})
      })
    }
  })

  it("a body that is larger than is kept, or is no JSON, is left out, and the request is recorded", async () => {
    const large = { ...policy("large"), metadata: { name: "large", annotations: { filler: "x".repeat(20_000) } } }
    await api.request("admin", `${group}/activitypolicies`, post(large, { "audit-id": "large" }))
    await api.request("admin", `${group}/activitypolicies`, {
      ...post({}, { "audit-id": "broken" }),
      body: "{"
    })
    for (const [auditID, code] of [
      ["large", 201],
      ["broken", 400]
    ] as const) {
      const [record] = await one(api, auditID)
      expect(record).toMatchObject({ level: "Metadata", responseStatus: { code } })
      expect(record).not.toHaveProperty("requestObject")
    }
  })

  it("why dead letters were discarded is in the record, however the body is written", async () => {
    await api.run(
      Nats.use((nats) => nats.publish([{ subject: "dead.x.collector.unreadable", id: "x", body: Buffer.from("x") }]))
    )
    const [{ metadata }] = await eventually("the letter", async () => {
      const { items } = (await api.request("admin", `${group}/deadletters`)).json()
      return items.length > 0 ? items : undefined
    })
    const filler = Array.from({ length: 4_000 }, (_, index) => 100_000 + index).join(",")
    for (const [auditID, body] of [
      [
        "long",
        `{"apiVersion":"${apiVersion}","kind":"DeadLetterDiscard","spec":{"sequences":[${filler}],"reason":"a rehearsal"}}`
      ],
      ["yaml", `apiVersion: ${apiVersion}\nkind: DeadLetterDiscard\nspec:\n  reason: a rehearsal\n`]
    ] as const) {
      const answer = await api.request("admin", `${group}/deadletters/${metadata.name}/discard`, {
        ...post(
          {},
          { "audit-id": auditID, "content-type": auditID === "yaml" ? "application/yaml" : "application/json" }
        ),
        body
      })
      expect([answer.status, answer.text]).toEqual([201, expect.anything()])
      expect((await one(api, auditID))[0].annotations).toEqual({
        "activity.miloapis.com/discard-reason": "a rehearsal"
      })
    }
  })

  it("a watch is recorded when it begins", async () => {
    const watch = api.watch("admin", `${group}/activities?watch=true`, { headers: { "audit-id": "watch" } })
    const [record] = await one(api, "watch")
    expect(record).toMatchObject({ verb: "watch", stage: "ResponseStarted", responseStatus: { code: 200 } })
    watch.stop()
  })

  it("a record that is read makes one record more, and no more than that", async () => {
    const state = Nats.use((nats) => nats.streamState(auditEvents.name))
    const before = (await api.run(state)).lastSequence
    const ask = (auditID: string) =>
      api.request("admin", `${group}/auditlogqueries`, {
        ...post(
          { apiVersion, kind: "AuditLogQuery", spec: { startTime: "now-1h", endTime: "now" } },
          { "audit-id": auditID }
        )
      })
    await ask("first")
    await ask("second")
    await one(api, "first")
    await one(api, "second")
    expect((await api.run(state)).lastSequence - before).toBe(2)
  })

  it("a stopping server leaves no record behind", async () => {
    const ids = Array.from({ length: 50 }, (_, index) => `stopping-${index}`)
    await Promise.all(
      ids.map((id) => api.request("admin", `${group}/activities?limit=1`, { headers: { "audit-id": id } }))
    )
    await api.stopServer()
    await eventually("all of them", async () => {
      const rows = await api.run(
        ClickHouse.use((clickhouse) =>
          clickhouse.query({ sql: "SELECT audit_id FROM audit_logs FINAL WHERE startsWith(audit_id, 'stopping-')" })
        )
      )
      return rows.length === ids.length
    })
    await api.startServer()
  })
})

describe("while the bus is away", () => {
  it("reads are answered, and their records follow when it is back", async () => {
    await using api = await startApi({ recordedRequests: "direct" })
    await api.nats.stop()
    // Answered from the store alone.
    const question = { apiVersion, kind: "AuditLogQuery", spec: { startTime: "now-1h", endTime: "now" } }
    const read = await api.request("admin", `${group}/auditlogqueries`, post(question, { "audit-id": "away" }))
    expect(read.status).toBe(201)
    await api.nats.start()
    expect(await one(api, "away")).toHaveLength(1)
  }, 120_000)
})

describe("when it is turned off", () => {
  it("nothing is recorded", async () => {
    await using api = await startApi({ recordedRequests: "none", writer: false })
    await api.request("admin", `${group}/activities`)
    const state = await api.run(Nats.use((nats) => nats.streamState(auditEvents.name)).pipe(Effect.orDie))
    expect(state.messages).toBe(0)
  }, 120_000)
})
