/** What the controller writes into the status of policies, and how often, whatever others write there. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, Queue, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { ActivityPolicy } from "../../../src/domain/ActivityPolicy.ts"
import { reportReady } from "../../../src/programs/controller/reportReady.ts"
import { KeptObjectsError, type KeptUpdate, ObjectChanged, ObjectRefused } from "../../../src/store/KeptObjects.ts"
import { unavailable } from "../../../src/store/KeptHistory.ts"
import { PolicyStore, PolicyUpkeep } from "../../../src/store/PolicyStore.ts"

const policy = (match: string, generation: number, status?: ActivityPolicy["status"]): ActivityPolicy => ({
  apiVersion: "activity.miloapis.com/v1alpha1",
  kind: "ActivityPolicy",
  metadata: { name: "one", uid: "uid-1", generation, resourceVersion: "7" },
  spec: { resource: { apiGroup: "apps", kind: "Deployment" }, auditRules: [{ name: "a", match, summary: "x" }] },
  ...(status === undefined ? {} : { status })
})

const readyOf = ({ status }: ActivityPolicy) => status?.conditions?.find(({ type }) => type === "Ready")

/** Runs it on updates that the test gives, over a store that takes writes as the test says. */
const reporting = (refusal?: KeptObjectsError) =>
  Effect.gen(function* () {
    const updates = yield* Queue.unbounded<KeptUpdate<ActivityPolicy>>()
    const written: Array<ActivityPolicy> = []
    const warnings: Array<unknown> = []
    yield* reportReady.pipe(
      Effect.provide(
        Layer.mergeAll(
          Logger.layer([
            Logger.make(({ logLevel, message }) => {
              if (logLevel === "Warn") warnings.push(message)
            })
          ]),
          Layer.mock(PolicyUpkeep, {
            writeStatus: (one) =>
              Effect.suspend(() => {
                written.push(one)
                return refusal === undefined ? Effect.succeed(one) : Effect.fail(refusal)
              })
          }),
          Layer.mock(PolicyStore, { updates: Stream.fromQueue(updates), absence: () => undefined })
        )
      ),
      Effect.forkScoped
    )
    const tell = (one: ActivityPolicy) =>
      Effect.gen(function* () {
        yield* Queue.offer(updates, { _tag: "Changed", name: "one", object: one })
        for (let turn = 0; turn < 50; turn++) yield* Effect.yieldNow
      })
    return { written, tell, warnings }
  })

const condition = (status: "True" | "False", generation: number) => ({
  observedGeneration: generation,
  conditions: [
    { type: "Other", status: "True" as const, reason: "R", message: "m", lastTransitionTime: "2026-01-01T00:00:00Z" },
    {
      type: "Ready",
      status,
      reason: status === "True" ? "Valid" : "ValidationFailed",
      message: status === "True" ? "All rules validated successfully" : "another message",
      lastTransitionTime: "2026-01-01T00:00:00Z",
      observedGeneration: generation
    }
  ]
})

describe("the status of policies", () => {
  it.effect("is written where it does not say so yet, bound to what was looked at; other conditions stay", () =>
    Effect.gen(function* () {
      const { written, tell } = yield* reporting()
      yield* tell(policy("true", 2, condition("True", 1)))
      const first = written[0] ?? assert.fail("nothing was written")
      const { metadata, status } = first
      assert.deepInclude(metadata, { uid: "uid-1", resourceVersion: "7" })
      assert.deepInclude(readyOf(first), {
        status: "True",
        observedGeneration: 2,
        lastTransitionTime: "2026-01-01T00:00:00Z"
      })
      assert.deepStrictEqual(
        status?.conditions?.map(({ type }) => type),
        ["Other", "Ready"]
      )
      yield* tell(policy("true", 2, status))
      assert.strictEqual(written.length, 1)
      yield* tell(policy("audit.verb ==", 3, status))
      assert.strictEqual(written.length, 2)
      const broken = readyOf(written[1] ?? assert.fail("nothing was written"))
      assert.deepInclude(broken, {
        status: "False",
        reason: "ValidationFailed",
        lastTransitionTime: "1970-01-01T00:00:00Z"
      })
      assert.match(broken?.message ?? "", /^spec\.auditRules\[0\]\.match: line 1, column \d+: /)
    })
  )

  it.effect("of replicas that disagree changes once a minute, not in a circle", () =>
    Effect.gen(function* () {
      const { written, tell } = yield* reporting()
      for (let turn = 0; turn < 10; turn++) yield* tell(policy("true", 1, condition("False", 1)))
      assert.strictEqual(written.length, 1)
      yield* TestClock.adjust("61 seconds")
      yield* tell(policy("true", 1, condition("False", 1)))
      assert.strictEqual(written.length, 2)
    })
  )

  it.effect("that could not be written is written later, without another change", () =>
    Effect.gen(function* () {
      const { written, tell } = yield* reporting(unavailable(new Error("away")))
      yield* tell(policy("true", 1))
      assert.strictEqual(written.length, 1)
      yield* TestClock.adjust("121 seconds")
      assert.isAtLeast(written.length, 2)
    })
  )

  it.effect("that is refused is told once, and tried again ever more seldom, or when the policy changes", () =>
    Effect.gen(function* () {
      const refusal = new KeptObjectsError({ reason: new ObjectRefused({ name: "one", sentence: "forbidden (403)" }) })
      const { tell, warnings, written } = yield* reporting(refusal)
      yield* tell(policy("true", 1))
      for (let turn = 0; turn < 10; turn++) yield* tell(policy("true", 1))
      assert.strictEqual(written.length, 1)
      // After 1, 2, 4, 8 and 16 minutes, then every 16: looked at once a minute.
      yield* TestClock.adjust("2 hours")
      assert.isAtLeast(written.length, 8)
      assert.isAtMost(written.length, 12)
      const before = written.length
      yield* tell(policy("false", 2))
      assert.strictEqual(written.length, before + 1)
      assert.lengthOf(warnings, 2)
    })
  )

  it.effect("that was changed meanwhile is looked at again, whatever time has passed", () =>
    Effect.gen(function* () {
      const { written, tell } = yield* reporting(new KeptObjectsError({ reason: new ObjectChanged({ name: "one" }) }))
      yield* tell(policy("true", 1))
      yield* tell(policy("true", 1))
      assert.strictEqual(written.length, 2)
    })
  )

  it.effect("that somebody filled with what is no condition is written all the same", () =>
    Effect.gen(function* () {
      const { written, tell } = yield* reporting()
      const odd = [
        { conditions: "weird" },
        { conditions: [null, 7, "x", {}] },
        { conditions: { type: "Ready" } },
        "weird"
      ]
      for (const [index, status] of odd.entries()) {
        // What a definition without a schema lets through.
        yield* tell(policy("true", index + 1, status as unknown as NonNullable<ActivityPolicy["status"]>))
      }
      assert.deepStrictEqual(
        written.map((one) => one.status?.conditions?.map(({ status, type }) => [type, status])),
        odd.map(() => [["Ready", "True"]])
      )
    })
  )
})
