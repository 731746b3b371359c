/** ReindexJobs, whoever keeps them. */
import { Context } from "effect"
import type { ReindexJob } from "../domain/ReindexJob.ts"
import type { KeptObjects, KeptUpkeep } from "./KeptObjects.ts"

export class ReindexJobs extends Context.Service<ReindexJobs, KeptObjects<ReindexJob>>()(
  "activity/store/ReindexJobs"
) {}

export class ReindexJobUpkeep extends Context.Service<ReindexJobUpkeep, KeptUpkeep<ReindexJob>>()(
  "activity/store/ReindexJobUpkeep"
) {}
