import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, PubSub, Stream } from "effect"
import type { ActivityPolicy } from "../../src/domain/ActivityPolicy.ts"
import { KindDiscovery, PolicyCache } from "../../src/process/PolicyCache.ts"
import { type PolicyChange, PolicySource } from "../../src/process/PolicySource.ts"
import { deploymentPolicy, policyOf, record, samplePolicies } from "./scenarios.ts"

const policy = (name: string, summary: string, generation = 1): ActivityPolicy => {
  const created = deploymentPolicy([{ match: "true", summary }], [], name)
  return { ...created, metadata: { ...created.metadata, generation } }
}

const listed = (...policies: ReadonlyArray<ActivityPolicy>): PolicyChange => ({ _tag: "Listed", policies })
const changed = (name: string, to: ActivityPolicy | undefined): PolicyChange => ({ _tag: "Changed", name, policy: to })

/**
 * Runs the test with a cache whose source is fed by hand. `feed` ends when the cache has taken everything in: its last
 * change is a policy of its own, and the cache publishes names after it has taken a change in.
 */
const withCache = <A, E>(
  test: (
    cache: PolicyCache["Service"],
    feed: (...changes: ReadonlyArray<PolicyChange>) => Effect.Effect<ReadonlyArray<string>>
  ) => Effect.Effect<A, E>
) =>
  Effect.gen(function* () {
    const changes = yield* PubSub.unbounded<PolicyChange>({ replay: 100 })
    const source = Layer.succeed(PolicySource, { changes: Stream.fromPubSub(changes) })
    return yield* Effect.gen(function* () {
      const cache = yield* PolicyCache
      let turn = 0
      const feed = Effect.fnUntraced(function* (...all: ReadonlyArray<PolicyChange>) {
        const mark = `zz-${turn++}`
        const names = yield* cache.changes.pipe(
          Stream.takeUntil((name) => name === mark),
          Stream.runCollect,
          Effect.forkChild({ startImmediately: true })
        )
        yield* Effect.yieldNow
        yield* PubSub.publishAll(changes, [
          ...all,
          changed(mark, policyOf(mark, { resource: { apiGroup: "", kind: "Pod" } }))
        ])
        return (yield* Fiber.join(names)).filter((name) => !name.startsWith("zz-"))
      })
      return yield* test(cache, feed)
    }).pipe(Effect.provide(PolicyCache.layerNoDeps.pipe(Layer.provide(source))))
  })

const summaryOf = (cache: PolicyCache["Service"]): string => {
  const evaluation = cache.current().evaluateAudit(record())
  return evaluation._tag === "Matched" ? evaluation.activity.spec.summary : evaluation._tag
}

