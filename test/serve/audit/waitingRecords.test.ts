/** Records that the bus does not take: how many wait, what is dropped, and what is not begun. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import type { IncomingMessage } from "node:http"
import {
  Nats,
  NatsError,
  NatsUnavailable,
  type OutgoingMessage,
  type PublishAck
} from "../../../src/clients/nats/Nats.ts"
import { Health } from "../../../src/runtime/Health.ts"
import { RequestRecords } from "../../../src/serve/audit/RequestRecords.ts"
import { type AnsweredRequest, isChange } from "../../../src/serve/audit/requestRecord.ts"

const user = { name: "alice", uid: "", groups: [], extra: {} }

const answered = (verb: string, place: number, uriLength = 100_000): AnsweredRequest => ({
  auditID: `${verb}-${place}`,
  // Of a request only these are looked at.
  request: { url: `/${"x".repeat(uriLength)}`, headers: {}, socket: {} } as unknown as IncomingMessage,
  info: {
    _tag: "Resource",
    verb,
    group: "activity.miloapis.com",
    version: "v1",
    resource: "activitypolicies",
    subresource: "",
    namespace: "",
    name: "one",
    named: true
  },
  user,
  receivedMillis: place,
  answeredMillis: place,
  body: undefined,
  exportedAs: undefined,
  exit: Exit.succeed({ _tag: "Value", status: 200, value: {} })
})

/** What is no effect has to be there; nobody calls it. */
const unasked: Pick<Nats["Service"], "connected" | "messageSizeBytesMax" | "problem" | "state"> = {
  connected: () => assert.fail(),
  messageSizeBytesMax: () => assert.fail(),
  problem: () => assert.fail(),
  state: () => assert.fail()
}

/** A bus that takes nothing while it is `away`. */
const bus = () => {
  const state = { away: true, stored: new Array<OutgoingMessage>() }
  const publishEach: Nats["Service"]["publishEach"] = (messages) =>
    Effect.sync(() =>
      messages.map((message): NatsError | PublishAck => {
        if (state.away) {
          return new NatsError({ reason: new NatsUnavailable({ operation: "publish", cause: "away" }) })
        }
        state.stored.push(message)
        return { stream: "AUDIT_EVENTS", sequence: state.stored.length, duplicate: false }
      })
    )
  const layer = RequestRecords.layer({ cluster: "local", recorded: "direct" }).pipe(
    Layer.provide(Layer.mergeAll(Layer.mock(Nats, { ...unasked, publishEach }), Health.layer))
  )
  return { state, layer }
}

describe("records that wait", () => {
  it.effect("reads leave room for changes; a change without room is not begun; all that waited is stored", () => {
    const { layer, state } = bus()
    return Effect.gen(function* () {
      const records = yield* RequestRecords
      const begun = Effect.scoped(records.reserve(user))
      // 100 KB each: 8 MiB hold 83 of them.
      for (let place = 0; place < 100; place++) yield* records.keep(answered("list", place))
      yield* begun
      let changes = 0
      while (Exit.isSuccess(yield* Effect.exit(begun))) {
        const kept = yield* Effect.forkChild(records.keep(answered("update", changes++)))
        // Its answer waits for the bus, and no longer than this.
        yield* TestClock.adjust("2 seconds")
        yield* Fiber.join(kept)
      }
      assert.isAtLeast(changes, 80)
      const refused = yield* Effect.flip(begun)
      assert.strictEqual(refused.reason, "ServiceUnavailable")
      state.away = false
      yield* TestClock.adjust("10 seconds")
      yield* begun
      const stored = state.stored.map(({ body }) => JSON.parse(Buffer.from(body).toString()).auditID)
      assert.strictEqual(stored.filter((id: string) => id.startsWith("update-")).length, changes)
      assert.strictEqual(stored.filter((id: string) => id.startsWith("list-")).length, 83)
      assert.strictEqual(new Set(stored).size, stored.length)
    }).pipe(Effect.provide(layer))
  })

  it.effect("what kube-apiserver passed on is its own to record", () => {
    const { layer, state } = bus()
    state.away = false
    return Effect.gen(function* () {
      const records = yield* RequestRecords
      yield* records.keep({ ...answered("update", 1), user: { ...user, isPassedOn: true } })
      yield* records.keep(answered("update", 2))
      assert.strictEqual(state.stored.length, 1)
    }).pipe(Effect.provide(layer))
  })
})

describe("what changes something", () => {
  it("is what is written; a question is not, however it is asked", () => {
    const { info } = answered("create", 1)
    const of = (verb: string, resource: string, subresource = "") => isChange({ ...info, verb, resource, subresource })
    for (const verb of ["get", "list", "watch"]) assert.isFalse(of(verb, "activitypolicies"))
    for (const question of ["activityqueries", "eventfacetqueries"]) assert.isFalse(of("create", question))
    for (const verb of ["create", "update", "patch", "delete", "deletecollection"]) {
      assert.isTrue(of(verb, "activitypolicies"))
    }
    assert.isTrue(of("create", "deadletters", "redrive"))
    assert.isTrue(of("create", "deadletters", "discard"))
  })
})
