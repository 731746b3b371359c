import { it } from "vitest"
import { startActivityInCluster } from "./activity.ts"
import { readFileSync } from "node:fs"
import { showLogsOfFailures } from "./cluster.ts"
let a: any
showLogsOfFailures(() => a?.cluster)
it("dev", async () => {
  const t = performance.now()
  a = await startActivityInCluster({ users: { alice: [] } }).catch((e) => {
    console.log(e)
    throw e
  })
  console.log("up", performance.now() - t)
  await a.cluster.kubectl("admin", ["create", "deployment", "web", "--image", "nginx", "--replicas", "2"])
  await new Promise((r) => setTimeout(r, 3000))
  await a.settled()
  console.log(await a.cluster.kubectl("admin", ["get", "activities", "-A"]))
  console.log(await a.query("select count() from audit_logs"))
  await a[Symbol.asyncDispose]()
}, 300_000)