describe("the policy cache", () => {
  it.effect("is empty, and says so, until the first list", () =>
    withCache((cache, feed) =>
      Effect.gen(function* () {
        assert.strictEqual(summaryOf(cache), "NotMatched")
        assert.match(cache.problem() ?? "", /not been listed/)
        yield* feed(listed(policy("a", "one")))
        yield* cache.listed
        assert.isUndefined(cache.problem())
        assert.strictEqual(summaryOf(cache), "one")
      })
    )
  )

  it.effect("takes changes in one step and names what changed", () =>
    withCache((cache, feed) =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* feed(listed(policy("a", "one"), policy("b", "two"))), ["a", "b"])
        const before = cache.current()
        assert.deepStrictEqual(yield* feed(changed("a", policy("a", "other", 2))), ["a"])
        assert.strictEqual(summaryOf(cache), "other")
        assert.notStrictEqual(cache.current(), before)
        assert.deepStrictEqual(yield* feed(changed("a", undefined)), ["a"])
        assert.strictEqual(summaryOf(cache), "two")
      })
    )
  )

  it.effect("compiles nothing again that did not change", () =>
    withCache((cache, feed) =>
      Effect.gen(function* () {
        yield* feed(listed(policy("a", "one"), policy("b", "two")))
        const compiled = (name: string) => cache.current().policies.find((one) => one.name === name)
        const [a, b] = [compiled("a"), compiled("b")]
        const status = { ...policy("a", "one"), status: { conditions: [] } }
        assert.deepStrictEqual(yield* feed(changed("a", status), changed("b", policy("b", "two", 2))), ["b"])
        assert.strictEqual(compiled("a"), a)
        assert.notStrictEqual(compiled("b"), b)
      })
    )
  )

  it.effect("a new list removes what it does not hold", () =>
    withCache((cache, feed) =>
      Effect.gen(function* () {
        yield* feed(listed(policy("a", "one"), policy("b", "two")))
        const names = yield* feed(listed(policy("b", "two")))
        assert.deepStrictEqual(names, ["a"])
        assert.strictEqual(summaryOf(cache), "two")
      })
    )
  )

  it.effect("a broken policy leaves the others live and is reported until it is mended", () =>
    withCache((cache, feed) =>
      Effect.gen(function* () {
        const broken = deploymentPolicy([{ match: "audit.verb ==", summary: "x" }], [], "a")
        yield* feed(listed(broken, policy("b", "two")))
        assert.strictEqual(summaryOf(cache), "two")
        assert.deepStrictEqual([...cache.broken().keys()], ["a"])
        assert.strictEqual(cache.broken().get("a")?.[0]?.field, "spec.auditRules[0].match")
        yield* feed(changed("a", policy("a", "mended", 2)))
        assert.strictEqual(cache.broken().size, 0)
        assert.strictEqual(summaryOf(cache), "mended")
      })
    )
  )

  it.effect("a reader keeps the set it has taken", () =>
    withCache((cache, feed) =>
      Effect.gen(function* () {
        yield* feed(listed(policy("a", "one")))
        const taken = cache.current()
        yield* feed(changed("a", undefined))
        assert.strictEqual(taken.evaluateAudit(record())._tag, "Matched")
        assert.strictEqual(summaryOf(cache), "NotMatched")
      })
    )
  )

  it.effect("asks discovery for kinds and their labels", () =>
    Effect.gen(function* () {
      const cache = yield* PolicyCache
      yield* cache.listed
      const vixen = record({
        objectRef: { resource: "vixen", apiGroup: "example.com", name: "x" },
        responseObject: undefined,
        requestObject: undefined
      })
      const evaluation = cache.current().evaluateAudit(vixen)
      assert.strictEqual(evaluation._tag === "Matched" && evaluation.activity.spec.summary, "clever fox, foxes")
    }).pipe(
      Effect.provide(
        PolicyCache.layerNoDeps.pipe(
          Layer.provide(
            Layer.succeed(PolicySource, {
              changes: Stream.make(
                listed(
                  policyOf("fox", {
                    resource: { apiGroup: "example.com", kind: "Fox" },
                    auditRules: [{ match: "true", summary: "{{ kind }}, {{ kindPlural }}" }]
                  })
                )
              )
            })
          ),
          Layer.provide(
            Layer.succeed(KindDiscovery, {
              kindOf: (_, resource) => (resource === "vixen" ? "Fox" : undefined),
              changes: Stream.empty,
              annotationsOf: () => ({
                "activity.miloapis.com/kind-label": "clever fox",
                "activity.miloapis.com/kind-label-plural": "foxes"
              })
            })
          )
        )
      )
    )
  )

  it.effect("says so when its source ends", () =>
    Effect.gen(function* () {
      const cache = yield* PolicyCache
      yield* cache.listed
      for (let turn = 0; turn < 1_000 && cache.problem() === undefined; turn++) yield* Effect.yieldNow
      assert.match(cache.problem() ?? "", /no longer watched/)
      assert.strictEqual(summaryOf(cache), "one")
    }).pipe(
      Effect.provide(
        PolicyCache.layerNoDeps.pipe(
          Layer.provide(Layer.succeed(PolicySource, { changes: Stream.make(listed(policy("a", "one"))) }))
        )
      )
    )
  )

  it.effect("takes all samples", () =>
    withCache((cache, feed) =>
      Effect.gen(function* () {
        yield* feed(listed(...samplePolicies()))
        assert.strictEqual(cache.broken().size, 0)
        assert.strictEqual(cache.current().policies.length, samplePolicies().length + 1)
      })
    )
  )
})
