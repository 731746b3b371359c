/** nats-server stopped for ten minutes under a real kube-apiserver. */
import { afterAll, beforeAll, it } from "vitest"
import { type Activity, startActivityInCluster } from "./activity.ts"
import { showLogsOfFailures, startMillisMax } from "./cluster.ts"
import { assertToldOnce, loadObjects } from "./clusterLoad.ts"
import { natsOutage, throughOutage } from "./outage.ts"

let activity: Activity
beforeAll(async () => {
  activity = await startActivityInCluster({ users: { alice: [] } })
  await activity.cluster.apply(...loadObjects)
}, startMillisMax)
afterAll(async () => activity?.[Symbol.asyncDispose]())
showLogsOfFailures(() => activity?.cluster)

it("nats-server for ten minutes: everything is told afterwards, once", async () => {
  const expected = await throughOutage(activity, [natsOutage(activity)], { prefix: "no-nats", millis: 600_000 })
  await assertToldOnce(activity, expected, 120_000)
})
