/**
 * ReindexJobs over everything recorded: told by other policies first, then anew by the sample policies, whose activities
 * were read by a person. The programs run as processes of their own, on a real nats-server and on a ClickHouse bridge
 * (the embedded engine behind HTTP, not a ClickHouse server).
 */
import { Effect, Layer, Result } from "effect"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { Nats } from "../../../src/clients/nats/Nats.ts"
import { natsLayer } from "../../../src/clients/nats/natsLayer.ts"
import type { ActivityPolicy } from "../../../src/domain/ActivityPolicy.ts"
import type { JsonObject } from "../../../src/domain/AuditRecord.ts"
import type { ReindexJob, ReindexJobSpec } from "../../../src/domain/ReindexJob.ts"
import { platformTenant } from "../../../src/domain/Tenant.ts"
import { kubernetesEventFrom } from "../../../src/normalise/kubernetesEventFrom.ts"
import { eventMessage } from "../../../src/programs/eventMessage.ts"
import { policyBucketLayer, PolicyBucket } from "../../../src/store/PolicyBucket.ts"
import { eventually } from "../../support/eventually.ts"
import { auditRecordLines, watchFrames } from "../../support/recordedData.ts"
import { type RunningProgram, startSystem, type System } from "../../support/system.ts"
import { golden, gone, otherwise, type Policy, samples } from "./otherPolicies.ts"
import { countsOf, followed, seenActivities } from "./seenActivities.ts"

const cluster = "recorded"
const group = "/apis/activity.miloapis.com/v1alpha1"
const apiVersion = "activity.miloapis.com/v1alpha1"

