/** Where ReindexJobs are kept, and how they are changed. */
import { Context, Effect, Layer } from "effect"
import type { ReindexJob } from "../../domain/ReindexJob.ts"
import type { KeptObjects } from "../../store/PolicyStore.ts"
import { ReindexJobBucket, ReindexJobs } from "../../store/ReindexJobs.ts"
import { bucketWrites } from "../policies/bucketWrites.ts"
import type { KeptWrites } from "../policies/PolicyWrites.ts"
import { keptReindexJobs } from "./reindexJobKind.ts"

/** Undefined where nobody keeps them: then the API does not have the resource. */
export const ReindexJobStorage = Context.Reference<
  { readonly jobs: KeptObjects<ReindexJob>; readonly writes: KeptWrites<ReindexJob> } | undefined
>("activity/serve/ReindexJobStorage", { defaultValue: () => undefined })

export const reindexJobStorageLayer = Layer.effect(
  ReindexJobStorage,
  Effect.gen(function* () {
    const jobs = yield* ReindexJobs
    return { jobs, writes: bucketWrites(keptReindexJobs, jobs, yield* ReindexJobBucket) }
  })
)
