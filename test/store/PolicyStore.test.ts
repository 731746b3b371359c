import { Context, Effect, Exit, Fiber, Layer, Scope, Stream } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { natsLayer } from "../../src/clients/nats/natsLayer.ts"
import type { ActivityPolicy } from "../../src/domain/ActivityPolicy.ts"
import { PolicyBucket, policyBucketLayer } from "../../src/store/PolicyBucket.ts"
import { PolicyStore, type PolicyUpdate } from "../../src/store/PolicyStore.ts"
import { eventually } from "../support/eventually.ts"
import { startNatsServer, type TestNatsServer } from "../support/natsServer.ts"

const policy = (name: string, kindLabel = ""): ActivityPolicy => ({
  apiVersion: "activity.miloapis.com/v1alpha1",
  kind: "ActivityPolicy",
  metadata: { name },
  spec: { resource: { apiGroup: "", kind: "Pod" }, kindLabel }
})

describe("PolicyStore", () => {
  let nats: TestNatsServer
  const scope = Effect.runSync(Scope.make())
  let store: PolicyStore["Service"]
  let bucket: PolicyBucket["Service"]
  const updates: Array<PolicyUpdate> = []
  const run = <A, E>(effect: Effect.Effect<A, E>) => Effect.runPromise(effect)
  const reasonOf = (effect: Effect.Effect<unknown, { readonly reason: { readonly _tag: string } }>) =>
    run(Effect.flip(effect).pipe(Effect.map((error) => error.reason._tag)))

  beforeAll(async () => {
    nats = await startNatsServer()
    const context = await run(
      policyBucketLayer.pipe(
        Layer.provide(natsLayer({ servers: [nats.url], name: "test" })),
        Layer.buildWithScope(scope)
      )
    )
    store = Context.get(context, PolicyStore)
    bucket = Context.get(context, PolicyBucket)
    await run(
      store.updates.pipe(
        Stream.runForEach((update) => Effect.sync(() => void updates.push(update))),
        Effect.forkIn(scope)
      )
    )
  }, 60_000)
  afterAll(async () => {
    await run(Scope.close(scope, Exit.void))
    await nats[Symbol.asyncDispose]()
  })

  it("updates begin with the whole list, then tell each change and deletion", async () => {
    await eventually("the empty list", () => updates.length === 1)
    const created = await run(bucket.create(policy("a")))
    await run(bucket.update({ ...created, spec: { ...created.spec, kindLabel: "x" } }))
    const stored = await run(store.get("a"))
    await run(bucket.delete("a", stored.metadata.resourceVersion ?? ""))
    await eventually("three changes", () => updates.length === 4)
    expect(
      updates.map((update) => (update._tag === "Listed" ? update.policies.length : update.policy?.spec.kindLabel))
    ).toEqual([0, "", "x", undefined])
  })

  it("a write against an older resourceVersion is PolicyChanged", async () => {
    const created = await run(bucket.create(policy("cas")))
    await run(bucket.update({ ...created, spec: { ...created.spec, kindLabel: "x" } }))
    expect(await reasonOf(bucket.update(created))).toBe("PolicyChanged")
    expect(await reasonOf(bucket.delete("cas", created.metadata.resourceVersion ?? ""))).toBe("PolicyChanged")
    expect(await reasonOf(bucket.create(policy("cas")))).toBe("PolicyExists")
    expect(await reasonOf(store.get("none"))).toBe("PolicyMissing")
  })

  it("a deleted name can be created again, with a higher resourceVersion", async () => {
    const first = await run(bucket.create(policy("again")))
    const deleted = await run(bucket.delete("again", first.metadata.resourceVersion ?? ""))
    const second = await run(bucket.create(policy("again")))
    expect(Number(second.metadata.resourceVersion)).toBeGreaterThan(deleted)
  })

  it("a list is not older than a write before it, sorted by name", async () => {
    const created = await run(bucket.create(policy("0-first")))
    const list = await run(store.list)
    expect(list.resourceVersion).toBe(Number(created.metadata.resourceVersion))
    const names = list.policies.map((one) => one.metadata.name)
    expect(names).toEqual(names.toSorted())
    expect(names[0]).toBe("0-first")
  })

  it("changes after a resourceVersion are waited for", async () => {
    const { resourceVersion } = await run(store.list)
    const waiting = Effect.runFork(store.after(resourceVersion))
    await run(bucket.create(policy("awaited")))
    const batch = await run(Fiber.join(waiting))
    expect(batch.events.map((event) => [event.type, event.policy.metadata.name])).toEqual([["ADDED", "awaited"]])
    expect(await reasonOf(store.after(1))).toBe("PolicyVersionExpired")
  })

  it("after the server lost its data the whole list is told again, and resourceVersions do not go back", async () => {
    const before = await run(store.list)
    await nats.kill()
    await nats.removeData()
    await nats.start()
    const created = await eventually("a write works", () =>
      run(bucket.create(policy("after-loss"))).catch(() => undefined)
    )
    expect(Number(created.metadata.resourceVersion)).toBeGreaterThan(before.resourceVersion)
    await eventually("the new list", () => {
      const last = updates.findLast((update) => update._tag === "Listed")
      return (
        last?._tag === "Listed" &&
        last.policies.length <= 1 &&
        updates.some((update) =>
          update._tag === "Listed"
            ? update.policies.some((one) => one.metadata.name === "after-loss")
            : update.name === "after-loss"
        )
      )
    })
    expect(await reasonOf(store.after(before.resourceVersion))).toBe("PolicyVersionExpired")
  })
})
