/**
 * The controller in a cluster: policies and reindex jobs are records of a real kube-apiserver, one of two replicas works by a
 * Lease of coordination.k8s.io. The recorded data is told by other policies first, then anew by the sample policies, whose
 * activities were read by a person.
 */
import { Result } from "effect"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { activityKey, activityName } from "../../src/domain/identity.ts"
import type { ReindexJob, ReindexJobSpec } from "../../src/domain/ReindexJob.ts"
import { platformTenant } from "../../src/domain/Tenant.ts"
import { auditRecordFrom } from "../../src/normalise/auditRecordFrom.ts"
import { golden, gone, otherwise, type Policy, samples } from "../programs/controller/otherPolicies.ts"
import { countsOf, followed, seenActivities } from "../programs/controller/seenActivities.ts"
import { eventually } from "../support/eventually.ts"
import { https } from "../support/httpsJson.ts"
import { auditRecordLines } from "../support/recordedData.ts"
import { type Activity, namespace, type Program, startActivityInCluster } from "./activity.ts"
import { clusterAuthority, showLogsOfFailures, startMillisMax } from "./cluster.ts"

const group = "/apis/activity.miloapis.com/v1alpha1"
const apiVersion = "activity.miloapis.com/v1alpha1"
const lease = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/activity-controller`

/** Of the recorded data. What the cluster of this test does comes later. */
const recorded = { startTime: "2026-11-20T00:00:00Z", endTime: "2026-11-20T23:00:00Z" }
const inRecordedTime = "ts < toDateTime64('2026-11-20 23:00:00', 6, 'UTC')"

const object = (policy: Policy) => ({ apiVersion, kind: "ActivityPolicy", ...policy })

/** Not there at first. */
const missing = samples.find(({ metadata }) => metadata.name === "core-configmap")

/** By name, as a cluster called `cluster` has them: what each activity of the recorded audit records says. */
const goldenOf = (cluster: string): ReadonlyMap<string, string> =>
  new Map(
    auditRecordLines().flatMap((line) => {
      const nameIn = (where: string) =>
        Result.match(auditRecordFrom(line, { cluster: where, defaultTenant: platformTenant }), {
          onSuccess: ({ key }) => activityName(activityKey(where, "audit", key)),
          onFailure: () => ""
        })
      const summary = golden.get(nameIn("recorded"))
      return summary === undefined ? [] : [[nameIn(cluster), summary] as const]
    })
  )

describe("the controller in a cluster", () => {
  let activity: Activity
  let expected: ReadonlyMap<string, string>

  const request = async (path: string, method = "GET", body?: unknown) =>
    activity.cluster.request("admin", path, body === undefined ? { method } : { method, body })
  const create = async (name: string, spec: Partial<ReindexJobSpec> = {}): Promise<void> => {
    const job = { apiVersion, kind: "ReindexJob", metadata: { name }, spec: { timeRange: recorded, ...spec } }
    const { status, text } = await request(`${group}/reindexjobs`, "POST", job)
    assert.strictEqual(status, 201, text)
  }
  const jobOf = async (name: string): Promise<ReindexJob> => (await request(`${group}/reindexjobs/${name}`)).json()
  const ended = (name: string) =>
    eventually(
      `the job ${name} ends`,
      async () => {
        const { status } = await jobOf(name)
        return status?.phase === "Succeeded" || status?.phase === "Failed" ? status : undefined
      },
      { deadlineMillis: 240_000 }
    )
  const stored = async (): Promise<ReadonlyMap<string, string>> => {
    const rows = await activity.query<{ id: string; summary: string }>(
      `SELECT toString(id) AS id, summary FROM activities FINAL WHERE ${inRecordedTime}`
    )
    const summaries = new Map(rows.map(({ id, summary }) => [activityName(id), summary]))
    assert.strictEqual(summaries.size, rows.length)
    return summaries
  }
  /** Of the replica that works, and of the other. */
  const replicas = async (): Promise<readonly [Program, Program]> => {
    const { holderIdentity } = (await request(lease)).json().spec
    const works = ({ log }: Program) => log().includes(`"message":"controller started","holder":"${holderIdentity}"`)
    const working = activity.replicas.controller.find(works)
    const standby = activity.replicas.controller.find((one) => !works(one))
    assert.isDefined(working)
    assert.isDefined(standby)
    return [working, standby]
  }

  beforeAll(async () => {
    activity = await startActivityInCluster({
      policies: [...samples.filter((policy) => policy !== missing).map(otherwise), gone].map(object),
      controllerReplicas: 2,
      // Who works is held up by a busy machine for less than a third of it.
      programFlags: { controller: ["--lease-duration", "9s"] }
    })
    expected = goldenOf(activity.clusterName)
    const { certificate } = await clusterAuthority()
    const records = auditRecordLines()
    for (let from = 0; from < records.length; from += 500) {
      const items = records.slice(from, from + 500).join(",")
      const answer = await https(`https://127.0.0.1:${activity.collectorPort}/audit`, {
        method: "POST",
        body: `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[${items}]}`,
        authority: certificate,
        token: activity.auditToken
      })
      assert.strictEqual(answer.status, 200, answer.text)
    }
    // Whatever the processor knew of the policies by then: now all is told by them.
    await create("first", { config: { rateLimit: 1_000 } })
    const first = await ended("first")
    assert.strictEqual(first.phase, "Succeeded", first.message)
    await activity.settled()
  }, startMillisMax)
  afterAll(() => activity?.[Symbol.asyncDispose]())
  showLogsOfFailures(() => activity?.cluster)

  it(
    "a job is killed (-9) half way, and the standby ends it: all is told by the policies as they are, each once",
    { timeout: 600_000 },
    async () => {
      const before = await stored()
      assert.notDeepEqual(before, expected)
      const list = (await request(`${group}/activities?limit=1`)).json()
      await activity.cluster.apply(...samples.map(object))
      assert.strictEqual((await request(`${group}/activitypolicies/zz-gone`, "DELETE")).status, 200)
      await create("dry", { config: { dryRun: true, rateLimit: 1_000 } })
      const dry = (await ended("dry")).progress
      assert.strictEqual(dry.activitiesGenerated, expected.size)

      const [working, standby] = await replicas()
      const { leaseTransitions } = (await request(lease)).json().spec
      await create("real", { config: { rateLimit: 400 } })
      await eventually("it is half way", async () => {
        const { processedEvents = 0, totalEvents = 0 } = (await jobOf("real")).status?.progress ?? {}
        return totalEvents > 0 && processedEvents > totalEvents / 3
      })
      await working.kill()
      const real = await ended("real")
      assert.strictEqual(real.phase, "Succeeded", real.message)
      assert.match(standby.log(), /"job":"real","phase":"Succeeded"/)
      assert.notMatch(working.log(), /"job":"real","phase":"Succeeded"/)
      assert.strictEqual((await request(lease)).json().spec.leaseTransitions, leaseTransitions + 1)
      assert.strictEqual(real.progress.processedEvents, real.progress.totalEvents)
      assert.strictEqual(real.progress.errors, 0)
      await activity.settled()
      assert.deepStrictEqual(await stored(), expected)
      await create("after", { config: { dryRun: true, rateLimit: 1_000 } })
      assert.deepInclude((await ended("after")).progress, { same: expected.size, changed: 0, new: 0, lost: 0 })

      // What a watch saw meanwhile leads from what was there to what is there, each activity once.
      const now = (await request(`${group}/activities?limit=1`)).json()
      const told = await seenActivities(
        request,
        `${group}/activities`,
        list.metadata.resourceVersion,
        now.metadata.resourceVersion
      )
      const seen = told.filter(({ name }) => expected.has(name) || before.has(name))
      for (const count of [dry.new, dry.changed, dry.lost]) assert.isAbove(count, 0)
      assert.deepStrictEqual(countsOf(seen), { new: dry.new, changed: dry.changed, lost: dry.lost })
      assert.deepStrictEqual(followed(before, seen), expected)
      await working.start()
    }
  )

  it("jobs wait for their turn, and say so; one that is deleted stops; one whose time has passed goes", async () => {
    await create("slow", { config: { rateLimit: 10 } })
    await eventually("it runs", async () => ((await jobOf("slow")).status?.progress.processedEvents ?? 0) > 0)
    await create("next", {
      policySelector: { names: ["apps-deployment"] },
      config: { rateLimit: 1_000 },
      ttlSecondsAfterFinished: 0
    })
    const waiting = await eventually("it is told to wait", async () => (await jobOf("next")).status)
    assert.deepInclude(waiting, { phase: "Pending", message: "Waits for its turn" })
    assert.strictEqual((await request(`${group}/reindexjobs/slow`, "DELETE")).status, 200)
    await eventually("the next has ended, and is deleted after its time", async () => {
      return (await request(`${group}/reindexjobs/next`)).status === 404
    })
    const logs = activity.replicas.controller.map(({ log }) => log()).join("")
    assert.match(logs, /"job":"next","phase":"Succeeded"/)
    assert.notMatch(logs, /"job":"slow","phase"/)
  })

  it("frozen (SIGSTOP), who works has lost its lease when it goes on, and the other works", async () => {
    const [working, standby] = await replicas()
    working.freeze()
    try {
      await eventually("the standby works", async () => (await replicas())[0] === standby)
      await create("frozen", { config: { rateLimit: 1_000, dryRun: true } })
      assert.strictEqual((await ended("frozen")).phase, "Succeeded")
    } finally {
      working.thaw()
    }
    await eventually("it has noticed", () => working.log().includes("the lease was lost"))
    assert.strictEqual((await replicas())[0], standby)
    assert.match(standby.log(), /"job":"frozen","phase":"Succeeded"/)
  })

  const records = "/apis/storage.activity.miloapis.com/v1alpha1/activitypolicyrecords"
  const policyRecord = (match: string) => ({
    apiVersion: "storage.activity.miloapis.com/v1alpha1",
    kind: "ActivityPolicyRecord",
    metadata: { name: "around" },
    spec: { resource: { apiGroup: "zoo.example.com", kind: "Goose" }, auditRules: [{ name: "a", match, summary: "x" }] }
  })
  /** Of a policy, once it is about the record's generation. */
  const ready = () =>
    eventually("its status", async () => {
      const { metadata, status } = (await request(`${group}/activitypolicies/around`)).json()
      const condition = status?.conditions?.find(({ type }: { type: string }) => type === "Ready")
      const told = condition?.observedGeneration === metadata.generation
      return told && status.observedGeneration === metadata.generation ? condition : undefined
    })

  it("policies' status tells whether they are in effect, each generation once, by one writer", async () => {
    assert.strictEqual((await request(records, "POST", policyRecord("audit.verb == ("))).status, 201)
    const broken = await ready()
    assert.deepInclude(broken, { status: "False", reason: "ValidationFailed", observedGeneration: 1 })
    assert.match(broken.message, /^spec\.auditRules\[0\]\.match: line 1, column \d+: /)
    const mended = [{ op: "replace", path: "/spec/auditRules/0/match", value: "true" }]
    const patched = await activity.cluster.request("admin", `${group}/activitypolicies/around`, {
      method: "PATCH",
      body: mended,
      headers: { "content-type": "application/json-patch+json" }
    })
    assert.strictEqual(patched.status, 200, patched.text)
    assert.deepInclude(await ready(), { status: "True", reason: "Valid", observedGeneration: 2 })
    const { metadata } = (await request(`${records}/around`)).json()
    const managers = metadata.managedFields.filter(
      ({ subresource }: { subresource?: string }) => subresource === "status"
    )
    assert.deepStrictEqual(
      managers.map(({ manager }: { manager: string }) => manager),
      ["activity-controller"]
    )
    // Two replicas, and only the writes that were needed: one for each generation.
    const before = metadata.resourceVersion
    await create("later", { config: { dryRun: true, rateLimit: 1_000 } })
    await ended("later")
    assert.strictEqual((await request(`${records}/around`)).json().metadata.resourceVersion, before)
  })
})