describe("reindex jobs", () => {
  let system: System
  let api: RunningProgram
  let controller: RunningProgram
  let standby: RunningProgram
  /** Of the activities before the first job. */
  let before: { readonly summaries: ReadonlyMap<string, string>; readonly resourceVersion: string }

  const send = async (path: string, method: string, body: unknown) => {
    const answer = await api.request(`${group}/${path}`, {
      method,
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body)
    })
    return { status: answer.status, value: answer.json() }
  }
  const write = async (method: "POST" | "PUT", policy: Policy) => {
    const path = method === "POST" ? "activitypolicies" : `activitypolicies/${policy.metadata.name}`
    const { status, value } = await send(path, method, { apiVersion, kind: "ActivityPolicy", ...policy })
    assert.include([200, 201], status, JSON.stringify(value))
  }
  const create = async (name: string, spec: Partial<ReindexJobSpec>): Promise<void> => {
    const job = {
      apiVersion,
      kind: "ReindexJob",
      metadata: { name },
      spec: { timeRange: { startTime: "2026-11-01T00:00:00Z" }, ...spec }
    }
    const { status, value } = await send("reindexjobs", "POST", job)
    assert.strictEqual(status, 201, JSON.stringify(value))
  }
  const jobOf = async (name: string): Promise<ReindexJob> => (await api.request(`${group}/reindexjobs/${name}`)).json()
  const ended = (name: string) =>
    eventually(
      `the job ${name} ends`,
      async () => {
        const { status } = await jobOf(name)
        return status?.phase === "Succeeded" || status?.phase === "Failed" ? status : undefined
      },
      { deadlineMillis: 240_000 }
    )

  beforeAll(async () => {
    system = await startSystem()
    api = await system.start("apiserver")
    for (const policy of [...samples.map(otherwise), gone]) await write("POST", policy)
    const collector = await system.start("collector", ["--cluster", cluster])
    await system.start("processor")
    await system.start("writer")
    const records = auditRecordLines()
    for (let from = 0; from < records.length; from += 500) {
      const body = `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[${records.slice(from, from + 500).join(",")}]}`
      assert.strictEqual((await collector.request("", { method: "POST", body })).status, 200)
    }
    await publishEvents(system)
    controller = await system.start("controller", ["--lease-duration", "3s"])
    standby = await system.start("controller", ["--lease-duration", "3s"])
    // It begins when all that came before is stored; dry, it changes nothing.
    await create("first", { config: { dryRun: true, rateLimit: 1_000 } })
    const status = await ended("first")
    assert.strictEqual(status.phase, "Succeeded", status.message)
    assert.deepInclude(status.progress, { changed: 0, new: 0, lost: 0, errors: 0 })
    before = await listAll(api)
  }, 240_000)
  afterAll(() => system[Symbol.asyncDispose]())

  it(
    "a job is killed (-9) half way, and the standby ends it: all is told by the policies as they are, each once",
    { timeout: 600_000 },
    async () => {
      assert.notDeepEqual(before.summaries, golden)
      const [told] = await system.query<{ count: string }>(
        "SELECT count() AS count FROM activities FINAL WHERE policy = 'zz-gone'"
      )
      assert.isAbove(Number(told?.count), 0)
      for (const policy of samples) await write("PUT", policy)
      await api.request(`${group}/activitypolicies/zz-gone`, { method: "DELETE" })

      await create("dry", { config: { dryRun: true, rateLimit: 1_000 } })
      const dry = await ended("dry")
      await create("real", { config: { rateLimit: 400 } })
      await eventually("it is half way", async () => {
        const { processedEvents = 0, totalEvents = 0 } = (await jobOf("real")).status?.progress ?? {}
        return totalEvents > 0 && processedEvents > totalEvents / 3
      })
      await controller.process.kill()
      const real = await ended("real")
      assert.match(standby.process.log(), /"job":"real","phase":"Succeeded"/)
      assert.strictEqual(real.phase, "Succeeded", real.message)
      assert.strictEqual(real.progress.processedEvents, real.progress.totalEvents)
      assert.strictEqual(dry.progress.activitiesGenerated, golden.size)
      assert.strictEqual(real.progress.activitiesGenerated, golden.size)
      assert.strictEqual(real.progress.errors, 0)

      await create("after", { config: { dryRun: true, rateLimit: 1_000 } })
      const after = (await ended("after")).progress
      assert.deepInclude(after, { same: golden.size, changed: 0, new: 0, lost: 0 })
      const listed = await listAll(api)
      assert.deepStrictEqual(listed.summaries, golden)
      assert.strictEqual(listed.count, golden.size)

      // What a watch saw meanwhile leads from what was there to what is there, each activity once.
      const seen = await seenActivities(
        api.request,
        `${group}/activities`,
        before.resourceVersion,
        listed.resourceVersion
      )
      const { changed, lost, new: added } = dry.progress
      for (const count of [added, changed, lost]) assert.isAbove(count, 0)
      assert.deepStrictEqual(countsOf(seen), { new: added, changed, lost })
      assert.deepStrictEqual(followed(before.summaries, seen), golden)
    }
  )

  it("a job that is deleted stops, and the next begins", async () => {
    await create("slow", { config: { rateLimit: 10 } })
    await eventually("it runs", async () => ((await jobOf("slow")).status?.progress.processedEvents ?? 0) > 0)
    await create("next", {
      policySelector: { names: ["apps-deployment"] },
      config: { rateLimit: 1_000 },
      ttlSecondsAfterFinished: 0
    })
    assert.strictEqual((await jobOf("next")).status?.phase, "Pending")
    assert.strictEqual((await api.request(`${group}/reindexjobs/slow`, { method: "DELETE" })).status, 200)
    await eventually("the next has ended, and is deleted after its time", async () => {
      const answer = await api.request(`${group}/reindexjobs/next`)
      return answer.status === 404
    })
    // Whichever replica works.
    const logs = controller.process.log() + standby.process.log()
    assert.match(logs, /"job":"next","phase":"Succeeded"/)
    assert.notMatch(logs, /"job":"slow","phase"/)
  })

  it("a job says why it cannot be carried out", async () => {
    await create("unknown", { policySelector: { names: ["apps-deployment", "nothing"] } })
    const status = await ended("unknown")
    assert.deepInclude(status, {
      phase: "Failed",
      message: "there is no ActivityPolicy nothing, nor an activity of it"
    })
    assert.deepInclude(status.conditions[0], { type: "Ready", status: "False", reason: "Failed" })
  })

  it("a policy that was written around the API is told to be off, and a job about it fails", async () => {
    const around: ActivityPolicy = {
      apiVersion,
      kind: "ActivityPolicy",
      metadata: { name: "around", uid: "3e3f9d2a-0000-4000-8000-000000000001", generation: 1 },
      spec: {
        resource: { apiGroup: "apps", kind: "Deployment" },
        auditRules: [{ match: "audit.verb == (", summary: "x" }]
      }
    }
    await Effect.runPromise(
      PolicyBucket.use((bucket) => bucket.create(around)).pipe(
        Effect.provide(policyBucketLayer.pipe(Layer.provide(natsLayer({ servers: [system.nats.url], name: "around" }))))
      )
    )
    const told = await eventually("its status", async () => {
      const policy: ActivityPolicy = (await api.request(`${group}/activitypolicies/around`)).json()
      return policy.status
    })
    assert.strictEqual(told.observedGeneration, 1)
    assert.deepInclude(told.conditions?.[0], { type: "Ready", status: "False", reason: "ValidationFailed" })
    await create("about-it", { policySelector: { names: ["around"] } })
    assert.deepInclude(await ended("about-it"), {
      phase: "Failed",
      message: "the rules of ActivityPolicy around are off: they do not compile"
    })
  })
})

const publishEvents = (system: System) => {
  const messages = watchFrames("events.k8s.io/v1")
    .filter(({ type }) => type !== "DELETED")
    .map(({ object, type }) => {
      // A recorded object is JSON.
      const event = kubernetesEventFrom(object as unknown as JsonObject, { cluster, tenant: platformTenant })
      return eventMessage(Result.getOrThrow(event), type === "ADDED" ? "added" : "modified")
    })
  return Effect.runPromise(
    Nats.use((nats) => nats.publish(messages)).pipe(
      Effect.provide(natsLayer({ servers: [system.nats.url], name: "test" })),
      Effect.scoped
    )
  )
}

interface Listed {
  readonly metadata: { readonly name: string }
  readonly spec: { readonly summary: string }
}

const listAll = async (api: RunningProgram) => {
  const summaries = new Map<string, string>()
  let [count, next, resourceVersion] = [0, "", ""]
  do {
    const query = new URLSearchParams({ start: "2026-11-01T00:00:00Z", limit: "500", continue: next })
    const page = (await api.request(`${group}/activities?${query}`)).json()
    const items: ReadonlyArray<Listed> = page.items
    for (const { metadata, spec } of items) summaries.set(metadata.name, spec.summary)
    count += items.length
    resourceVersion ||= page.metadata.resourceVersion
    next = page.metadata.continue ?? ""
  } while (next !== "")
  return { summaries, count, resourceVersion }
}
