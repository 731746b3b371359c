/** Every program replaced under load, as a new version is rolled out. */
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { eventually } from "../support/eventually.ts"
import { startReader } from "./apiReader.ts"
import { type Activity, type ProgramName, startActivityInCluster } from "./activity.ts"
import { showLogsOfFailures, startMillisMax } from "./cluster.ts"
import { assertToldOnce, loadObjects, startLoad } from "./clusterLoad.ts"

const order: ReadonlyArray<ProgramName> = ["collector", "exporter", "processor", "writer", "apiserver"]

describe("a rolling restart of every program", () => {
  let activity: Activity
  beforeAll(async () => {
    activity = await startActivityInCluster({ users: { alice: [] }, apiserverReplicas: 2 })
    await activity.cluster.apply(...loadObjects)
  }, startMillisMax)
  afterAll(async () => activity?.[Symbol.asyncDispose]())
  showLogsOfFailures(() => activity?.cluster)

  it("loses nothing, doubles nothing, and nobody who reads sees an error that stays", async () => {
    const load = startLoad(activity.cluster, { prefix: "rolling", everyMillis: 100, lanes: 4 })
    const readers = [startReader(activity.cluster, "admin"), startReader(activity.cluster, "admin")]
    for (const name of order) {
      for (const program of activity.replicas[name]) {
        const before = load.expected().length
        assert.deepStrictEqual(await program.terminate(), { code: 0, signal: undefined }, program.name)
        await program.start()
        await eventually("the load goes on", () => load.expected().length > before + 50)
      }
    }
    const expected = await load.stop()
    const counts = await Promise.all(readers.map(({ stop }) => stop()))
    await assertToldOnce(activity, expected)
    const reads = counts.reduce((total, { requests }) => total + requests, 0)
    const retried = counts.flatMap((one) => one.retried)
    console.log(`${expected.length} facts, ${reads} reads, asked again: ${retried.join("; ") || "none"}`)
    assert.deepStrictEqual(
      counts.flatMap(({ failed }) => failed),
      []
    )
  }, 400_000)
})
