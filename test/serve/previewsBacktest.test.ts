/** A policy is tried on what was stored: autoFetch, and the backtest. */
import { Effect, Result } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { ClickHouse } from "../../src/clients/clickhouse/ClickHouse.ts"
import type { ActivityPolicy } from "../../src/domain/ActivityPolicy.ts"
import type { JsonObject } from "../../src/domain/AuditRecord.ts"
import { platformTenant } from "../../src/domain/Tenant.ts"
import { auditRecordFrom } from "../../src/normalise/auditRecordFrom.ts"
import { kubernetesEventFrom } from "../../src/normalise/kubernetesEventFrom.ts"
import { reindexed, type ReindexOutcome } from "../../src/process/Reindex.ts"
import type { Evaluation } from "../../src/process/PolicySet.ts"
import { insertRows } from "../../src/store/insertRows.ts"
import { auditLogLine, kubernetesEventLine, type StoredLine, type StoredTable } from "../../src/store/rows.ts"
import { policySet, samplePolicies } from "../process/scenarios.ts"
import { eventually } from "../support/eventually.ts"
import { eventRow, recordRow } from "../support/factRows.ts"
import { auditRecordLines, recordedEvents } from "../support/recordedData.ts"
import { type Api, group, startApi, type UserName } from "./apiFixture.ts"

const began = Date.now()

/** So many seconds before this began. */
const ago = (seconds: number): string => new Date(began - seconds * 1_000).toISOString().replace("Z", "000Z")

/** So many Secrets were updated, on the server's own platform. */
const secretsMax = 5_000

const policyOf = (kind: string, verbs: ReadonlyArray<string>) => ({
  resource: { apiGroup: "", kind },
  auditRules: verbs.map((verb) => ({
    name: verb,
    match: `audit.verb == '${verb}'`,
    summary: `{{ actor }} did ${verb} {{ audit.objectRef.name }}`
  })),
  eventRules: [{ name: "pulled", match: "event.reason == 'Pulled'", summary: "{{ event.note }}" }]
})

