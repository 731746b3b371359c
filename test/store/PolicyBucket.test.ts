import { Context, Layer, type Scope } from "effect"
import { describe, expect, it } from "vitest"
import { natsLayer } from "../../src/clients/nats/natsLayer.ts"
import type { ActivityPolicy } from "../../src/domain/ActivityPolicy.ts"
import { PolicyBucket, policyBucketLayer } from "../../src/store/PolicyBucket.ts"
import { PolicyStore, PolicyUpkeep } from "../../src/store/PolicyStore.ts"
import { eventually } from "../support/eventually.ts"
import { startNatsServer, type TestNatsServer } from "../support/natsServer.ts"
import { itKeepsObjects, type Keeper, policy, reasonOf, run } from "./keptObjectsContract.ts"

interface BucketKeeper extends Keeper {
  readonly nats: TestNatsServer
  readonly bucket: PolicyBucket["Service"]
}

const start = async (scope: Scope.Scope) => {
  const nats = await startNatsServer()
  const context = await run(
    policyBucketLayer.pipe(Layer.provide(natsLayer({ servers: [nats.url], name: "test" })), Layer.buildWithScope(scope))
  )
  const bucket = Context.get(context, PolicyBucket)
  const keeper: BucketKeeper = {
    nats,
    bucket,
    create: (one) => run(bucket.create(one)),
    update: (one) => run(bucket.update(one)),
    delete: async ({ metadata }) => void (await run(bucket.delete(metadata.name, metadata.resourceVersion ?? ""))),
    [Symbol.asyncDispose]: () => nats[Symbol.asyncDispose]()
  }
  return { store: Context.get(context, PolicyStore), upkeep: Context.get(context, PolicyUpkeep), keeper }
}

describe("PolicyStore in NATS", () => {
  const { keeper, store, updates } = itKeepsObjects(start)

  it("a write against an older resourceVersion is ObjectChanged", async () => {
    const { bucket } = keeper()
    const created = await run(bucket.create(policy("cas")))
    await run(bucket.update({ ...created, spec: { ...created.spec, kindLabel: "x" } }))
    expect(await reasonOf(bucket.update(created))).toBe("ObjectChanged")
    expect(await reasonOf(bucket.delete("cas", created.metadata.resourceVersion ?? ""))).toBe("ObjectChanged")
    expect(await reasonOf(bucket.create(policy("cas")))).toBe("ObjectExists")
  })

  it("after the server lost its data what was known is put back, and resourceVersions do not go back", async () => {
    const { bucket, nats } = keeper()
    const before = await run(store().list)
    await nats.kill()
    await nats.removeData()
    await nats.start()
    const created: ActivityPolicy = await eventually("a write works", () =>
      run(bucket.create(policy("after-loss"))).catch(() => undefined)
    )
    expect(Number(created.metadata.resourceVersion)).toBeGreaterThan(before.resourceVersion)
    await eventually("it is told", () =>
      updates.some((update) =>
        update._tag === "Listed"
          ? update.objects.some((one) => one.metadata.name === "after-loss")
          : update.name === "after-loss"
      )
    )
    expect(await reasonOf(store().after(before.resourceVersion))).toBe("ObjectVersionExpired")
  })
})
