/** What every driver of {@link KeptObjects} does, shown with policies. */
import { Effect, Exit, Fiber, Scope, Stream } from "effect"
import { afterAll, beforeAll, expect, it } from "vitest"
import type { ActivityPolicy } from "../../src/domain/ActivityPolicy.ts"
import type { KeptObjects, KeptUpdate, KeptUpkeep } from "../../src/store/KeptObjects.ts"
import { eventually } from "../support/eventually.ts"

export const policy = (name: string, kindLabel = ""): ActivityPolicy => ({
  apiVersion: "activity.miloapis.com/v1alpha1",
  kind: "ActivityPolicy",
  metadata: { name },
  spec: { resource: { apiGroup: "", kind: "Pod" }, kindLabel }
})

/** Where policies are kept, as it is written to. */
export interface Keeper extends AsyncDisposable {
  readonly create: (policy: ActivityPolicy) => Promise<ActivityPolicy>
  /** @throws when the stored one has another resourceVersion */
  readonly update: (policy: ActivityPolicy) => Promise<ActivityPolicy>
  readonly delete: (policy: ActivityPolicy) => Promise<void>
}

export interface StoreUnderTest<K extends Keeper> {
  readonly store: () => KeptObjects<ActivityPolicy>
  readonly keeper: () => K
  /** Everything that the store has told since it began. */
  readonly updates: ReadonlyArray<KeptUpdate<ActivityPolicy>>
}

export const run = <A, E>(effect: Effect.Effect<A, E>): Promise<A> => Effect.runPromise(effect)

export const reasonOf = (effect: Effect.Effect<unknown, { readonly reason: { readonly _tag: string } }>) =>
  run(Effect.flip(effect).pipe(Effect.map((error) => error.reason._tag)))

/** Call it in a `describe`; nothing was written before. */
export const itKeepsObjects = <K extends Keeper>(
  start: (scope: Scope.Scope) => Promise<{
    readonly store: KeptObjects<ActivityPolicy>
    readonly upkeep: KeptUpkeep<ActivityPolicy>
    readonly keeper: K
  }>
): StoreUnderTest<K> => {
  const scope = Effect.runSync(Scope.make())
  const updates: Array<KeptUpdate<ActivityPolicy>> = []
  let store: KeptObjects<ActivityPolicy>
  let upkeep: KeptUpkeep<ActivityPolicy>
  let keeper: K
  beforeAll(async () => {
    ;({ keeper, store, upkeep } = await start(scope))
    await run(
      store.updates.pipe(
        Stream.runForEach((update) => Effect.sync(() => void updates.push(update))),
        Effect.forkIn(scope)
      )
    )
  }, 120_000)
  afterAll(async () => {
    await run(Scope.close(scope, Exit.void))
    await keeper?.[Symbol.asyncDispose]()
  })

  it("updates begin with the whole list, then tell each change and deletion", async () => {
    await eventually("the empty list", () => updates.length === 1)
    const created = await keeper.create(policy("a"))
    const updated = await keeper.update({ ...created, spec: { ...created.spec, kindLabel: "x" } })
    expect((await run(store.get("a"))).metadata.resourceVersion).toBe(updated.metadata.resourceVersion)
    await keeper.delete(updated)
    await eventually("three changes", () => updates.length === 4)
    expect(
      updates.map((update) => (update._tag === "Listed" ? update.objects.length : update.object?.spec.kindLabel))
    ).toEqual([0, "", "x", undefined])
    expect(await reasonOf(store.get("a"))).toBe("ObjectMissing")
  })

  it("a list is not older than a write before it, sorted by name", async () => {
    await keeper.create(policy("later"))
    const created = await keeper.create(policy("0-first"))
    const list = await run(store.list)
    expect(list.resourceVersion).toBeGreaterThanOrEqual(Number(created.metadata.resourceVersion))
    expect(list.objects.map((one) => one.metadata.name)).toEqual(["0-first", "later"])
    expect(list.objects[0]).toEqual(created)
  })

  it("pages hold what the list holds, in its order", async () => {
    const names: Array<string> = []
    let from = ""
    do {
      const page = await run(store.page(1, from))
      names.push(...page.objects.map((one) => one.metadata.name))
      from = page.continue
    } while (from !== "")
    expect(names).toEqual((await run(store.list)).objects.map((one) => one.metadata.name))
    expect(await reasonOf(store.page(1, "nonsense"))).toBe("ObjectPageExpired")
  })

  it("changes after a resourceVersion are waited for; of those that are not held it says so", async () => {
    const { resourceVersion } = await run(store.list)
    await run(store.known(resourceVersion))
    const waiting = Effect.runFork(store.after(resourceVersion))
    await keeper.create(policy("awaited"))
    const batch = await run(Fiber.join(waiting))
    expect(batch.events.map((event) => [event.type, event.object.metadata.name])).toEqual([["ADDED", "awaited"]])
    expect(batch.position).toBeGreaterThan(resourceVersion)
    expect(await reasonOf(store.after(1))).toBe("ObjectVersionExpired")
    expect(await reasonOf(store.known(1))).toBe("ObjectVersionExpired")
  })

  it("a resourceVersion that nobody has come to is none", async () => {
    expect(await reasonOf(store.known(Number.MAX_SAFE_INTEGER))).toBe("ObjectVersionAhead")
  })

  it("a deleted name can be created again: one policy is deleted, another added", async () => {
    const { resourceVersion } = await run(store.list)
    const first = await keeper.create(policy("again"))
    await keeper.delete(first)
    const second = await keeper.create(policy("again"))
    expect(Number(second.metadata.resourceVersion)).toBeGreaterThan(Number(first.metadata.resourceVersion))
    const events: Array<string> = []
    let position = resourceVersion
    while (events.length < 3) {
      const batch = await run(store.after(position))
      events.push(...batch.events.map(({ type }) => type))
      position = batch.position
    }
    expect(events).toEqual(["ADDED", "DELETED", "ADDED"])
  })

  it("a status is written over what was read, and nothing else; what was read is deleted", async () => {
    const created = await run(store.get((await keeper.create(policy("kept-up"))).metadata.name))
    const status = { observedGeneration: 1 }
    const told = await run(upkeep.writeStatus({ ...created, status }))
    expect(await run(store.get("kept-up"))).toMatchObject({ spec: created.spec, status, metadata: { name: "kept-up" } })
    expect(Number(told.metadata.resourceVersion)).toBeGreaterThan(Number(created.metadata.resourceVersion))
    expect(await reasonOf(upkeep.writeStatus({ ...created, status }))).toBe("ObjectChanged")
    expect(await reasonOf(upkeep.delete(created))).toBe("ObjectChanged")
    await run(upkeep.delete(told))
    expect(await reasonOf(store.get("kept-up"))).toBe("ObjectMissing")
    expect(await reasonOf(upkeep.writeStatus(told))).toMatch(/^Object(Missing|Changed)$/)
  })

  it("a finalizer holds what the controller deletes", async () => {
    const metadata = { name: "held", finalizers: ["test.example.com/hold"] }
    const created = await keeper.create({ ...policy("held"), metadata })
    await run(upkeep.delete(created))
    const held = await run(store.get("held"))
    expect(held.metadata.deletionTimestamp).toMatch(/^\d{4}-/)
    await run(upkeep.delete(held))
    expect((await run(store.get("held"))).metadata.deletionTimestamp).toBe(held.metadata.deletionTimestamp)
  })

  return { store: () => store, keeper: () => keeper, updates }
}
