/** Events that clients change while a reindex job reads them: what was written last is what is told. */
import { assert, describe, it } from "vitest"
import { eventually } from "../../support/eventually.ts"
import { startSystem } from "../../support/system.ts"

const group = "/apis/activity.miloapis.com/v1alpha1"
const apiVersion = "activity.miloapis.com/v1alpha1"
const events = "/api/v1/namespaces/shop/events"
const count = 60
/** What a job at the lowest rate reads in a second. */
const pageEvents = 10

const roles = `
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: events }
rules: [{ apiGroups: [""], resources: ["events"], verbs: ["*"] }]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: events }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: events }
subjects: [{ kind: Group, apiGroup: rbac.authorization.k8s.io, name: admins }]
`

const policy = (word: string) => ({
  apiVersion,
  kind: "ActivityPolicy",
  metadata: { name: "pod" },
  spec: {
    resource: { apiGroup: "", kind: "Pod" },
    eventRules: [{ match: "true", summary: `${word}: {{ event.note }}` }]
  }
})

const event = (index: number) => ({
  apiVersion: "v1",
  kind: "Event",
  metadata: { name: `event-${index}`, namespace: "shop" },
  involvedObject: { kind: "Pod", apiVersion: "v1", namespace: "shop", name: `web-${index}` },
  reason: "BackOff",
  message: "before",
  source: { component: "kubelet" },
  count: 1,
  type: "Normal"
})

describe("a reindex job beside writers of Events", () => {
  it("tells each Event as it was written last", { timeout: 240_000 }, async () => {
    await using system = await startSystem({ roles })
    await system.start("collector")
    await system.start("writer")
    await system.start("processor")
    const api = await system.start("apiserver")
    await system.start("controller")
    const send = async (method: string, path: string, body: object) => {
      const type = method === "PATCH" ? "application/merge-patch+json" : "application/json"
      const answer = await api.request(path, {
        method,
        headers: { "content-type": type },
        body: JSON.stringify(body)
      })
      assert.isBelow(answer.status, 300, answer.text)
    }
    const summaries = async (): Promise<ReadonlyArray<string>> =>
      (await api.request(`${group}/activities?limit=500`))
        .json()
        .items.map(({ spec }: { spec: { resource: { name: string }; summary: string } }) =>
          [spec.resource.name, spec.summary].join(" ")
        )
        .toSorted()
    const told = (word: string, note: string) =>
      Array.from({ length: count }, (_, index) => `web-${index} ${word}: ${note}`).toSorted()

    await send("POST", `${group}/activitypolicies`, policy("first"))
    for (let index = 0; index < count; index++) await send("POST", events, event(index))
    await eventually("all are told", async () => (await summaries()).length === count)
    await send("PUT", `${group}/activitypolicies/pod`, policy("second"))
    await send("POST", `${group}/reindexjobs`, {
      apiVersion,
      kind: "ReindexJob",
      metadata: { name: "job" },
      spec: { timeRange: { startTime: "now-1h" }, config: { rateLimit: pageEvents } }
    })
    const statusOf = async () => (await api.request(`${group}/reindexjobs/job`)).json().status
    await eventually("it runs", async () => (await statusOf()).progress.processedEvents > 0)
    // In the job's order and at its pace: newest first, ten a second; what its first page had comes last.
    for (let turn = 0; turn < count; turn++) {
      const index = (2 * count - 1 - pageEvents - turn) % count
      await send("PATCH", `${events}/event-${index}`, { message: "after" })
      // Their pace: nothing is waited for.
      await new Promise((resolve) => setTimeout(resolve, 1_000 / pageEvents))
    }
    const status = await eventually("it has ended", async () => {
      const found = await statusOf()
      return found.completedAt === undefined ? undefined : found
    })
    assert.strictEqual(status.phase, "Succeeded", status.message)
    assert.strictEqual(status.progress.processedEvents, status.progress.totalEvents)
    await eventually("all are told by the second policy, as they are", async () => {
      return JSON.stringify(await summaries()) === JSON.stringify(told("second", "after"))
    })
  })
})
