/** The cluster's own servers restarted and compacted under the whole product. */
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { eventually } from "../support/eventually.ts"
import { type Activity, startActivityInCluster } from "./activity.ts"
import { showLogsOfFailures, startMillisMax } from "./cluster.ts"
import { assertToldOnce, loadObjects, startLoad } from "./clusterLoad.ts"

/** What kube-apiserver had answered and not yet sent when it was killed: half a second's records, and what was on the way. */
const heldMax = 20

describe("a cluster whose servers come and go", () => {
  let activity: Activity
  beforeAll(async () => {
    activity = await startActivityInCluster({ users: { alice: [] } })
    await activity.cluster.apply(...loadObjects)
  }, startMillisMax)
  afterAll(async () => activity?.[Symbol.asyncDispose]())
  showLogsOfFailures(() => activity?.cluster)

  it("kube-apiserver restarted: everything it has answered is told once", async () => {
    const load = startLoad(activity.cluster, { prefix: "restarted", everyMillis: 100 })
    await eventually("the load runs", () => load.expected().length > 20)
    await activity.cluster.kubeApiserver.terminate()
    await activity.cluster.kubeApiserver.start()
    const before = load.expected().length
    await eventually("the load runs", () => load.expected().length > before + 20)
    await assertToldOnce(activity, await load.stop())
  }, 300_000)

  it("kube-apiserver killed: every Event is told once, and all but the audit records it still held", async () => {
    const load = startLoad(activity.cluster, { prefix: "killed", everyMillis: 100 })
    await eventually("the load runs", () => load.expected().length > 20)
    const held = load.expected().length
    await activity.cluster.kubeApiserver.kill()
    const answered = load.expected().slice(held - heldMax)
    await activity.cluster.kubeApiserver.start()
    const before = load.expected().length
    await eventually("the load runs", () => load.expected().length > before + 20)
    const mayBeLost = new Set(answered.filter((one) => one.startsWith("alice")))
    await assertToldOnce(
      activity,
      (await load.stop()).filter((one) => !mayBeLost.has(one))
    )
  }, 300_000)

  it("etcd compacted while the exporter was away: what it missed is told, once", async () => {
    const { cluster, programs } = activity
    const load = startLoad(cluster, { prefix: "compacted", everyMillis: 50 })
    await eventually("the load runs", () => load.expected().length > 20)
    await programs.exporter.terminate()
    const before = load.expected().length
    await eventually("Events are missed", () => load.expected().length > before + 40)
    await cluster.compact()
    await cluster.kubeApiserver.terminate()
    await cluster.kubeApiserver.start()
    await programs.exporter.start()
    await assertToldOnce(activity, await load.stop())
    // It could not simply go on from where it had been.
    const from = /.*"message":"exporting".*"from":"(\d+)"/s.exec(programs.exporter.log())?.[1]
    const watch = `/apis/events.k8s.io/v1/events?watch=true&timeoutSeconds=1&resourceVersion=${from}`
    assert.include((await cluster.request("admin", watch)).text, `"code":410`)
  }, 300_000)

  it("etcd frozen for 20 s: everything is told once", async () => {
    const { cluster } = activity
    const load = startLoad(cluster, { prefix: "frozen", everyMillis: 100 })
    await eventually("the load runs", () => load.expected().length > 10)
    cluster.etcd.freeze()
    const frozen = performance.now()
    await eventually("etcd was away", () => performance.now() - frozen > 20_000)
    cluster.etcd.thaw()
    const before = load.expected().length
    await eventually("the load runs", () => load.expected().length > before + 10)
    await assertToldOnce(activity, await load.stop())
  }, 300_000)
})
