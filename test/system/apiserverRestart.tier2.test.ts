/** The cluster's own servers restarted and compacted under the whole product. */
import { afterAll, beforeAll, describe, it } from "vitest"
import { eventually } from "../support/eventually.ts"
import { type Activity, startActivityInCluster } from "./activity.ts"
import { showLogsOfFailures } from "./cluster.ts"
import { assertToldOnce, loadObjects, startLoad } from "./clusterLoad.ts"

describe("a cluster whose servers come and go", () => {
  let activity: Activity
  beforeAll(async () => {
    activity = await startActivityInCluster({ users: { alice: [] } })
    await activity.cluster.apply(...loadObjects)
  })
  afterAll(async () => activity?.[Symbol.asyncDispose]())
  showLogsOfFailures(() => activity?.cluster)

  it("kube-apiserver restarted, then killed: everything it has answered is told once", async () => {
    const { kubeApiserver } = activity.cluster
    const load = startLoad(activity.cluster, { prefix: "restart", everyMillis: 100 })
    for (const stop of [() => kubeApiserver.terminate(), () => kubeApiserver.kill()]) {
      const before = load.expected().length
      await eventually("the load runs", () => load.expected().length > before + 10)
      await stop()
      await kubeApiserver.start()
    }
    const before = load.expected().length
    await eventually("the load runs", () => load.expected().length > before + 10)
    await assertToldOnce(activity, await load.stop())
  }, 180_000)

  it("etcd compacted while the exporter was frozen: what it missed is told, once", async () => {
    const { cluster, programs } = activity
    const load = startLoad(cluster, { prefix: "compacted", everyMillis: 50 })
    await eventually("the load runs", () => load.expected().length > 10)
    programs.exporter.freeze()
    const before = load.expected().length
    await eventually("Events are missed", () => load.expected().length > before + 50)
    await cluster.compact()
    // Its connection is gone when it wakes up, and what it would go on from, too.
    await cluster.kubeApiserver.terminate()
    await cluster.kubeApiserver.start()
    programs.exporter.thaw()
    await assertToldOnce(activity, await load.stop())
  }, 180_000)

  it("etcd frozen for half a minute: everything is told once", async () => {
    const { cluster } = activity
    const load = startLoad(cluster, { prefix: "frozen", everyMillis: 100 })
    await eventually("the load runs", () => load.expected().length > 10)
    cluster.etcd.freeze()
    const frozen = performance.now()
    await eventually("etcd was away", () => performance.now() - frozen > 20_000)
    cluster.etcd.thaw()
    const before = load.expected().length
    await eventually("the load runs", () => load.expected().length > before + 10, { deadlineMillis: 90_000 })
    await assertToldOnce(activity, await load.stop())
  }, 180_000)
})
