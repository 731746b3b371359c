/** What a lease promises, whoever keeps it: on a clock and in a store of the test. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { TestClock } from "effect/testing"
import { leaseKeptIn, type LeaseRecord } from "../../src/clients/Lease.ts"

const durationMillis = 15_000

describe("a lease", () => {
  it.effect("of who renews it no more is another's within 20 s", () =>
    Effect.gen(function* () {
      let kept: LeaseRecord = { holder: "them", version: "1", durationMillis }
      const store = {
        read: Effect.sync(() => kept),
        write: () => Effect.sync(() => (kept = { holder: "us", version: "3", durationMillis })),
        raced: () => false
      }
      const lease = yield* leaseKeptIn(store, { name: "one", holder: "us", durationMillis })
      yield* Effect.forkChild(lease.whileHeld(Effect.never))
      yield* TestClock.adjust("10 seconds")
      // Their last renewal.
      kept = { ...kept, version: "2" }
      yield* TestClock.adjust("15 seconds")
      assert.strictEqual(kept.holder, "them")
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual([kept.holder, lease.held()], ["us", true])
    })
  )

  it.effect("who was stopped while its renewal was answered does not go on working when it runs again", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      let stoppedNanos = 0n
      // While a process is stopped its clock goes on, and its timers do not.
      const stoppable: Clock.Clock = Object.assign(Object.create(clock) as Clock.Clock, {
        monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe() + stoppedNanos
      })
      let writes = 0
      let terms = 0
      const write = () =>
        Effect.sync(() => {
          writes += 1
          if (writes === 2) stoppedNanos = 60_000_000_000n
          return { holder: "us", version: String(writes), durationMillis }
        })
      const store = { read: Effect.succeed(undefined), write, raced: () => false }
      const lease = yield* leaseKeptIn(store, { name: "one", holder: "us", durationMillis }).pipe(
        Effect.provideService(Clock.Clock, stoppable)
      )
      const work = Effect.andThen(
        Effect.sync(() => void (terms += 1)),
        Effect.never
      )
      yield* Effect.forkChild(lease.whileHeld(work))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([writes, terms, lease.held()], [1, 1, true])
      yield* TestClock.adjust("4 seconds")
      // It was taken anew, and the work begun again.
      assert.deepStrictEqual([writes, terms, lease.held()], [3, 2, true])
    })
  )
})
