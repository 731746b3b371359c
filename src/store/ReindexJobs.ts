/** ReindexJobs in a NATS KV bucket of their own, kept as policies are. */
import { Context, Effect, Layer } from "effect"
import type { ReindexJob } from "../domain/ReindexJob.ts"
import { keptInBucket, type KeptObjectWrites } from "./PolicyBucket.ts"
import type { KeptObjects } from "./PolicyStore.ts"

export class ReindexJobs extends Context.Service<ReindexJobs, KeptObjects<ReindexJob>>()(
  "activity/store/ReindexJobs"
) {}

export class ReindexJobBucket extends Context.Service<ReindexJobBucket, KeptObjectWrites<ReindexJob>>()(
  "activity/store/ReindexJobBucket"
) {}

const bucketName = "activity_reindexjobs"

export const reindexJobBucketLayer = Layer.effectContext(
  Effect.map(keptInBucket<ReindexJob>(bucketName), ({ store, writes }) =>
    Context.make(ReindexJobs, store).pipe(Context.add(ReindexJobBucket, writes))
  )
)
