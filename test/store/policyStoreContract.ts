/** What every driver of {@link PolicyStore} does, whoever keeps the policies. */
import { Effect, Exit, Fiber, Scope, Stream } from "effect"
import { afterAll, beforeAll, expect, it } from "vitest"
import type { ActivityPolicy } from "../../src/domain/ActivityPolicy.ts"
import type { PolicyStore, PolicyUpdate } from "../../src/store/PolicyStore.ts"
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
  readonly store: () => PolicyStore["Service"]
  readonly keeper: () => K
  /** Everything that the store has told since it began. */
  readonly updates: ReadonlyArray<PolicyUpdate>
}

export const run = <A, E>(effect: Effect.Effect<A, E>): Promise<A> => Effect.runPromise(effect)

export const reasonOf = (effect: Effect.Effect<unknown, { readonly reason: { readonly _tag: string } }>) =>
  run(Effect.flip(effect).pipe(Effect.map((error) => error.reason._tag)))

/** Call it in a `describe`; nothing was written before. */
export const itIsAPolicyStore = <K extends Keeper>(
  start: (scope: Scope.Scope) => Promise<{ readonly store: PolicyStore["Service"]; readonly keeper: K }>
): StoreUnderTest<K> => {
  const scope = Effect.runSync(Scope.make())
  const updates: Array<PolicyUpdate> = []
  let store: PolicyStore["Service"]
  let keeper: K
  beforeAll(async () => {
    ;({ keeper, store } = await start(scope))
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
      updates.map((update) => (update._tag === "Listed" ? update.policies.length : update.policy?.spec.kindLabel))
    ).toEqual([0, "", "x", undefined])
    expect(await reasonOf(store.get("a"))).toBe("PolicyMissing")
  })

  it("a list is not older than a write before it, sorted by name", async () => {
    await keeper.create(policy("later"))
    const created = await keeper.create(policy("0-first"))
    const list = await run(store.list)
    expect(list.resourceVersion).toBeGreaterThanOrEqual(Number(created.metadata.resourceVersion))
    expect(list.policies.map((one) => one.metadata.name)).toEqual(["0-first", "later"])
    expect(list.policies[0]).toEqual(created)
  })

  it("pages hold what the list holds, in its order", async () => {
    const names: Array<string> = []
    let from = ""
    do {
      const page = await run(store.page(1, from))
      names.push(...page.policies.map((one) => one.metadata.name))
      from = page.continue
    } while (from !== "")
    expect(names).toEqual((await run(store.list)).policies.map((one) => one.metadata.name))
    expect(await reasonOf(store.page(1, "nonsense"))).toBe("PolicyPageExpired")
  })

  it("changes after a resourceVersion are waited for; of those that are not held it says so", async () => {
    const { resourceVersion } = await run(store.list)
    await run(store.known(resourceVersion))
    const waiting = Effect.runFork(store.after(resourceVersion))
    await keeper.create(policy("awaited"))
    const batch = await run(Fiber.join(waiting))
    expect(batch.events.map((event) => [event.type, event.policy.metadata.name])).toEqual([["ADDED", "awaited"]])
    expect(batch.position).toBeGreaterThan(resourceVersion)
    expect(await reasonOf(store.after(1))).toBe("PolicyVersionExpired")
    expect(await reasonOf(store.known(1))).toBe("PolicyVersionExpired")
  })

  it("a resourceVersion that nobody has come to is none", async () => {
    expect(await reasonOf(store.known(Number.MAX_SAFE_INTEGER))).toBe("PolicyVersionAhead")
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

  return { store: () => store, keeper: () => keeper, updates }
}
