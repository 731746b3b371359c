/** Events that are written to the API of `up` go the way of all others: stored, told by the policies, counted. */
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { connectBus } from "../support/bus.ts"
import { eventually } from "../support/eventually.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"
import { startUp, type Up } from "../support/up.ts"

const core = "/api/v1/namespaces/shop/events"

const event = (name: string, message: string) => ({
  apiVersion: "v1",
  kind: "Event",
  metadata: { name },
  involvedObject: { kind: "Pod", apiVersion: "v1", namespace: "shop", name: "web", uid: "pod-1" },
  reason: "BackOff",
  message,
  source: { component: "kubelet", host: "node-1" },
  count: 1,
  type: "Warning"
})

describe("Events that are written to `up`", () => {
  let up: Up
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  const send = async (method: string, path: string, body?: object) => {
    const answer = await up.api(path, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": types[method] ?? "" } })
    })
    assert.isBelow(answer.status, 300, answer.text)
    return answer.json()
  }
  const types: Readonly<Record<string, string>> = {
    POST: "application/json",
    PATCH: "application/strategic-merge-patch+json"
  }
  const told = async (): Promise<ReadonlyArray<ReturnType<typeof JSON.parse>>> =>
    (await up.api("/apis/activity.miloapis.com/v1/namespaces/shop/activities")).json().items

  beforeAll(async () => {
    folder = await temporaryFolder("written")
    up = await startUp(folder.path)
  })
  afterAll(async () => {
    const ended = await up?.process.terminate()
    await folder?.remove()
    assert.strictEqual(ended?.code, 0)
  })

  it("become activities, one each, which follow what is written and stay when it is deleted", async () => {
    const policy = {
      apiVersion: "activity.miloapis.com/v1",
      kind: "ActivityPolicy",
      metadata: { name: "core-pod" },
      spec: { resource: { apiGroup: "", kind: "Pod" }, eventRules: [{ match: "true", summary: "{{ event.note }}" }] }
    }
    const known = await up.api("/apis/activity.miloapis.com/v1/activitypolicies/core-pod")
    if (known.status === 404) await send("POST", "/apis/activity.miloapis.com/v1/activitypolicies", policy)
    const { metadata } = await send("POST", core, event("web.1", "Back-off restarting"))
    await eventually("it is told", async () => (await told()).length === 1)
    const [first] = await told()
    assert.strictEqual(first.spec.origin.id, metadata.uid)
    assert.include(first.spec.summary, "Back-off restarting")
    await send("PATCH", `${core}/web.1`, { count: 2, message: "Back-off again" })
    await eventually("it is told anew", async () => (await told())[0]?.spec.summary.includes("Back-off again"))
    await send("PATCH", `${core}/web.1`, { count: 3, message: "Back-off restarting" })
    // The words of before are no duplicate of before.
    await eventually("and once more", async () => (await told())[0]?.spec.summary.includes("Back-off restarting"))
    await send("DELETE", `${core}/web.1`)
    await send("POST", core, event("web.2", "Another one"))
    await eventually("the next is told", async () => (await told()).length === 2)
    assert.deepStrictEqual(
      (await told()).map(({ metadata: { uid } }) => uid).filter((uid) => uid === first.metadata.uid).length,
      1
    )
    const events = (await up.api(`${core}?limit=10`)).json().items
    assert.deepStrictEqual(
      events.map((one: { metadata: { name: string } }) => one.metadata.name),
      ["web.2"]
    )
    await using bus = connectBus(up.endpoints.nats)
    assert.strictEqual((await bus.state("DEAD_LETTERS")).messages, 0)
  })
})
