/** How ReindexJobs are changed. */
import { Context, Effect, Layer } from "effect"
import { Kube } from "../../clients/kube/Kube.ts"
import type { ReindexJob } from "../../domain/ReindexJob.ts"
import { ReindexJobBucket } from "../../store/ReindexJobBucket.ts"
import { ReindexJobs } from "../../store/ReindexJobs.ts"
import { bucketWrites } from "../kept/bucketWrites.ts"
import type { KeptWrites } from "../kept/KeptWrites.ts"
import { recordWrites } from "../kept/recordWrites.ts"
import { reindexJobKind } from "./reindexJobKind.ts"

export class ReindexJobWrites extends Context.Service<ReindexJobWrites, KeptWrites<ReindexJob>>()(
  "activity/serve/reindexJobs/ReindexJobWrites"
) {
  /** This server keeps them itself. */
  static readonly layerBucket = Layer.effect(
    ReindexJobWrites,
    Effect.gen(function* () {
      return bucketWrites(reindexJobKind, yield* ReindexJobs, yield* ReindexJobBucket)
    })
  )
  /** The cluster's API server keeps them. */
  static readonly layerRecords = Layer.effect(
    ReindexJobWrites,
    Effect.gen(function* () {
      return recordWrites(reindexJobKind, yield* ReindexJobs, yield* Kube)
    })
  )
}
