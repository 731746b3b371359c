/** What the server does to ReindexJobs, and how it shows them. */
import { reindexJobSpecSchema, reindexJobStatusSchema } from "../../contracts/reindexJobSchema.ts"
import { groupName } from "../../contracts/resources.ts"
import {
  batchSizeOtherwise,
  pendingStatus,
  rateLimitOtherwise,
  type ReindexJob,
  type ReindexJobSpec
} from "../../domain/ReindexJob.ts"
import { reindexJobRecords } from "../../domain/reindexJobRecord.ts"
import { type KeptKind, keptKind } from "../kept/KeptKind.ts"
import { reindexJobColumns } from "./reindexJobColumns.ts"
import { begunFaults, specFaults, specWarnings } from "./reindexJobFaults.ts"

/** What a client reads is what will be done. */
const withDefaults = (spec: Partial<ReindexJobSpec>): ReindexJobSpec => ({
  ...spec,
  timeRange: {
    ...spec.timeRange,
    startTime: spec.timeRange?.startTime ?? "",
    endTime: spec.timeRange?.endTime || "now"
  },
  config: {
    ...spec.config,
    batchSize: spec.config?.batchSize || batchSizeOtherwise,
    rateLimit: spec.config?.rateLimit || rateLimitOtherwise
  }
})

export const reindexJobKind: KeptKind<ReindexJob> = keptKind({
  names: { group: groupName, plural: "reindexjobs", kind: "ReindexJob" },
  records: reindexJobRecords,
  columns: reindexJobColumns,
  spec: reindexJobSpecSchema,
  status: reindexJobStatusSchema,
  wholeSpec: (spec) => withDefaults(spec ?? {}),
  specWarnings,
  admitted: (job, now) => (job.status === undefined ? { ...job, status: pendingStatus(job, now) } : job),
  unchangeableFaults: begunFaults,
  specFaults
})
