import { Effect, Fiber } from "effect"
import { assert, describe, it } from "@effect/vitest"
import type { Activity } from "../../../src/domain/Activity.ts"
import type { Tenant } from "../../../src/domain/Tenant.ts"
import type { FeedMessage } from "../../../src/serve/facts/FeedMessage.ts"
import { type Concerns, type FeedBatch, HeldFacts } from "../../../src/serve/facts/HeldFacts.ts"
import { activityFrom } from "../apiFixture.ts"

const tenantA: Tenant = { type: "Project", name: "a" }
const tenantB: Tenant = { type: "Project", name: "b" }
const everything: Concerns<Activity> = () => true
const ofTenant =
  (tenant: Tenant): Concerns<Activity> =>
  ({ spec }) =>
    spec.tenant.name === tenant.name

const message = (sequence: number, tenant = tenantA, sizeBytes = 1): FeedMessage<Activity> => ({
  sequence,
  key: `key-${sequence}`,
  mark: "added",
  fact: activityFrom({ id: `id-${sequence}`, tenant }, 0),
  order: 0n,
  sizeBytes
})
const messages = (from: number, to: number, tenant = tenantA) =>
  Array.from({ length: to - from + 1 }, (_, index) => message(from + index, tenant))

const seen = (batch: FeedBatch<Activity> | undefined) =>
  batch === undefined ? undefined : [batch.messages.map(({ sequence }) => sequence), batch.position]
/** What is there at once: it would wait for the rest. */
const now = (held: HeldFacts<Activity>, from: number, concerns = everything) =>
  Effect.gen(function* () {
    const waiting = yield* Effect.forkChild(held.after(from, concerns, 0), { startImmediately: true })
    held.endWaits(0)
    return seen(yield* Fiber.join(waiting))
  })
const waits = (held: HeldFacts<Activity>, from: number, concerns: Concerns<Activity>) =>
  Effect.forkChild(held.after(from, concerns, 1_000), { startImmediately: true })
const isWaiting = <A, E>(fiber: Fiber.Fiber<A, E>) => fiber.pollUnsafe() === undefined

describe("facts held for watches", () => {
  it.effect("a tenant's watch is woken by its own activities only, and then knows the others' too", () =>
    Effect.gen(function* () {
      const held = new HeldFacts<Activity>()
      held.startAfter(10)
      const [a, b, all] = [
        yield* waits(held, 10, ofTenant(tenantA)),
        yield* waits(held, 10, ofTenant(tenantB)),
        yield* waits(held, 10, everything)
      ]
      held.append([message(11, tenantB)], 11)
      assert.deepStrictEqual(
        [isWaiting(a), seen(yield* Fiber.join(b)), seen(yield* Fiber.join(all))],
        [true, [[11], 11], [[11], 11]]
      )
      held.append([message(12, tenantB), message(13, tenantA), message(15, tenantA)], 16)
      assert.deepStrictEqual(seen(yield* Fiber.join(a)), [[13, 15], 16])
      assert.deepStrictEqual(yield* now(held, 11, ofTenant(tenantB)), [[12], 16])
    })
  )

  it.effect("whose time has come gets nothing, and the position; who has more time goes on waiting", () =>
    Effect.gen(function* () {
      const held = new HeldFacts<Activity>()
      held.startAfter(10)
      const early = yield* Effect.forkChild(held.after(10, ofTenant(tenantA), 500), { startImmediately: true })
      const late = yield* waits(held, 10, ofTenant(tenantA))
      held.append(messages(11, 20, tenantB), 20)
      held.endWaits(500)
      assert.deepStrictEqual([seen(yield* Fiber.join(early)), isWaiting(late)], [[[], 20], true])
      held.append([message(21)], 21)
      assert.deepStrictEqual(seen(yield* Fiber.join(late)), [[21], 21])
    })
  )

  it.effect("who waits for what is far behind it loses nothing while others' activities are forgotten", () =>
    Effect.gen(function* () {
      const held = new HeldFacts<Activity>()
      held.startAfter(0)
      const waiting = yield* waits(held, 0, ofTenant(tenantA))
      for (let from = 1; from < 40_000; from += 500) held.append(messages(from, from + 499, tenantB), from + 499)
      assert.deepStrictEqual(
        [isWaiting(waiting), held.holdsAfter(0), yield* now(held, 0, ofTenant(tenantA))],
        [true, false, undefined]
      )
      held.append([message(50_000)], 50_000)
      assert.deepStrictEqual(seen(yield* Fiber.join(waiting)), [[50_000], 50_000])
    })
  )

  it.effect("many messages come in batches of 512, without a gap; bytes are bounded too", () =>
    Effect.gen(function* () {
      const held = new HeldFacts<Activity>()
      held.startAfter(0)
      held.append(messages(1, 1_000), 1_000)
      const first = yield* now(held, 0)
      assert.strictEqual(first?.[1], 512)
      assert.deepStrictEqual(yield* now(held, 512), [messages(513, 1_000).map(({ sequence }) => sequence), 1_000])
      for (let sequence = 1_001; sequence <= 1_060; sequence++) {
        held.append([message(sequence, tenantA, 1024 * 1024)], sequence)
      }
      assert.deepStrictEqual([held.holdsAfter(1_000), held.holdsAfter(1_059)], [false, true])
    })
  )

  it.effect("another start ends all who wait; who is ahead of it is told what follows its own position", () =>
    Effect.gen(function* () {
      const held = new HeldFacts<Activity>()
      held.startAfter(10)
      const before = yield* waits(held, 10, everything)
      held.startAfter(100)
      assert.strictEqual(yield* Fiber.join(before), undefined)
      assert.deepStrictEqual([held.starts, yield* now(held, 99)], [2, undefined])
      const ahead = yield* waits(held, 102, everything)
      held.append([message(101), message(102)], 102)
      assert.strictEqual(isWaiting(ahead), true)
      held.append([message(103)], 103)
      assert.deepStrictEqual(seen(yield* Fiber.join(ahead)), [[103], 103])
    })
  )

  it.effect("who is told at once and waits again is not told twice", () =>
    Effect.gen(function* () {
      const held = new HeldFacts<Activity>()
      held.startAfter(0)
      const told: Array<number> = []
      const follow = (from: number): Effect.Effect<void> =>
        held.after(from, everything, 1_000).pipe(
          Effect.flatMap((batch) => {
            told.push(...(batch?.messages ?? []).map(({ sequence }) => sequence))
            return batch === undefined ? Effect.void : follow(batch.position)
          })
        )
      const followers = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(follow(0), { startImmediately: true }))
      held.append(messages(1, 3), 3)
      held.append([message(4)], 4)
      held.startAfter(4)
      yield* Fiber.joinAll(followers)
      assert.deepStrictEqual(told.toSorted(), [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4])
    })
  )
})
