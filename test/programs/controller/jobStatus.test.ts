/** Who may write the status of a reindex job, and when. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger } from "effect"
import { TestClock } from "effect/testing"
import type { ReindexJob } from "../../../src/domain/ReindexJob.ts"
import { writeStatus } from "../../../src/programs/controller/jobStatus.ts"
import { KeptObjectsError, ObjectRefused } from "../../../src/store/KeptObjects.ts"
import { ReindexJobs, ReindexJobUpkeep } from "../../../src/store/ReindexJobs.ts"

const job: ReindexJob = {
  apiVersion: "activity.miloapis.com/v1alpha1",
  kind: "ReindexJob",
  metadata: { name: "one", uid: "uid-1", generation: 1, resourceVersion: "7" },
  spec: { timeRange: { startTime: "now-1d" } }
}

describe("the status of a reindex job", () => {
  it.effect(
    "waits while the lease may be another's: a replica that was stopped writes nothing over its successor's",
    () =>
      Effect.gen(function* () {
        let held = false
        const written: Array<ReindexJob> = []
        const stores = Layer.mergeAll(
          Layer.mock(ReindexJobs, { get: () => Effect.succeed(job), absence: () => undefined }),
          Layer.mock(ReindexJobUpkeep, {
            writeStatus: (one) =>
              Effect.sync(() => {
                written.push(one)
                return one
              })
          })
        )
        const long = { phase: "Running", message: "x".repeat(1_000_000) } as const
        const writing = yield* writeStatus(job, long, { held: () => held }).pipe(
          Effect.provide(stores),
          Effect.forkChild
        )
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(written, [])
        held = true
        yield* TestClock.adjust("1 second")
        assert.strictEqual(writing.pollUnsafe()?._tag, "Success")
        assert.deepStrictEqual(
          written.map(({ metadata, status }) => [metadata.resourceVersion, status?.phase]),
          [["7", "Running"]]
        )
        // No store would take all of it.
        assert.isBelow(JSON.stringify(written).length, 10_000)
      })
  )

  it.effect("that is refused is tried again ever more seldom, and told once; the job waits for it", () =>
    Effect.gen(function* () {
      let tries = 0
      let isAllowed = false
      const warnings: Array<unknown> = []
      const refused = new KeptObjectsError({ reason: new ObjectRefused({ name: "one", sentence: "forbidden (403)" }) })
      const stores = Layer.mergeAll(
        Layer.mock(ReindexJobs, { get: () => Effect.succeed(job), absence: () => undefined }),
        Layer.mock(ReindexJobUpkeep, {
          writeStatus: (one) =>
            Effect.suspend(() => {
              tries++
              return isAllowed ? Effect.succeed(one) : Effect.fail(refused)
            })
        }),
        Logger.layer([
          Logger.make(({ logLevel, message }) => {
            if (logLevel === "Warn") warnings.push(message)
          })
        ])
      )
      const writing = yield* writeStatus(job, { phase: "Running", message: "Begins" }, { held: () => true }).pipe(
        Effect.provide(stores),
        Effect.forkChild
      )
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(writing.pollUnsafe(), undefined)
      assert.isAtLeast(tries, 12)
      assert.isAtMost(tries, 20)
      assert.lengthOf(warnings, 1)
      isAllowed = true
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual(writing.pollUnsafe()?._tag, "Success")
    })
  )
})
