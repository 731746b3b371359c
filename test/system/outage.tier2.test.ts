/** Servers stopped under a real kube-apiserver. */
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { eventually } from "../support/eventually.ts"
import { type Activity, startActivityInCluster } from "./activity.ts"
import { showLogsOfFailures, startMillisMax } from "./cluster.ts"
import { assertToldOnce, loadObjects } from "./clusterLoad.ts"
import { keepHouse, natsOutage, throughOutage, untilGone } from "./outage.ts"

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
    const name = "no-apiserver"
    const noticedMillis = await withoutApiserver(activity)
    const failure = await keepHouse(cluster, name, 20_000).catch(String)
    assert.include(failure, `/api/v1/namespaces/${name} is gone`)
    const { status } = (await cluster.request("admin", `/api/v1/namespaces/${name}`)).json()
    assert.include(JSON.stringify(status.conditions), "stale GroupVersion discovery: activity.miloapis.com")
    await programs.apiserver.start()
    const millis = await untilGone(cluster, `/api/v1/namespaces/${name}`, 120_000)
    console.log(`${name}: noticed after ${noticedMillis} ms, namespace gone ${millis} ms after it was back`)
  }, 400_000)

  it("our API server, for good: namespaces go once its registration is deleted", async () => {
    const { cluster } = activity
    await withoutApiserver(activity)
    for (const version of ["v1alpha1", "v1"]) {
      await cluster.request("admin", `${apiServices}/${version}.activity.miloapis.com`, { method: "DELETE" })
    }
    await keepHouse(cluster, "unregistered", 120_000)
  }, 400_000)
})

const apiServices = "/apis/apiregistration.k8s.io/v1/apiservices"

/** Kills it, and waits until kube-apiserver says so. @returns how long that took */
const withoutApiserver = async ({ cluster, programs }: Activity): Promise<number> => {
  await programs.apiserver.kill()
  const killed = performance.now()
  await eventually(
    "kube-apiserver has noticed",
    async () => {
      const { status } = (await cluster.request("admin", `${apiServices}/v1alpha1.activity.miloapis.com`)).json()
      const conditions: ReadonlyArray<{ type: string; status: string }> = status.conditions
      return conditions.some((one) => one.type === "Available" && one.status === "False")
    },
    { deadlineMillis: 120_000 }
  )
  assert.strictEqual((await cluster.request("admin", "/apis/activity.miloapis.com/v1alpha1")).status, 503)
  return Math.round(performance.now() - killed)
}
