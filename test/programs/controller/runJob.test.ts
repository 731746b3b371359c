/** What a reindex job waits for, and what it does not. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Layer, Logger } from "effect"
import { TestClock } from "effect/testing"
import { ClickHouse } from "../../../src/clients/clickhouse/ClickHouse.ts"
import { Nats, type StreamState } from "../../../src/clients/nats/Nats.ts"
import { refused, unavailable } from "../../../src/clients/nats/sortFailure.ts"
import { noProgress, type ReindexJob } from "../../../src/domain/ReindexJob.ts"
import { PolicyCache } from "../../../src/process/PolicyCache.ts"
import { PolicySet } from "../../../src/process/PolicySet.ts"
import { runJob } from "../../../src/programs/controller/reindex.ts"
import { policyVersions } from "../../../src/programs/controller/settled.ts"
import { KeptObjectsError, ObjectPageExpired } from "../../../src/store/KeptObjects.ts"
import { PolicyStore } from "../../../src/store/PolicyStore.ts"
import { ReindexJobs, ReindexJobUpkeep } from "../../../src/store/ReindexJobs.ts"

const windows = [{ kind: "record", apiGroup: "apps", objectKind: "" } as const]

/** It has begun: one kind of records is to be read. */
const job: ReindexJob = {
  apiVersion: "activity.miloapis.com/v1alpha1",
  kind: "ReindexJob",
  metadata: { name: "one", uid: "uid-1", generation: 1, resourceVersion: "7" },
  spec: { timeRange: { startTime: "now-1d" } },
  status: {
    phase: "Running",
    message: "",
    progress: noProgress,
    effectiveStartTime: "2026-11-20T00:00:00Z",
    effectiveEndTime: "2026-11-21T00:00:00Z",
    position: JSON.stringify({ windows, window: 0, policies: policyVersions(undefined, windows, PolicySet.empty) }),
    conditions: []
  }
}

const lease = {
  held: () => true,
  state: () => ({ held: true, holder: "one", problem: undefined }),
  whileHeld: () => Effect.never
}

const emptyStream: StreamState = {
  firstSequence: 1,
  lastSequence: 0,
  messages: 0,
  sizeBytes: 0,
  sizeBytesMax: 0,
  firstTimeMillis: 0,
  lastTimeMillis: 0
}

interface World {
  readonly streamState: Nats["Service"]["streamState"]
  readonly policies: PolicyStore["Service"]["list"]
  readonly query: ClickHouse["Service"]["query"]
}

const peaceful: World = {
  streamState: () => Effect.succeed(emptyStream),
  policies: Effect.succeed({ objects: [], resourceVersion: 1 }),
  query: () => Effect.succeed([])
}

/** @returns its status after that time, and what the log warned of */
const ran = (world: Partial<World>, waits: "1 second" | "1 minute") =>
  Effect.gen(function* () {
    const { policies, query, streamState } = { ...peaceful, ...world }
    let stored = job
    const warnings: Array<unknown> = []
    const layer = Layer.mergeAll(
      Layer.mock(Nats, {
        streamState,
        ackFloor: () => Effect.succeed(0),
        connected: () => true,
        problem: () => undefined,
        messageSizeBytesMax: () => 0,
        state: () => assert.fail()
      }),
      Layer.mock(ClickHouse, { database: "activity", query }),
      Layer.mock(PolicyStore, { list: policies, absence: () => undefined }),
      Layer.mock(PolicyCache, {
        listed: Effect.void,
        current: () => PolicySet.empty,
        broken: () => new Map(),
        problem: () => undefined
      }),
      Layer.mock(ReindexJobs, { get: () => Effect.succeed(stored), absence: () => undefined }),
      Layer.mock(ReindexJobUpkeep, { writeStatus: (one) => Effect.sync(() => (stored = one)) }),
      Logger.layer([
        Logger.make(({ logLevel, message }) => {
          if (logLevel === "Warn") warnings.push(message)
        })
      ])
    )
    yield* Effect.forkChild(runJob(job, lease).pipe(Effect.provide(layer)))
    yield* TestClock.adjust(waits)
    return { status: stored.status, warnings }
  })

describe("a reindex job", () => {
  it.effect("does not pause when the wall clock is set back while a page is read", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      let setBack = 0
      const set = { ...clock, currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe() - setBack }
      const query = () => Effect.sync(() => (setBack += 3_600_000)).pipe(Effect.as([]))
      const { status } = yield* ran({ query }, "1 second").pipe(Effect.provideService(Clock.Clock, set))
      assert.strictEqual(status?.phase, "Succeeded")
    })
  )

  it.effect("waits for a bus that is away, and says so once", () =>
    Effect.gen(function* () {
      const away = () => Effect.fail(unavailable("streams.info", new Error("no connection")))
      const { status, warnings } = yield* ran({ streamState: away }, "1 minute")
      assert.strictEqual(status?.phase, "Running")
      assert.lengthOf(warnings, 1)
    })
  )

  it.effect("fails where the bus refuses to tell", () =>
    Effect.gen(function* () {
      const { status } = yield* ran(
        { streamState: () => Effect.fail(refused("streams.info", 10_000, "no")) },
        "1 minute"
      )
      assert.deepInclude(status, { phase: "Failed", message: "streams.info: no (10000)" })
    })
  )

  it.effect("fails where the policies cannot be read, also later", () =>
    Effect.gen(function* () {
      const policies = Effect.fail(new KeptObjectsError({ reason: new ObjectPageExpired() }))
      const { status } = yield* ran({ policies }, "1 minute")
      assert.deepInclude(status, { phase: "Failed", message: "the policies cannot be read: ObjectPageExpired" })
    })
  )
})