describe("policy previews of what was stored", () => {
  let api: Api

  const insert = (table: StoredTable, rows: ReadonlyArray<StoredLine>) =>
    api.run(insertRows({ table, rows, onPoison: (_, refused) => Effect.die(refused) }))
  const bodyOf = (kind: string, spec: object, more: object = {}) => ({
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ apiVersion: "activity.miloapis.com/v1alpha1", kind, spec, ...more })
  })
  const post = (spec: object, user: UserName = "admin") =>
    api.request(user, `${group}/policypreviews`, bodyOf("PolicyPreview", spec))
  const statusOf = async (spec: object, user: UserName = "admin") => {
    const answer = await post(spec, user)
    expect([answer.status, answer.text]).toEqual([201, expect.any(String)])
    return answer.json().status
  }
  const create = async (name: string, spec: object) => {
    const answer = await api.request(
      "admin",
      `${group}/activitypolicies`,
      bodyOf("ActivityPolicy", spec, { metadata: { name } })
    )
    expect([answer.status, answer.text]).toEqual([201, expect.any(String)])
    return answer.json()
  }
  const namesOf = (activities: ReadonlyArray<{ spec: { summary: string } }>) =>
    activities.map(({ spec }) => spec.summary)

  beforeAll(async () => {
    api = await startApi()
    const tenant = platformTenant
    await insert("audit_logs", [
      ...["create", "update", "update", "delete", "get"].map((verb, index) =>
        recordRow({ auditID: `c${index}`, received: ago(100 + index), tenant, verb, objectRef: { name: `c${index}` } })
      ),
      recordRow({ auditID: "of-a", received: ago(50), tenant: { type: "Project", name: "a" }, verb: "create" }),
      recordRow({
        auditID: "of-team-2",
        received: ago(51),
        tenant,
        verb: "create",
        objectRef: { namespace: "team-2" }
      }),
      recordRow({ auditID: "elsewhere", received: ago(52), tenant, cluster: "elsewhere", verb: "create" }),
      recordRow({ auditID: "pod", received: ago(1), tenant, verb: "create", objectRef: { resource: "pods" } })
    ])
    await insert("k8s_events", [
      eventRow({ uid: "e1", created: ago(100), tenant }),
      eventRow({ uid: "e2", created: ago(110), tenant: { type: "Project", name: "a" } })
    ])
    for (let from = 0; from < secretsMax; from += 1_000) {
      await insert(
        "audit_logs",
        Array.from({ length: 1_000 }, (_, index) =>
          recordRow({
            auditID: `s${from + index}`,
            // Several in one microsecond, and at the ends of slices too.
            received: ago(1_000 + Math.floor((from + index) / 7)),
            tenant,
            verb: "update",
            objectRef: { resource: "secrets", name: `s${from + index}` }
          })
        )
      )
    }
  })
  afterAll(() => api[Symbol.asyncDispose]())

  describe("autoFetch", () => {
    const policy = policyOf("ConfigMap", ["create", "delete"])

    it("tries it on stored records of its kind, those first that a rule matches", async () => {
      const { activities, fetchedInputs, results } = await statusOf({
        policy,
        autoFetch: { timeRange: "1h", limit: 6 }
      })
      const ids = fetchedInputs.map(({ audit }: { audit: { auditID: string } }) => audit.auditID)
      expect(ids).toEqual(["of-a", "of-team-2", "elsewhere", "c0", "c3", "c1"])
      expect(results.map(({ matched }: { matched: boolean }) => matched)).toEqual([true, true, true, true, true, false])
      expect(activities).toHaveLength(5)
      expect(fetchedInputs[0].type).toBe("audit")
    })

    it("Events are of the kind that they regard", async () => {
      const { activities, fetchedInputs } = await statusOf({
        policy: policyOf("Pod", []),
        autoFetch: { sources: "events" }
      })
      expect(fetchedInputs.map(({ event }: { event: { metadata: { uid: string } } }) => event.metadata.uid)).toEqual([
        "e1",
        "e2"
      ])
      expect(namesOf(activities)).toEqual(["Successfully pulled image", "Successfully pulled image"])
    })

    it("previews alone give nobody a fact, in any scope: who asks for them must be allowed to", async () => {
      const refusals = [
        ["audit", 'cannot create resource "auditlogqueries"'],
        ["events", 'cannot list resource "eventrecords"']
      ] as const
      for (const user of ["previewer", "tenant-a-previewer"] as const) {
        for (const [sources, message] of refusals) {
          for (const way of [{ autoFetch: { sources } }, { policyName: "tried", backtest: { sources } }]) {
            for (const where of [{}, { namespace: "team-1" }]) {
              const answer = await post({ policy, ...way, ...where }, user)
              expect([user, answer.status, answer.text]).toEqual([
                user,
                403,
                expect.stringContaining(JSON.stringify(message).slice(1, -1))
              ])
            }
          }
        }
        // Of what it brings itself it is told.
        await statusOf({ policy, inputs: [] }, user)
      }
    })

    it("sees what its caller sees, and nothing else", async () => {
      const idsFor = async (user: UserName, more: object = {}) => {
        const answer = await post({ policy, autoFetch: {}, ...more }, user)
        return answer.status === 201
          ? answer.json().status.fetchedInputs.map(({ audit }: { audit: { auditID: string } }) => audit.auditID)
          : answer.status
      }
      expect(await idsFor("tenant-a")).toEqual(["of-a"])
      expect(await idsFor("tenant-A")).toEqual([])
      // What this person did.
      expect(await idsFor("user-scope")).toEqual([])
      expect(await idsFor("viewer")).toBe(403)
      expect(await idsFor("half-type")).toBe(403)
      expect(await idsFor("team-1-viewer")).toBe(403)
      // Whoever may ask for records may ask for those of a namespace.
      expect(await idsFor("viewer", { namespace: "team-2" })).toEqual(["of-team-2"])
      expect(await idsFor("admin", { namespace: "team-2" })).toEqual(["of-team-2"])
    })
  })

  describe("a backtest", () => {
    const candidate = policyOf("ConfigMap", ["create", "delete", "update"])
    const spec = (more: object = {}, policy: object = candidate, policyName = "config-maps") => ({
      policy,
      policyName,
      backtest: { timeRange: { start: "now-1h" }, ...more }
    })

    beforeAll(async () => {
      await create("config-maps", {
        ...candidate,
        auditRules: [
          candidate.auditRules[0],
          { ...candidate.auditRules[1], summary: "{{ actor }} removed {{ audit.objectRef.name }}" },
          { name: "get", match: "audit.verb == 'get'", summary: "{{ actor }} looked" }
        ]
      })
      await create("secrets", policyOf("Secret", ["update"]))
      await eventually(
        "the policies are listed",
        async () => (await api.request("admin", `${group}/activitypolicies`)).json().items.length === 2
      )
    })

    it("compares with the policy that is in effect, and lists what differs", async () => {
      const { backtest } = await statusOf(spec())
      expect(backtest).toMatchObject({
        // All of the API group that a rule could be asked about.
        facts: secretsMax + 9,
        counts: { same: 4, changed: 1, new: 2, lost: 1, error: 0 },
        effectiveStartTime: expect.stringMatching(/Z$/)
      })
      expect(backtest.results.map(({ id, outcome }: Record<string, string>) => `${id} ${outcome}`)).toEqual([
        "c1 new",
        "c2 new",
        "c3 changed",
        "c4 lost"
      ])
      expect(backtest.results[2]).toMatchObject({
        type: "audit",
        timestamp: ago(103),
        before: { spec: { summary: "alice removed c3" } },
        after: {
          kind: "Activity",
          spec: { summary: "alice did delete c3", policy: { name: "config-maps", rule: "delete" } }
        }
      })
      expect(backtest.results[3]).toMatchObject({ before: { spec: { summary: "alice looked" } } })
      expect(backtest.results[3]).not.toHaveProperty("after")
      expect(backtest).not.toHaveProperty("continue")
    })

    it("a rule that fails is told with its place", async () => {
      const failing = { ...candidate, auditRules: [{ name: "bad", match: "audit.nothing == 1", summary: "x" }] }
      const { backtest } = await statusOf(spec({ outcomes: ["error"], limit: 1 }, failing))
      expect(backtest.counts).toEqual({ same: 0, changed: 0, new: 0, lost: 0, error: 8 })
      expect(backtest.results[0].error).toMatch(/^rule bad: match, line 1, column \d+: /)
    })

    it("where no policy has that name, all is new", async () => {
      const { backtest } = await statusOf(spec({ sources: "events" }, policyOf("Pod", []), "pods"))
      expect(backtest.counts).toEqual({ same: 0, changed: 0, new: 2, lost: 0, error: 0 })
    })

    it("policies of other names are asked too, in the order of their names", async () => {
      // It is asked before "secrets", and takes its records; a name behind it takes none.
      const taken = await statusOf(spec({ limit: 1 }, policyOf("Secret", ["update"]), "a-secrets"))
      expect(taken.backtest.counts).toEqual({ same: 0, changed: secretsMax, new: 0, lost: 0, error: 0 })
      const late = await statusOf(spec({ limit: 1 }, policyOf("Secret", ["update"]), "z-secrets"))
      expect(late.backtest.counts).toEqual({ same: 0, changed: 0, new: 0, lost: 0, error: 0 })
    })

    it("the pages of a list hold each once, in order", async () => {
      const paged = { ...spec({ outcomes: ["same"], limit: 499 }, policyOf("Secret", ["update"]), "secrets") }
      const first = (await statusOf(paged)).backtest
      expect([first.facts, first.counts.same]).toEqual([secretsMax + 2, secretsMax])
      const pages = [first]
      while (pages.at(-1).continue !== undefined) {
        const next = { ...paged.backtest, continue: pages.at(-1).continue }
        pages.push((await statusOf({ ...paged, backtest: next })).backtest)
      }
      expect(pages.slice(1).filter((page) => "counts" in page || "facts" in page)).toEqual([])
      const ids = pages.flatMap(({ results }) => results.map(({ id }: { id: string }) => id))
      expect(ids.length).toBe(secretsMax)
      expect(new Set(ids).size).toBe(secretsMax)
    })

    it("a continue token is of one backtest and one caller", async () => {
      const first = spec({ outcomes: ["new"], limit: 1 })
      const { backtest } = await statusOf(first)
      const again = (more: object, user: UserName = "admin") =>
        post({ ...first, ...more, backtest: { ...first.backtest, continue: backtest.continue } }, user)
      expect((await again({})).json().status.backtest.results.map(({ id }: { id: string }) => id)).toEqual(["c2"])
      expect((await again({ policy: policyOf("ConfigMap", ["create"]) })).status).toBe(400)
      expect((await again({}, "master")).status).toBe(400)
    })

    it("who may not list policies is not told what they say", async () => {
      const answer = await post(spec(), "tenant-a")
      expect([answer.status, answer.json().message]).toEqual([403, expect.stringContaining("activitypolicies")])
    })

    it("faults are told", async () => {
      const causes = async (more: object) =>
        (await post(more)).json().details.causes.map(({ field }: { field: string }) => field)
      expect(await causes({ policy: candidate, backtest: { outcomes: ["worse"], limit: 501 } })).toEqual([
        "spec.policyName",
        "spec.backtest.limit",
        "spec.backtest.outcomes"
      ])
      expect(await causes(spec({}, policyOf("Secret", ["update"])))).toEqual(["spec.policy.resource.kind"])
    })

    it("one user runs one at a time; the other is told to come again", async () => {
      const slow = spec({ limit: 1 }, policyOf("Secret", ["update"]), "secrets")
      const answers = await Promise.all([post(slow), post(slow), post(slow, "master")])
      expect(answers.map(({ status }) => status).toSorted()).toEqual([201, 201, 429])
      expect((await post(slow)).status).toBe(201)
    })

    it("ends when its caller goes away", async () => {
      const slow = spec({ limit: 1 }, policyOf("Secret", ["update"]), "secrets")
      const first = api.watch("admin", `${group}/policypreviews`, bodyOf("PolicyPreview", slow))
      await eventually("it runs", async () => (await post(slow)).status === 429)
      first.stop()
      await eventually("another may run", async () => (await post(slow)).status === 201)
      const reading =
        "SELECT query FROM system.processes WHERE query LIKE '%FROM `audit_logs`%' AND query NOT LIKE '%system.%'"
      expect(await api.run(ClickHouse.use((clickhouse) => clickhouse.query({ sql: reading })))).toEqual([])
    })

    it("counts what a reindex would, over the recorded data", async () => {
      const records = auditRecordLines().map((line) =>
        Result.getOrThrow(auditRecordFrom(line, { cluster: "dev", defaultTenant: platformTenant }))
      )
      const events = recordedEvents("events.k8s.io/v1").flatMap((recorded) => {
        // What a cluster wrote is JSON.
        const read = kubernetesEventFrom(recorded as unknown as JsonObject, { cluster: "dev", tenant: platformTenant })
        return Result.isSuccess(read) ? [read.success] : []
      })
      await insert(
        "audit_logs",
        records.map((record, index) => auditLogLine(record, index + 1))
      )
      const newest = new Map(events.map((event) => [event.key, event]))
      await insert(
        "k8s_events",
        [...newest.values()].map((event, index) => kubernetesEventLine(event, index + 1))
      )
      const times = [
        ...records.map(({ requestReceivedTimestamp }) => requestReceivedTimestamp),
        ...events.map(({ creationTimestamp }) => creationTimestamp)
      ].toSorted()
      const samples = samplePolicies().map((sample): ActivityPolicy => ({
        ...sample,
        metadata: { ...sample.metadata, name: `sample-${sample.metadata.name}` }
      }))
      for (const { metadata, spec: sample } of samples) await create(metadata.name, sample)
      const stored: ReadonlyArray<ActivityPolicy> = (await api.request("admin", `${group}/activitypolicies`)).json()
        .items
      const before = policySet(stored)
      let told = 0
      for (const { metadata, spec: sample } of samples) {
        const changed = {
          ...sample,
          auditRules: (sample.auditRules ?? [])
            .slice(1)
            .map((rule, index) => (index === 0 ? { ...rule, summary: `${rule.summary}!` } : rule)),
          eventRules: (sample.eventRules ?? []).map((rule) => ({
            ...rule,
            match: `event.note.size() % 2 == 0 && (${rule.match})`
          }))
        }
        const after = policySet(
          stored.map((one) => (one.metadata.name === metadata.name ? { ...one, spec: changed } : one))
        )
        const counts: Record<ReindexOutcome, number> = { same: 0, changed: 0, new: 0, lost: 0, error: 0 }
        const count = (was: Evaluation, is: Evaluation) => {
          const held =
            was._tag === "Matched"
              ? {
                  json: was.json,
                  policy: was.activity.spec.policy.name,
                  generation: was.activity.spec.policy.generation
                }
              : undefined
          const retold = reindexed(
            { evaluation: is, stored: held, sourceVersion: "1" },
            (name) => name === metadata.name,
            "job"
          )
          if (retold !== undefined) counts[retold.outcome] += 1
        }
        for (const record of records) count(before.evaluateAudit(record), after.evaluateAudit(record))
        for (const event of newest.values())
          count(before.evaluateEvent(event, "added"), after.evaluateEvent(event, "added"))
        const { backtest } = await statusOf({
          policy: changed,
          policyName: metadata.name,
          backtest: { timeRange: { start: times[0], end: `${times.at(-1)?.slice(0, 19)}.999999Z` }, limit: 1 }
        })
        expect([metadata.name, backtest.counts]).toEqual([metadata.name, counts])
        told += counts.same + counts.changed + counts.lost
      }
      expect(told).toBeGreaterThan(100)
    }, 120_000)
  })
})
