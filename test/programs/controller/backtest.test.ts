/**
 * What a backtest says of a policy before it is written is what a reindex finds after: over everything recorded, told
 * live by the sample policies, each of which is then changed so that all five outcomes come up. The programs run as
 * processes of their own, on a real nats-server and on a ClickHouse bridge.
 */
import { Effect, Result } from "effect"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { Nats } from "../../../src/clients/nats/Nats.ts"
import { natsLayer } from "../../../src/clients/nats/natsLayer.ts"
import type { JsonObject } from "../../../src/domain/AuditRecord.ts"
import type { ReindexJob, ReindexJobSpec } from "../../../src/domain/ReindexJob.ts"
import { platformTenant } from "../../../src/domain/Tenant.ts"
import { kubernetesEventFrom } from "../../../src/normalise/kubernetesEventFrom.ts"
import { eventMessage } from "../../../src/programs/eventMessage.ts"
import { eventually } from "../../support/eventually.ts"
import { auditRecordLines, recordedEvents } from "../../support/recordedData.ts"
import { type RunningProgram, startSystem, type System } from "../../support/system.ts"
import { type Policy, samples } from "./otherPolicies.ts"

const cluster = "recorded"
const group = "/apis/activity.miloapis.com/v1alpha1"
const apiVersion = "activity.miloapis.com/v1alpha1"
const outcomes = ["same", "changed", "new", "lost", "error"] as const
type Outcome = (typeof outcomes)[number]

/** Without its first rule, with another text in the next, one that fails for some names, and all that is left told. */
const candidateOf = ({ metadata, spec }: Policy): Policy => ({
  metadata,
  spec: {
    ...spec,
    auditRules: [
      ...(spec.auditRules ?? [])
        .slice(1)
        .map((rule, index) => (index === 0 ? { ...rule, summary: `${rule.summary}!` } : rule)),
      { name: "fails", match: "audit.verb == 'get' && audit.nothing == 1", summary: "x" },
      { name: "rest", match: "true", summary: "{{ actor }} did something" }
    ],
    eventRules: (spec.eventRules ?? []).map((rule) => ({
      ...rule,
      match: `event.note.size() % 2 == 0 && (${rule.match})`
    }))
  }
})

describe("a backtest and the reindex after it", () => {
  let system: System
  let api: RunningProgram

  const send = async (path: string, method: string, body: unknown) => {
    const answer = await api.request(`${group}/${path}`, {
      method,
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body)
    })
    assert.include([200, 201], answer.status, answer.text)
    return answer.json()
  }
  const write = (policy: Policy, method: "POST" | "PUT" = "PUT") =>
    send(method === "POST" ? "activitypolicies" : `activitypolicies/${policy.metadata.name}`, method, {
      apiVersion,
      kind: "ActivityPolicy",
      ...policy
    })
  const dryRun = async (name: string, spec: Partial<ReindexJobSpec>): Promise<Readonly<Record<Outcome, number>>> => {
    await send("reindexjobs", "POST", {
      apiVersion,
      kind: "ReindexJob",
      metadata: { name },
      spec: { timeRange, config: { dryRun: true, rateLimit: 1_000 }, ...spec }
    })
    const status = await eventually(
      `the job ${name} ends`,
      async () => {
        const job: ReindexJob = (await api.request(`${group}/reindexjobs/${name}`)).json()
        return job.status?.completedAt === undefined ? undefined : job.status
      },
      { deadlineMillis: 120_000 }
    )
    assert.strictEqual(status.phase, "Succeeded", status.message)
    const { changed, errors, lost, new: added, same } = status.progress
    return { same, changed, new: added, lost, error: errors }
  }
  const backtest = async ({ metadata, spec }: Policy, more: object) => {
    const { startTime: start, endTime: end } = timeRange
    const answer = await send("policypreviews", "POST", {
      apiVersion,
      kind: "PolicyPreview",
      spec: { policy: spec, policyName: metadata.name, backtest: { timeRange: { start, end }, ...more } }
    })
    return answer.status.backtest
  }
  const timeRange = { startTime: "2026-11-01T00:00:00Z", endTime: new Date().toISOString() }

  beforeAll(async () => {
    system = await startSystem()
    api = await system.start("apiserver")
    for (const policy of samples) await write(policy, "POST")
    const collector = await system.start("collector", ["--cluster", cluster])
    await system.start("processor")
    await system.start("writer")
    const records = auditRecordLines()
    for (let from = 0; from < records.length; from += 500) {
      const body = `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[${records.slice(from, from + 500).join(",")}]}`
      assert.strictEqual((await collector.request("", { method: "POST", body })).status, 200)
    }
    const events = recordedEvents("events.k8s.io/v1").map((recorded) =>
      // What a cluster wrote is JSON.
      eventMessage(
        Result.getOrThrow(kubernetesEventFrom(recorded as unknown as JsonObject, { cluster, tenant: platformTenant })),
        "added"
      )
    )
    await Effect.runPromise(
      Nats.use((nats) => nats.publish(events)).pipe(
        Effect.provide(natsLayer({ servers: [system.nats.url], name: "test" })),
        Effect.scoped
      )
    )
    await system.start("controller", ["--lease-duration", "3s"])
    // It begins when all that came before is stored.
    const { changed, error, lost, new: added } = await dryRun("settled", {})
    assert.deepStrictEqual({ changed, error, lost, added }, { changed: 0, error: 0, lost: 0, added: 0 })
  }, 240_000)
  afterAll(() => system[Symbol.asyncDispose]())

  it("count the same, one by one and together, and list each fact that they count", { timeout: 400_000 }, async () => {
    const together = { same: 0, changed: 0, new: 0, lost: 0, error: 0 }
    const counted = new Map<string, Readonly<Record<Outcome, number>>>()
    for (const policy of samples) {
      const { name } = policy.metadata
      let page = await backtest(candidateOf(policy), { outcomes, limit: 500 })
      const ids = new Set<string>()
      const { counts } = page
      const listed = { same: 0, changed: 0, new: 0, lost: 0, error: 0 }
      for (;;) {
        const results: ReadonlyArray<{ readonly outcome: Outcome; readonly type: string; readonly id: string }> =
          page.results
        for (const { id, outcome, type } of results) {
          listed[outcome] += 1
          ids.add(`${type} ${id}`)
        }
        if (page.continue === undefined) break
        page = await backtest(candidateOf(policy), { outcomes, limit: 500, continue: page.continue })
      }
      assert.deepStrictEqual([name, listed], [name, counts])
      assert.strictEqual(ids.size, sumOf(counts), name)
      counted.set(name, counts)
      for (const outcome of outcomes) together[outcome] += counts[outcome]
    }
    for (const outcome of outcomes) assert.isAbove(together[outcome], 0, outcome)

    // Each is for a kind of its own: that the others change changes nothing about it.
    for (const policy of samples) await write(candidateOf(policy))
    for (const name of ["apps-deployment", "core-pod"]) {
      assert.deepStrictEqual(await dryRun(name, { policySelector: { names: [name] } }), counted.get(name))
    }
    assert.deepStrictEqual(await dryRun("all", {}), together)
  })
})

const sumOf = (counts: Readonly<Record<Outcome, number>>): number =>
  outcomes.reduce((sum, outcome) => sum + counts[outcome], 0)
