/** The cluster that the tests of this folder stand on. */
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { eventually } from "../support/eventually.ts"
import { type Cluster, showLogsOfFailures, startCluster, startMillisMax } from "./cluster.ts"

describe("a cluster", () => {
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await startCluster({ users: { alice: ["developers"] } })
  }, startMillisMax)
  afterAll(() => cluster?.[Symbol.asyncDispose]())
  showLogsOfFailures(() => cluster)

  it("knows its users by their certificates, with their groups", async () => {
    const answer = await cluster.kubectl("alice", ["auth", "whoami", "--output", "json"])
    assert.strictEqual(answer.code, 0, answer.stderr)
    assert.deepStrictEqual(JSON.parse(answer.stdout).status.userInfo.groups, ["developers", "system:authenticated"])
    const refused = await cluster.kubectl("alice", ["create", "namespace", "shop"])
    assert.include(refused.stderr, `User "alice" cannot create resource "namespaces"`)
  })

  it("its controllers make Pods of a Deployment, and its scheduler tells that it found no node", async () => {
    await cluster.kubectl("admin", ["create", "deployment", "web", "--image", "nginx"])
    const event = await eventually("an Event of the Pod", async () => {
      const { items } = (await cluster.request("admin", "/apis/events.k8s.io/v1/namespaces/default/events")).json()
      return items.find((one: { reason: string }) => one.reason === "FailedScheduling")
    })
    assert.include(event.note, "no nodes available")
  })

  it("serves again, what was there included, after kube-apiserver and etcd were killed", async () => {
    await cluster.kubeApiserver.kill()
    await cluster.etcd.kill()
    await cluster.etcd.start()
    await cluster.kubeApiserver.start()
    const answer = await cluster.request("admin", "/apis/apps/v1/namespaces/default/deployments/web")
    assert.strictEqual(answer.status, 200)
  })

  it("a watch from before a compaction is expired", async () => {
    const path = "/api/v1/namespaces/default/configmaps"
    const { metadata } = (await cluster.request("admin", path)).json()
    await cluster.apply({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "one" } })
    await cluster.compact()
    // A watch beyond the cache of kube-apiserver goes to etcd; right after a start the cache holds nothing older.
    await cluster.kubeApiserver.terminate()
    await cluster.kubeApiserver.start()
    const answer = await cluster.request("admin", `${path}?watch=true&resourceVersion=${metadata.resourceVersion}`)
    assert.include(answer.text, "too old resource version")
  })
})
