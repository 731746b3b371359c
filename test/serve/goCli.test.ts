/**
 * What `kubectl activity` of the Go implementation sends, command by command, and what it reads out of the answers. The
 * bodies are written by hand from the description of its commands, as Go's encoder would write them.
 */
import { Effect } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { insertRows } from "../../src/store/insertRows.ts"
import type { StoredLine, StoredTable } from "../../src/store/rows.ts"
import { eventually } from "../support/eventually.ts"
import { eventRow, recordRow } from "../support/factRows.ts"
import { type Api, group, startApi } from "./apiFixture.ts"

const tenant = { type: "Platform", name: "" }

/** Go's times of whole seconds, so many before now. */
const ago = (seconds: number): string => `${new Date(Date.now() - seconds * 1_000).toISOString().slice(0, 19)}Z`

describe("the Go client", () => {
  let api: Api
  const created = ago(300)
  const deleted = ago(200)
  const seen = ago(100)

  const insert = (table: StoredTable, rows: ReadonlyArray<StoredLine>) =>
    api.run(insertRows({ table, rows, onPoison: (_, refused) => Effect.die(refused) }))

  /** As client-go's typed clients create: `status` is empty, and the time that nothing has is null. */
  const create = async (plural: string, kind: string, spec: object) => {
    const answer = await api.request("admin", `${group}/${plural}`, {
      method: "POST",
      headers: {
        accept: "application/json, */*",
        "content-type": "application/json",
        "user-agent": "kubectl-activity/v0.0.0 (linux/amd64) kubernetes/$Format"
      },
      body: JSON.stringify({
        kind,
        apiVersion: "activity.miloapis.com/v1alpha1",
        metadata: { creationTimestamp: null },
        spec,
        status: {}
      })
    })
    expect([answer.status, answer.headers["content-type"]]).toEqual([201, "application/json"])
    const { status, ...question } = answer.json()
    expect(question).toEqual({ kind, apiVersion: "activity.miloapis.com/v1alpha1", metadata: {}, spec })
    return status
  }

  const web = (replicas: number) => ({
    kind: "Deployment",
    apiVersion: "apps/v1",
    metadata: { name: "web", namespace: "team-1", labels: { app: "web" } },
    spec: { replicas }
  })
  const deployments = { resource: "deployments", namespace: "team-1", name: "web", apiGroup: "apps", apiVersion: "v1" }

  beforeAll(async () => {
    api = await startApi()
    await insert("audit_logs", [
      recordRow({
        auditID: "9f1d2c3b-0000-4000-8000-000000000001",
        received: created,
        tenant,
        verb: "create",
        user: { username: "alice@example.com", uid: "uid-alice" },
        code: 201,
        objectRef: deployments,
        more: { responseObject: web(1) }
      }),
      recordRow({
        auditID: "9f1d2c3b-0000-4000-8000-000000000002",
        received: ago(250),
        tenant,
        verb: "update",
        objectRef: deployments,
        more: { responseObject: web(3) }
      }),
      recordRow({
        auditID: "9f1d2c3b-0000-4000-8000-000000000003",
        received: ago(240),
        tenant,
        verb: "get",
        objectRef: deployments
      }),
      // Several within each second, answered after all were received: pages once skipped and repeated such.
      ...Array.from({ length: 305 }, (_, index) =>
        recordRow({
          auditID: `9f1d2c3b-0000-4000-8000-${String(1_000 + index).padStart(12, "0")}`,
          received: index % 2 === 0 ? deleted : ago(199),
          tenant,
          verb: "delete",
          objectRef: { resource: "secrets", name: `s-${index}`, apiVersion: "v1" },
          more: { stageTimestamp: ago(150) }
        })
      )
    ])
    await insert("k8s_events", [
      eventRow({
        uid: "5b7e1c7e-0000-4000-8000-000000000001",
        created,
        lastSeen: `${seen.slice(0, 19)}.000000Z`,
        tenant,
        event: {
          type: "Warning",
          reason: "BackOff",
          note: "Back-off restarting failed container",
          regarding: {
            kind: "Pod",
            namespace: "team-1",
            name: "web-1",
            uid: "uid-web-1",
            apiVersion: "v1",
            fieldPath: "spec.containers{web}"
          }
        }
      }),
      eventRow({ uid: "5b7e1c7e-0000-4000-8000-000000000002", created, tenant })
    ])
    await api.publish([
      {
        id: "9f1d2c3b-0000-4000-8000-000000000001",
        name: "web",
        summary: "alice created Deployment web",
        ageSeconds: 300
      },
      { id: "other", name: "db", kind: "StatefulSet", summary: "bob deleted StatefulSet db", actor: { name: "bob" } },
      { id: "system", name: "web-2", summary: "the scheduler placed Pod web-2", changeSource: "system" }
    ])
    await eventually(
      "the activities are stored",
      async () => (await api.request("admin", `${group}/activities`)).json().items.length === 3
    )
  })
  afterAll(() => api[Symbol.asyncDispose]())

  it("audit --resource deployments --verb create --user alice@example.com", async () => {
    const status = await create("auditlogqueries", "AuditLogQuery", {
      startTime: "now-24h",
      endTime: "now",
      filter: 'objectRef.resource == "deployments" && verb == "create" && user.username == "alice@example.com"',
      limit: 25
    })
    // Columns: Timestamp, Verb, User, Resource, Status. The rest is the record, as -o yaml prints it.
    expect(status.results).toEqual([
      {
        kind: "Event",
        apiVersion: "audit.k8s.io/v1",
        level: "Metadata",
        auditID: "9f1d2c3b-0000-4000-8000-000000000001",
        stage: "ResponseComplete",
        requestURI: "/api/v1/namespaces/team-1/configmaps/web",
        verb: "create",
        user: { username: "alice@example.com", uid: "uid-alice" },
        sourceIPs: ["192.0.2.1"],
        userAgent: "kubectl/v1.34.4",
        objectRef: { resource: "deployments", namespace: "team-1", name: "web", apiGroup: "apps", apiVersion: "v1" },
        responseStatus: { metadata: {}, code: 201 },
        responseObject: web(1),
        requestReceivedTimestamp: created,
        stageTimestamp: created
      }
    ])
    // The end of the pages: no hint on stderr.
    expect("continue" in status).toBe(false)
    for (const time of [status.effectiveStartTime, status.effectiveEndTime]) {
      expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/)
    }
  })

  it("audit --verb delete --all-pages: 305 deletes are 305", async () => {
    const spec = { startTime: "now-24h", endTime: "now", filter: 'verb == "delete"', limit: 25 }
    const names = new Set<string>()
    let rows = 0
    let pages = 0
    let token: string | undefined
    do {
      const status = await create("auditlogqueries", "AuditLogQuery", {
        ...spec,
        ...(token === undefined ? {} : { continue: token })
      })
      for (const { objectRef } of status.results) names.add(objectRef.name)
      rows += status.results.length
      token = status.continue
      pages++
    } while (token !== undefined)
    expect([rows, names.size, pages]).toEqual([305, 305, 13])
  })

  it.each([
    ["audit --suggest verb", "AuditLogFacetsQuery", "verb", { delete: 305, create: 1, get: 1, update: 1 }],
    ["events --suggest reason", "EventFacetQuery", "reason", { BackOff: 1, Pulled: 1 }],
    ["feed --suggest spec.actor.name", "ActivityFacetQuery", "spec.actor.name", { alice: 2, bob: 1 }]
  ])("%s", async (_, kind, field, counts) => {
    const status = await create(`${kind.toLowerCase().slice(0, -1)}ies`, kind, {
      timeRange: { start: "now-24h", end: "now" },
      facets: [{ field, limit: 20 }]
    })
    const values = Object.entries(counts).map(([value, count]) => ({ value, count }))
    expect(status.facets).toEqual([{ field, values }])
  })

  it("events -n team-1 --type Warning --reason BackOff --regarding-kind Pod --regarding-name web-1", async () => {
    const status = await create("eventqueries", "EventQuery", {
      startTime: "now-24h",
      endTime: "now",
      namespace: "team-1",
      fieldSelector: "type=Warning,reason=BackOff,regarding.kind=Pod,regarding.name=web-1",
      limit: 25
    })
    const metadata = {
      name: "web.5b7e1c7e-0000-4000-8000-000000000001",
      namespace: "team-1",
      uid: "5b7e1c7e-0000-4000-8000-000000000001",
      resourceVersion: "1",
      creationTimestamp: created
    }
    // Columns: Last Seen, Type, Reason, Object, Message.
    expect(status.results).toEqual([
      {
        apiVersion: "activity.miloapis.com/v1alpha1",
        kind: "EventRecord",
        metadata,
        event: {
          apiVersion: "events.k8s.io/v1",
          kind: "Event",
          metadata,
          eventTime: created,
          series: { count: 2, lastObservedTime: `${seen.slice(0, 19)}.000000Z` },
          reportingController: "kubelet",
          reportingInstance: "node-1",
          action: "Pulling",
          reason: "BackOff",
          regarding: {
            kind: "Pod",
            namespace: "team-1",
            name: "web-1",
            uid: "uid-web-1",
            apiVersion: "v1",
            fieldPath: "spec.containers{web}"
          },
          note: "Back-off restarting failed container",
          type: "Warning"
        }
      }
    ])
  })

  it("feed --actor alice --kind Deployment --change-source human --search created", async () => {
    const status = await create("activityqueries", "ActivityQuery", {
      startTime: "now-24h",
      endTime: "now",
      filter: 'spec.actor.name == "alice" && spec.resource.kind == "Deployment" && spec.changeSource == "human"',
      search: "created",
      limit: 25
    })
    expect(status.results.length).toBe(1)
    const [{ apiVersion, kind, metadata, spec }] = status.results
    // Columns: Timestamp, Actor, Source, Summary.
    expect([apiVersion, kind]).toEqual(["activity.miloapis.com/v1alpha1", "Activity"])
    expect(metadata.creationTimestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
    expect(spec).toMatchObject({
      summary: "alice created Deployment web",
      changeSource: "human",
      actor: { type: "user", name: "alice" },
      resource: { apiGroup: "apps", apiVersion: "v1", kind: "Deployment", name: "web", namespace: "team-1" },
      tenant: { type: "Platform", name: "" },
      origin: { type: "audit", id: "9f1d2c3b-0000-4000-8000-000000000001" }
    })
  })

  it("feed --watch", async () => {
    const watch = api.watch("admin", `${group}/activities?watch=true`)
    await eventually("what there is", () => watch.frames.length === 3)
    await api.publish([{ id: "live", summary: "carol scaled Deployment web" }])
    await eventually("what happens", () => watch.frames.length === 4)
    watch.stop()
    const { object, type } = watch.frames[3]!
    expect([type, object.kind, object.spec.summary]).toEqual(["ADDED", "Activity", "carol scaled Deployment web"])
  })

  it("history deployments web -n team-1 --diff", async () => {
    const status = await create("auditlogqueries", "AuditLogQuery", {
      startTime: "now-30d",
      endTime: "now",
      filter:
        'objectRef.resource == "deployments" && objectRef.name == "web" && verb in ["create", "update", "patch", "delete"] && objectRef.namespace == "team-1"',
      limit: 100
    })
    // It turns them around, and compares each response with the one before.
    expect(
      status.results.map((one: { verb: string; responseObject: object }) => [one.verb, one.responseObject])
    ).toEqual([
      ["update", web(3)],
      ["create", web(1)]
    ])
  })

  const goHeaders = {
    accept: "application/json, */*",
    "content-type": "application/json",
    "user-agent": "kubectl-activity/v0.0.0 (linux/amd64) kubernetes/$Format"
  }
  const ours = { kind: "ReindexJob", apiVersion: "activity.miloapis.com/v1alpha1" }
  const noProgress = {
    totalEvents: 0,
    processedEvents: 0,
    activitiesGenerated: 0,
    errors: 0,
    currentBatch: 0,
    totalBatches: 0
  }

  it("reindex create --start-time now-7d --policy apps-deployment --policy core-pod --rate-limit 50 --ttl 3600", async () => {
    const answer = await api.request("admin", `${group}/reindexjobs`, {
      method: "POST",
      headers: goHeaders,
      body: JSON.stringify({
        ...ours,
        metadata: { generateName: "reindex-", creationTimestamp: null },
        spec: {
          timeRange: { startTime: "now-7d" },
          policySelector: { names: ["apps-deployment", "core-pod"] },
          config: { rateLimit: 50 },
          ttlSecondsAfterFinished: 3_600
        },
        status: {}
      })
    })
    expect([answer.status, answer.headers["warning"]]).toEqual([201, undefined])
    // It prints what was created.
    const { metadata, spec, status, ...rest } = answer.json()
    expect(rest).toEqual(ours)
    expect(metadata).toEqual({
      name: expect.stringMatching(/^reindex-[a-z0-9]{5}$/),
      uid: expect.stringMatching(/^[0-9a-f-]{36}$/),
      resourceVersion: expect.stringMatching(/^\d+$/),
      generation: 1,
      creationTimestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
    })
    expect(spec).toEqual({
      timeRange: { startTime: "now-7d", endTime: "now" },
      policySelector: { names: ["apps-deployment", "core-pod"] },
      config: { batchSize: 1_000, rateLimit: 50 },
      ttlSecondsAfterFinished: 3_600
    })
    expect(status).toMatchObject({
      phase: "Pending",
      progress: noProgress,
      conditions: [{ type: "Ready", status: "False", reason: "Pending" }]
    })
  })

  it("reindex create --start-time now-30d --dry-run warns of both, list and status show how far it is, delete", async () => {
    const created = await api.request("admin", `${group}/reindexjobs`, {
      method: "POST",
      headers: goHeaders,
      body: JSON.stringify({
        ...ours,
        metadata: { name: "month", creationTimestamp: null },
        spec: { timeRange: { startTime: "now-30d", endTime: "now" }, config: { batchSize: 500, dryRun: true } },
        status: {}
      })
    })
    expect(created.status).toBe(201)
    expect(String(created.headers["warning"])).toMatch(/299 - "spec\.timeRange: .*", 299 - "spec\.config\.dryRun: /)
    // As the controller writes it.
    const startedAt = ago(60)
    const status = {
      phase: "Running",
      message: "Counts what would differ; nothing is written",
      progress: {
        ...noProgress,
        totalEvents: 1_000,
        processedEvents: 500,
        activitiesGenerated: 20,
        currentBatch: 1,
        totalBatches: 2
      },
      startedAt,
      conditions: [{ type: "Ready", status: "False", reason: "InProgress", message: "", lastTransitionTime: startedAt }]
    }
    const told = await api.request("admin", `${group}/reindexjobs/month/status`, {
      method: "PUT",
      headers: goHeaders,
      body: JSON.stringify({ ...created.json(), status })
    })
    expect(told.status).toBe(200)

    // Columns: Name, Phase, Progress, Started, Completed.
    const listed = await api.request("admin", `${group}/reindexjobs`, { headers: goHeaders })
    expect([listed.status, listed.json().kind]).toEqual([200, "ReindexJobList"])
    const rows: ReadonlyArray<{ metadata: { name: string }; status: { phase: string; startedAt?: string } }> =
      listed.json().items
    expect(rows.map(({ metadata, status: { phase, startedAt: started } }) => [metadata.name, phase, started])).toEqual([
      ["month", "Running", startedAt],
      [expect.stringMatching(/^reindex-/), "Pending", undefined]
    ])
    const got = await api.request("admin", `${group}/reindexjobs/month`, { headers: goHeaders })
    expect(got.json()).toMatchObject({ ...ours, metadata: { name: "month" }, status })

    const deleted = await api.request("admin", `${group}/reindexjobs/month`, {
      method: "DELETE",
      headers: goHeaders,
      body: JSON.stringify({ kind: "DeleteOptions", apiVersion: "activity.miloapis.com/v1alpha1" })
    })
    const { details, kind, status: outcome } = deleted.json()
    expect([deleted.status, kind, outcome, details.name]).toEqual([200, "Status", "Success", "month"])
    const gone = await api.request("admin", `${group}/reindexjobs/month`, { headers: goHeaders })
    expect([gone.status, gone.json().reason, gone.json().message]).toEqual([
      404,
      "NotFound",
      'reindexjobs.activity.miloapis.com "month" not found'
    ])
  })

  const policy = {
    resource: { apiGroup: "apps", kind: "Deployment" },
    auditRules: [
      {
        name: "create",
        match: "audit.verb == 'create'",
        summary: "{{ actor }} created {{ link(kind + ' ' + audit.objectRef.name, audit.objectRef) }}"
      },
      { name: "delete", match: "audit.verb == 'delete'", summary: "{{ actor }} deleted {{ audit.objectRef.name }}" }
    ],
    eventRules: [{ match: "event.reason == 'ScalingReplicaSet'", summary: "{{ event.note }}" }]
  }
  /** As Go writes an audit record of which a file says little: what it cannot leave out is empty, or null. */
  const auditInput = (verb: string) => ({
    type: "audit",
    audit: {
      level: "",
      auditID: "",
      stage: "",
      requestURI: "",
      verb,
      user: { username: "alice@example.com" },
      objectRef: deployments,
      requestReceivedTimestamp: null,
      stageTimestamp: null
    }
  })

  it("policy preview -f policy.yaml --input inputs.yaml: records and Events, each with its rule", async () => {
    const status = await create("policypreviews", "PolicyPreview", {
      policy,
      inputs: [
        auditInput("create"),
        auditInput("get"),
        {
          type: "event",
          event: {
            apiVersion: "v1",
            kind: "Event",
            metadata: { name: "web.1", namespace: "team-1" },
            involvedObject: { apiVersion: "apps/v1", kind: "Deployment", namespace: "team-1", name: "web" },
            reason: "ScalingReplicaSet",
            message: "Scaled up replica set web-1 from 0 to 3",
            type: "Normal"
          }
        }
      ]
    })
    // Columns: Input, Matched, Rule. Keys that are not there are false, 0 and "" in Go.
    const columns = status.results.map(
      ({ inputIndex, matched, matchedRuleIndex, matchedRuleName, matchedRuleType }: Record<string, unknown>) => [
        inputIndex,
        matched,
        matchedRuleIndex,
        matchedRuleName,
        matchedRuleType
      ]
    )
    expect(columns).toEqual([
      [0, true, 0, "create", "audit"],
      [1, false, -1, undefined, undefined],
      [2, true, 0, "event-0", "event"]
    ])
    // Column Activity Summary: of those that matched, in their order.
    expect(status.activities.map((one: { spec: { summary: string } }) => one.spec.summary)).toEqual([
      "alice@example.com created Deployment web",
      "Scaled up replica set web-1 from 0 to 3"
    ])
    expect(status.activities[0]).toMatchObject({
      apiVersion: "activity.miloapis.com/v1alpha1",
      kind: "Activity",
      spec: {
        changeSource: "human",
        actor: { type: "user", name: "alice@example.com" },
        resource: { apiGroup: "apps", kind: "Deployment", name: "web", namespace: "team-1" },
        links: [{ marker: "Deployment web" }],
        tenant: { type: "Platform", name: "" },
        origin: { type: "audit" }
      }
    })
    expect([status.error, status.fetchedInputs]).toEqual([undefined, undefined])
  })

  it("policy preview -f policy.yaml --input-audit record.json", async () => {
    const status = await create("policypreviews", "PolicyPreview", { policy, inputs: [auditInput("delete")] })
    expect(status.results[0]).toMatchObject({ matched: true, matchedRuleIndex: 1, matchedRuleName: "delete" })
    expect(status.activities[0].spec.summary).toBe("alice@example.com deleted web")
  })

  it("policy preview -f policy.yaml --dry-run: without inputs it is checked", async () => {
    // What the server of the Go implementation refuses.
    expect(await create("policypreviews", "PolicyPreview", { policy })).toMatchObject({ activities: [], results: [] })
  })

  it("autoFetch, as the policy editor sends it", async () => {
    const status = await create("policypreviews", "PolicyPreview", {
      policy,
      autoFetch: { limit: 10, timeRange: "24h", sources: "both" }
    })
    expect(status.fetchedInputs[0]).toMatchObject({ type: "audit", audit: { kind: "Event", verb: "create" } })
    expect(status.results[0]).toMatchObject({ inputIndex: 0, matched: true, matchedRuleName: "create" })
    expect(status.activities.map((one: { spec: { summary: string } }) => one.spec.summary)).toEqual([
      "alice@example.com created Deployment web"
    ])
  })

  it("audit -n team-1 --continue-after TOKEN goes on where the page before ended", async () => {
    const spec = {
      startTime: "now-24h",
      endTime: "now",
      filter: 'objectRef.namespace == "team-1" && objectRef.resource == "deployments"',
      limit: 2
    }
    const first = await create("auditlogqueries", "AuditLogQuery", spec)
    const second = await create("auditlogqueries", "AuditLogQuery", { ...spec, continue: first.continue })
    const verbs = [...first.results, ...second.results].map(({ verb }: { verb: string }) => verb)
    expect([verbs, second.continue]).toEqual([["get", "update", "create"], undefined])
  })

  it("feed --api-group apps --resource-uid, --filter", async () => {
    const summariesOf = async (filter: string) => {
      const status = await create("activityqueries", "ActivityQuery", {
        startTime: "now-24h",
        endTime: "now",
        filter,
        limit: 25
      })
      return status.results.map((one: { spec: { summary: string } }) => one.spec.summary)
    }
    expect(await summariesOf('spec.resource.apiGroup == "apps" && spec.resource.kind == "StatefulSet"')).toEqual([
      "bob deleted StatefulSet db"
    ])
    expect(await summariesOf('spec.resource.uid == "nobody"')).toEqual([])
    expect(await summariesOf('spec.changeSource == "system"')).toEqual(["the scheduler placed Pod web-2"])
  })

  it("a mistake is 422, with a cause for its field", async () => {
    const answer = await api.request("admin", `${group}/auditlogqueries`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        kind: "AuditLogQuery",
        apiVersion: "activity.miloapis.com/v1alpha1",
        metadata: { creationTimestamp: null },
        spec: { startTime: "now-24h", endTime: "now", filter: "verb === 'x'" },
        status: {}
      })
    })
    expect(answer.status).toBe(422)
    const { apiVersion, code, details, kind, reason, status } = answer.json()
    expect([apiVersion, kind, status, code, reason]).toEqual(["v1", "Status", "Failure", 422, "Invalid"])
    expect(details.causes).toEqual([
      { reason: "FieldValueInvalid", field: "spec.filter", message: expect.stringMatching(/line 1, column \d+/) }
    ])
  })
})
