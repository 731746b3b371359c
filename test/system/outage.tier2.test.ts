/** Servers stopped under a real kube-apiserver. */
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { eventually } from "../support/eventually.ts"
import { type Activity, startActivityInCluster } from "./activity.ts"
import { showLogsOfFailures, startMillisMax } from "./cluster.ts"
import { assertToldOnce, loadObjects } from "./clusterLoad.ts"
import { keepHouse, natsOutage, throughOutage } from "./outage.ts"

describe("servers that stop", () => {
  let activity: Activity
  beforeAll(async () => {
    activity = await startActivityInCluster({ users: { alice: [] } })
    await activity.cluster.apply(...loadObjects)
  }, startMillisMax)
  afterAll(async () => activity?.[Symbol.asyncDispose]())
  showLogsOfFailures(() => activity?.cluster)

  it("nats-server for 100 s, longer than kube-apiserver's own retries: everything is told afterwards, once", async () => {
    const expected = await throughOutage(activity, [natsOutage(activity)], { prefix: "no-nats", millis: 100_000 })
    await assertToldOnce(activity, expected)
  }, 400_000)

  it("ClickHouse, then both: everything is told afterwards, once; namespaces and garbage go meanwhile", async () => {
    const { clickHouse } = activity
    const alone = await throughOutage(activity, [clickHouse], { prefix: "no-clickhouse", millis: 15_000 })
    await assertToldOnce(activity, alone)
    const both = await throughOutage(activity, [natsOutage(activity), clickHouse], {
      prefix: "no-both",
      millis: 15_000
    })
    await assertToldOnce(activity, both)
  }, 400_000)

  it("our API server: garbage goes, namespaces wait until it is back", async () => {
    const { cluster, programs } = activity
    await programs.apiserver.kill()
    const group = "/apis/activity.miloapis.com/v1alpha1"
    const killed = performance.now()
    await eventually("kube-apiserver has noticed", async () => (await unavailable(activity)) === "False", {
      deadlineMillis: 90_000
    })
    const noticed = performance.now()
    assert.strictEqual((await cluster.request("admin", group)).status, 503)
    const failure = await keepHouse(cluster, "no-apiserver", 20_000).catch(String)
    assert.include(failure, "/api/v1/namespaces/no-apiserver is gone")
    const { status } = (await cluster.request("admin", "/api/v1/namespaces/no-apiserver")).json()
    assert.include(JSON.stringify(status.conditions), "stale GroupVersion discovery: activity.miloapis.com")
    await programs.apiserver.start()
    const healed = performance.now()
    await eventually(
      "the namespace is gone",
      async () => {
        return (await cluster.request("admin", "/api/v1/namespaces/no-apiserver")).status === 404
      },
      { deadlineMillis: 90_000 }
    )
    console.log(
      `no-apiserver: noticed after ${Math.round(noticed - killed)} ms, ` +
        `namespace gone ${Math.round(performance.now() - healed)} ms after it was back`
    )
  }, 400_000)
})

const unavailable = async ({ cluster }: Activity): Promise<string | undefined> => {
  const answer = await cluster.request(
    "admin",
    "/apis/apiregistration.k8s.io/v1/apiservices/v1alpha1.activity.miloapis.com"
  )
  const conditions: ReadonlyArray<{ type: string; status: string }> = answer.json().status.conditions
  return conditions.find(({ type }) => type === "Available")?.status
}
