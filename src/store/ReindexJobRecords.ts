/** ReindexJobs as a cluster keeps them: ReindexJobRecords. */
import { Context, Effect, Layer } from "effect"
import { reindexJobRecords } from "../domain/reindexJobRecord.ts"
import { keptInCluster } from "./keptInCluster.ts"
import { ReindexJobs, ReindexJobUpkeep } from "./ReindexJobs.ts"

export const reindexJobRecordsLayer = Layer.effectContext(
  Effect.map(keptInCluster(reindexJobRecords), ({ store, upkeep }) =>
    Context.make(ReindexJobs, store).pipe(Context.add(ReindexJobUpkeep, upkeep))
  )
)
