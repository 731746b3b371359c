/** How a cluster keeps a ReindexJob. */
import { recordKind } from "./keptRecord.ts"
import type { ReindexJob } from "./ReindexJob.ts"

export const reindexJobRecords = recordKind<ReindexJob>({
  kind: "ReindexJob",
  specOtherwise: { timeRange: { startTime: "" } }
})
