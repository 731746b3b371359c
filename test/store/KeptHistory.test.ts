import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import type { ActivityPolicy } from "../../src/domain/ActivityPolicy.ts"
import { KeptHistory } from "../../src/store/KeptHistory.ts"

const policy = (name: string, resourceVersion: number, uid = name): ActivityPolicy => ({
  apiVersion: "activity.miloapis.com/v1alpha1",
  kind: "ActivityPolicy",
  metadata: { name, uid, resourceVersion: String(resourceVersion) },
  spec: { resource: { apiGroup: "", kind: "Pod" } }
})

const eventsAfter = (history: KeptHistory<ActivityPolicy>, position: number) =>
  Effect.map(history.after(position), (batch) =>
    batch.events.map(({ object: one, resourceVersion, type }) => `${type} ${one.metadata.name} ${resourceVersion}`)
  )

const expiry = (history: KeptHistory<ActivityPolicy>, position: number) =>
  Effect.map(Effect.flip(history.after(position)), ({ reason }) => reason._tag)

describe("KeptHistory", () => {
  it.effect("a list after a gap is told as the changes that were missed, in their order", () =>
    Effect.gen(function* () {
      const history = new KeptHistory<ActivityPolicy>()
      history.catchUp([policy("changed", 3), policy("gone", 4), policy("same", 5), policy("again", 6)], 10)
      history.catchUp([policy("same", 5), policy("new", 15), policy("changed", 12), policy("again", 14, "other")], 20)
      assert.deepStrictEqual(yield* eventsAfter(history, 10), [
        "MODIFIED changed 12",
        "DELETED again 14",
        "ADDED again 14",
        "ADDED new 15",
        "DELETED gone 20"
      ])
      assert.strictEqual(history.position, 20)
      assert.strictEqual(yield* expiry(history, 9), "ObjectVersionExpired")
    })
  )

  it.effect("what is known already, and what is older, changes nothing", () =>
    Effect.gen(function* () {
      const history = new KeptHistory<ActivityPolicy>()
      history.catchUp([policy("a", 3)], 10)
      history.take("a", policy("a", 3), 3)
      history.advance(7)
      assert.strictEqual(history.position, 10)
      history.take("a", policy("a", 11), 11)
      assert.deepStrictEqual(yield* eventsAfter(history, 10), ["MODIFIED a 11"])
    })
  )

  it.effect("when resourceVersions go back, whoever waited lists again", () =>
    Effect.gen(function* () {
      const history = new KeptHistory<ActivityPolicy>()
      history.catchUp([policy("a", 3)], 100)
      const waiting = yield* Effect.forkChild(expiry(history, 100))
      yield* Effect.yieldNow
      history.catchUp([policy("a", 3)], 50)
      assert.strictEqual(yield* Fiber.join(waiting), "ObjectVersionExpired")
      assert.strictEqual(history.position, 50)
    })
  )
})
