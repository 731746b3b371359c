/** ReindexJobs in a bucket of a real nats-server, which has room for some of them only. */
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { natsLayer } from "../../src/clients/nats/natsLayer.ts"
import type { ReindexJob } from "../../src/domain/ReindexJob.ts"
import { ReindexJobBucket, reindexJobBucketLayer } from "../../src/store/ReindexJobBucket.ts"
import { startNatsServer, type TestNatsServer } from "../support/natsServer.ts"
import { reasonOf, run } from "./keptObjectsContract.ts"

const job = (name: string): ReindexJob => ({
  apiVersion: "activity.miloapis.com/v1alpha1",
  kind: "ReindexJob",
  metadata: { name, uid: name, annotations: { large: "x".repeat(256 * 1024) } },
  spec: { timeRange: { startTime: "now-1d" } }
})

describe("ReindexJobs in NATS", () => {
  const scope = Effect.runSync(Scope.make())
  let nats: TestNatsServer
  let bucket: ReindexJobBucket["Service"]
  beforeAll(async () => {
    nats = await startNatsServer()
    const layer = reindexJobBucketLayer.pipe(Layer.provide(natsLayer({ servers: [nats.url], name: "test" })))
    bucket = Context.get(await run(Layer.buildWithScope(layer, scope)), ReindexJobBucket)
  })
  afterAll(async () => {
    await run(Scope.close(scope, Exit.void))
    await nats?.[Symbol.asyncDispose]()
  })

  it("of as many as there is room for each is changed and deleted, and what is gone takes none", async () => {
    const filled = async (): Promise<ReadonlyArray<ReindexJob>> => {
      const jobs: Array<ReindexJob> = []
      for (;;) {
        const created = await run(Effect.result(bucket.create(job(`job-${jobs.length}`))))
        if (created._tag === "Failure") return jobs
        // Its status is written many times.
        let last = created.success
        for (let page = 0; page < 3; page++) last = await run(bucket.update(last))
        jobs.push(last)
      }
    }
    const jobs = await filled()
    expect(await reasonOf(bucket.create(job("more")))).toBe("KeptObjectsFull")
    expect(jobs.length).toBeGreaterThan(50)
    for (const one of jobs) {
      const changed = await run(bucket.update(one))
      await run(bucket.delete(changed.metadata.name, changed.metadata.resourceVersion ?? ""))
    }
    expect((await filled()).length).toBe(jobs.length)
  })
})
