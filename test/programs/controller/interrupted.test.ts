/**
 * Reindex jobs while something else happens: the policies change, the bus freezes, the store dies, the replica that works
 * goes. Processor, writer and two controllers run in this process, on a real nats-server and on a ClickHouse bridge (the
 * embedded engine behind HTTP, not a ClickHouse server).
 */
import { Effect, Layer, ManagedRuntime } from "effect"
import { randomUUID } from "node:crypto"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { ClickHouse } from "../../../src/clients/clickhouse/ClickHouse.ts"
import { layerFromUrl } from "../../../src/clients/clickhouse/layerFromUrl.ts"
import type { Lease } from "../../../src/clients/Lease.ts"
import { makeBucketLease } from "../../../src/clients/nats/lease.ts"
import { Nats } from "../../../src/clients/nats/Nats.ts"
import { natsLayer } from "../../../src/clients/nats/natsLayer.ts"
import type { ReindexJob } from "../../../src/domain/ReindexJob.ts"
import { allStreams } from "../../../src/domain/streams.ts"
import { platformTenant } from "../../../src/domain/Tenant.ts"
import { PolicyCache } from "../../../src/process/PolicyCache.ts"
import { batchFrom } from "../../../src/programs/collector/batch.ts"
import { control } from "../../../src/programs/controller/control.ts"
import { policySourceLayer } from "../../../src/programs/keptStores.ts"
import { process as tell } from "../../../src/programs/processor/pipeline.ts"
import { write } from "../../../src/programs/writer/pipeline.ts"
import { Health } from "../../../src/runtime/Health.ts"
import { Metrics } from "../../../src/runtime/Metrics.ts"
import { migrate } from "../../../src/store/migrate.ts"
import { PolicyBucket, policyBucketLayer } from "../../../src/store/PolicyBucket.ts"
import { PolicyStore } from "../../../src/store/PolicyStore.ts"
import { ReindexJobBucket, reindexJobBucketLayer } from "../../../src/store/ReindexJobBucket.ts"
import { ReindexJobs } from "../../../src/store/ReindexJobs.ts"
import { type Bridge, startClickHouseBridge } from "../../support/clickhouseBridge.ts"
import { eventually } from "../../support/eventually.ts"
import { madeRecords, recordText } from "../../support/madeRecords.ts"
import { startNatsServer, type TestNatsServer } from "../../support/natsServer.ts"
import { temporaryFolder } from "../../support/temporaryFolder.ts"

/** Of the policy. */
const name = "made"
const apiVersion = "activity.miloapis.com/v1alpha1"
const count = 60
/** The lowest rate: the job takes six seconds, and a page is ten records. */
const rateLimit = 10
/** Each waits for the end of a job, which has two minutes. */
const timeoutMillis = 240_000
/** Longer than any answer is waited for. */
const frozenMillis = 15_000

const connect = (server: TestNatsServer, clickhouse: string, name: string) =>
  ManagedRuntime.make(
    Layer.mergeAll(
      PolicyCache.layerNoDeps.pipe(Layer.provide(policySourceLayer), Layer.provideMerge(policyBucketLayer)),
      reindexJobBucketLayer
    ).pipe(
      Layer.provideMerge(
        Layer.mergeAll(
          natsLayer({ servers: [server.url], name }),
          layerFromUrl(clickhouse),
          Health.layer,
          Metrics.layer
        )
      )
    )
  )

type Replica = ReturnType<typeof connect>

