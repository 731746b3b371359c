/** ReindexJobs in a NATS KV bucket. */
import { Context, Effect, Layer } from "effect"
import type { ReindexJob } from "../domain/ReindexJob.ts"
import { type KeptBucket, keptInBucket } from "./keptInBucket.ts"
import { ReindexJobs, ReindexJobUpkeep } from "./ReindexJobs.ts"

export class ReindexJobBucket extends Context.Service<ReindexJobBucket, KeptBucket<ReindexJob>>()(
  "activity/store/ReindexJobBucket"
) {}

/** Their status is written once a second. */
const versionsKept = 1

export const reindexJobBucketLayer = Layer.effectContext(
  Effect.map(keptInBucket<ReindexJob>("activity_reindexjobs", versionsKept), ({ bucket, store, upkeep }) =>
    Context.make(ReindexJobs, store).pipe(Context.add(ReindexJobBucket, bucket), Context.add(ReindexJobUpkeep, upkeep))
  )
)
