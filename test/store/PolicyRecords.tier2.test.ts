import { Context, Effect, Layer, type Scope } from "effect"
import { describe, expect, it } from "vitest"
import { kubeLayer } from "../../src/clients/kube/kubeLayer.ts"
import { policyRecordDefinition } from "../../src/contracts/policyRecordDefinition.ts"
import type { ActivityPolicy } from "../../src/domain/ActivityPolicy.ts"
import type { KeptRecord } from "../../src/domain/keptRecord.ts"
import { policyRecords } from "../../src/domain/policyRecord.ts"
import { Health } from "../../src/runtime/Health.ts"
import { policyRecordsLayer } from "../../src/store/PolicyRecords.ts"
import { PolicyStore, PolicyUpkeep } from "../../src/store/PolicyStore.ts"
import { eventually } from "../support/eventually.ts"
import { type Cluster, startCluster } from "../system/cluster.ts"
import { itKeepsObjects, type Keeper, policy, reasonOf, run } from "./keptObjectsContract.ts"

interface RecordKeeper extends Keeper {
  readonly cluster: Cluster
}

const start = async (scope: Scope.Scope) => {
  const cluster = await startCluster({ controllers: false, users: { powerless: [] } })
  const context = await run(
    policyRecordsLayer.pipe(
      Layer.provide(kubeLayer({ kubeconfig: cluster.kubeconfig("admin"), name: "test" })),
      Layer.provide(Health.layer),
      Layer.buildWithScope(scope)
    )
  )
  const store = Context.get(context, PolicyStore)
  expect(store.absence()).toMatch(/activitypolicyrecords\.storage\.activity\.miloapis\.com is not established/)
  await cluster.apply(policyRecordDefinition)
  await eventually("the definition is established", () => store.absence() === undefined)
  const send = async (method: string, path: string, body: unknown, status: number) => {
    const answer = await cluster.request("admin", path, { method, body })
    if (answer.status !== status) throw new Error(answer.text)
    // What the path names.
    return policyRecords.objectFrom(answer.json() as KeptRecord<ActivityPolicy>, "activity.miloapis.com/v1alpha1")
  }
  const keeper: RecordKeeper = {
    cluster,
    create: (one) => send("POST", policyRecords.path, policyRecords.recordFrom(one), 201),
    update: (one) => send("PUT", `${policyRecords.path}/${one.metadata.name}`, policyRecords.recordFrom(one), 200),
    delete: async ({ metadata: { name, resourceVersion } }) => {
      const preconditions = { resourceVersion }
      const answer = await cluster.request("admin", `${policyRecords.path}/${name}`, {
        method: "DELETE",
        body: { preconditions }
      })
      if (answer.status !== 200) throw new Error(answer.text)
    },
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose]()
  }
  return { store, upkeep: Context.get(context, PolicyUpkeep), keeper }
}

describe("PolicyStore in a cluster", () => {
  const { keeper, store, updates } = itKeepsObjects(start)

  it("a status is refused for want of rights, or by the definition, which is not the same as away", async () => {
    const { cluster, ...writes } = keeper()
    const created = await writes.create(policy("refused"))
    const reasonFor = (user: string, status: NonNullable<ActivityPolicy["status"]>) =>
      reasonOf(
        PolicyUpkeep.use((upkeep) => upkeep.writeStatus({ ...created, status })).pipe(
          Effect.provide(
            policyRecordsLayer.pipe(
              Layer.provide(kubeLayer({ kubeconfig: cluster.kubeconfig(user), name: "test" }).pipe(Layer.orDie)),
              Layer.provide(Health.layer)
            )
          )
        )
      )
    const condition = {
      type: "Ready",
      status: "True",
      reason: "Valid",
      message: "",
      lastTransitionTime: "2026-01-01T00:00:00Z",
      observedGeneration: 1
    } as const
    expect(await reasonFor("powerless", { conditions: [condition], observedGeneration: 1 })).toBe("ObjectRefused")
    // Two of one type, in a list by type: 422.
    expect(await reasonFor("admin", { conditions: [condition, condition], observedGeneration: 1 })).toBe(
      "ObjectRefused"
    )
    await writes.delete(created)
  })

  it("while the API server is away it answers from what it followed, and tells what it missed", async () => {
    const { cluster, ...writes } = keeper()
    const [kept, gone] = [await writes.create(policy("kept")), await writes.create(policy("gone"))]
    const { resourceVersion } = await run(store().list)
    await eventually("both are told", () => updates.some((one) => one._tag === "Changed" && one.name === "gone"))
    await cluster.kubeApiserver.kill()
    expect((await run(store().get("kept"))).metadata.uid).toBe(kept.metadata.uid)
    expect((await run(store().list)).objects.map((one) => one.metadata.name)).toContain("gone")
    expect(await reasonOf(store().get("never"))).toBe("ObjectMissing")
    expect(store().absence()).toBeUndefined()
    await cluster.kubeApiserver.start()
    await writes.update({ ...kept, spec: { ...kept.spec, kindLabel: "x" } })
    await writes.delete(gone)
    const events: Array<string> = []
    let position = resourceVersion
    while (events.length < 2) {
      const batch = await run(store().after(position))
      events.push(...batch.events.map(({ object: one, type }) => `${type} ${one.metadata.name}`))
      position = batch.position
    }
    expect(events).toEqual(["MODIFIED kept", "DELETED gone"])
  })
})