describe("a reindex job", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let server: TestNatsServer
  let bridge: Bridge
  let programs: Replica
  const controllers: Array<{ readonly runtime: Replica; readonly lease: () => Lease | undefined }> = []

  const startController = (holder: string) => {
    const runtime = connect(server, `${bridge.url}/activity`, holder)
    let lease: Lease | undefined
    runtime.runFork(
      Effect.gen(function* () {
        lease = yield* makeBucketLease({ name: "activity-controller", holder, durationMillis: 3_000 })
        return yield* control(lease, "informative")
      })
    )
    controllers.push({ runtime, lease: () => lease })
  }

  beforeAll(async () => {
    folder = await temporaryFolder("interrupted")
    server = await startNatsServer()
    bridge = await startClickHouseBridge({ folder: join(folder.path, "clickhouse") })
    programs = connect(server, `${bridge.url}/activity`, "programs")
    await programs.runPromise(migrate())
    await programs.runPromise(Nats.use((nats) => nats.ensureStreams(allStreams, { sizeScale: 0.1 })))
    await programs.runPromise(PolicyCache.use(({ listed }) => listed))
    programs.runFork(write({ defaultTenant: platformTenant }).pipe(Effect.scoped))
    programs.runFork(tell({ defaultTenant: platformTenant }).pipe(Effect.scoped))
    startController("one")
    startController("two")
    await apply("first")
    await eventually("it is known", () =>
      programs.runPromise(PolicyCache.use((cache) => Effect.sync(() => cache.current().generationOf(name) === 1)))
    )
    const items = madeRecords("made", count).map(recordText)
    const { messages } = batchFrom(items, {
      cluster: "east",
      defaultTenant: platformTenant,
      messageSizeBytesMax: 2 ** 20,
      stages: new Set(["ResponseComplete"])
    })
    await programs.runPromise(Nats.use((nats) => nats.publish(messages)))
  }, 180_000)
  afterAll(async () => {
    await Promise.all(controllers.map(({ runtime }) => runtime.dispose()))
    await programs?.dispose()
    await bridge?.stop()
    await server?.[Symbol.asyncDispose]()
    await folder?.remove()
  })

  const jobOf = (job: string) => programs.runPromise(ReindexJobs.use((jobs) => jobs.get(job)))
  /** Written as an API server does: each change is another generation. */
  const apply = (word: string) =>
    eventually("the policy is written", () =>
      programs.runPromise(
        Effect.gen(function* () {
          const bucket = yield* PolicyBucket
          const spec = {
            resource: { apiGroup: "", kind: "ConfigMap" },
            auditRules: [{ name: "any", match: "true", summary: `${word} {{ audit.objectRef.name }}` }]
          }
          const policies = yield* (yield* PolicyStore).list
          const found = policies.objects.find(({ metadata }) => metadata.name === name)
          if (found === undefined) {
            const metadata = { name, uid: randomUUID(), generation: 1 }
            return yield* bucket.create({ apiVersion, kind: "ActivityPolicy", metadata, spec })
          }
          const generation = (found.metadata.generation ?? 0) + 1
          // The controller writes its status meanwhile: then once more.
          return yield* bucket.update({ ...found, metadata: { ...found.metadata, generation }, spec })
        })
      )
    )
  const create = async (jobName: string) => {
    const job: ReindexJob = {
      apiVersion,
      kind: "ReindexJob",
      metadata: { name: jobName, uid: randomUUID(), generation: 1, creationTimestamp: new Date().toISOString() },
      spec: { timeRange: { startTime: "now-1h" }, config: { rateLimit } }
    }
    await programs.runPromise(ReindexJobBucket.use((bucket) => bucket.create(job)))
  }
  const halfWay = (job: string) =>
    eventually("it is half way", async () => ((await jobOf(job)).status?.progress.processedEvents ?? 0) >= count / 3)
  const ended = (job: string) =>
    eventually(
      `the job ${job} ends`,
      async () => {
        const { status } = await jobOf(job)
        return status?.completedAt === undefined ? undefined : status
      },
      { deadlineMillis: 120_000 }
    )
  /** How many say which word. */
  const told = async (): Promise<Readonly<Record<string, number>>> => {
    const rows = await programs.runPromise(
      ClickHouse.use((clickhouse) =>
        clickhouse.query({
          sql: "SELECT splitByChar(' ', summary)[1] AS word, toUInt32(count()) AS activities FROM activities FINAL GROUP BY word"
        })
      )
    )
    return Object.fromEntries(rows.map((row) => [String(row["word"]), Number(row["activities"])]))
  }
  const allSay = (word: string) =>
    eventually(`all say ${word}`, async () => JSON.stringify(await told()) === JSON.stringify({ [word]: count }), {
      deadlineMillis: 60_000
    })

  it(
    "tells all by a policy as it is at the job's end, also one that is changed on the way",
    { timeout: timeoutMillis },
    async () => {
      await allSay("first")
      await apply("second")
      await create("changed")
      await halfWay("changed")
      await apply("third")
      const status = await ended("changed")
      assert.strictEqual(status.phase, "Succeeded", status.message)
      assert.match(status.message, /; it began again: policies were changed while it ran$/)
      assert.strictEqual(status.progress.processedEvents, status.progress.totalEvents)
      await allSay("third")
    }
  )

  it(
    "of a policy that was deleted and made again meanwhile begins again, too",
    { timeout: timeoutMillis },
    async () => {
      await create("replaced")
      await halfWay("replaced")
      await programs.runPromise(
        Effect.gen(function* () {
          const { metadata } = yield* (yield* PolicyStore).get(name)
          yield* (yield* PolicyBucket).delete(name, metadata.resourceVersion ?? "")
        })
      )
      await apply("fourth")
      const status = await ended("replaced")
      assert.strictEqual(status.phase, "Succeeded", status.message)
      await allSay("fourth")
    }
  )

  it(
    "goes on after the bus was frozen (SIGSTOP), whichever controller has the lease then",
    { timeout: timeoutMillis },
    async () => {
      await apply("fifth")
      await create("frozen")
      await halfWay("frozen")
      server.freeze()
      // Nothing tells that it is frozen, which is what is looked at.
      await new Promise((resolve) => setTimeout(resolve, frozenMillis))
      server.thaw()
      const status = await ended("frozen")
      assert.strictEqual(status.phase, "Succeeded", status.message)
      assert.strictEqual(status.progress.processedEvents, status.progress.totalEvents)
      await allSay("fifth")
    }
  )

  it("waits for a store that was killed (-9), and goes on", { timeout: timeoutMillis }, async () => {
    await apply("sixth")
    await create("killed")
    await halfWay("killed")
    const port = Number(new URL(bridge.url).port)
    await bridge.kill()
    await eventually("somebody noticed", async () => {
      const failed = await programs.runPromise(
        ClickHouse.use((clickhouse) => clickhouse.query({ sql: "SELECT 1" })).pipe(
          Effect.as(false),
          Effect.orElseSucceed(() => true)
        )
      )
      return failed
    })
    bridge = await startClickHouseBridge({ folder: join(folder.path, "clickhouse"), port })
    const status = await ended("killed")
    assert.strictEqual(status.phase, "Succeeded", status.message)
    await allSay("sixth")
  })

  it("is gone on with by the other controller when the one that works goes", { timeout: timeoutMillis }, async () => {
    await apply("seventh")
    await create("left")
    await halfWay("left")
    const working = controllers.find(({ lease }) => lease()?.held() === true)
    await working?.runtime.dispose()
    const status = await ended("left")
    assert.strictEqual(status.phase, "Succeeded", status.message)
    assert.strictEqual(status.progress.processedEvents, status.progress.totalEvents)
    await allSay("seventh")
  })
})
