/** What is wrong with a ReindexJob, or worth a warning. */
import { isDeepStrictEqual } from "node:util"
import { Result } from "effect"
import { microsecondsFrom } from "../../domain/instant.ts"
import {
  batchSizeMax,
  batchSizeMin,
  batchSizeOtherwise,
  rateLimitMax,
  rateLimitMin,
  rateLimitOtherwise,
  type ReindexJob
} from "../../domain/ReindexJob.ts"
import type { FieldFault } from "../ApiFailure.ts"
import { plain } from "../kept/admission.ts"
import { queryWindow } from "../queries/queryWindow.ts"

/** What a job has done it has done for the spec that it had. */
export const begunFaults = (job: ReindexJob, stored: ReindexJob): ReadonlyArray<FieldFault> =>
  (stored.status?.phase ?? "Pending") === "Pending" || isDeepStrictEqual(plain(job.spec), plain(stored.spec))
    ? []
    : [{ field: "spec", reason: "FieldValueForbidden", message: "Forbidden: the job has begun: create another" }]

/** Relative and absolute times are compared at the moment of the job's creation. */
export const specFaults = (job: ReindexJob): ReadonlyArray<FieldFault> => {
  const { spec } = job
  const times = timesOf(job)
  const { matchLabels = {}, names = [] } = spec.policySelector ?? {}
  const both = names.length > 0 && Object.keys(matchLabels).length > 0
  const { batchSize, rateLimit } = spec.config ?? {}
  return [
    ...(Result.isFailure(times) ? times.failure : []),
    ...(both
      ? [
          {
            field: "spec.policySelector",
            reason: "FieldValueInvalid",
            message: "Invalid value: names and matchLabels exclude each other"
          } as const
        ]
      : []),
    ...outside("spec.config.batchSize", batchSize || batchSizeOtherwise, batchSizeMin, batchSizeMax),
    ...outside("spec.config.rateLimit", rateLimit || rateLimitOtherwise, rateLimitMin, rateLimitMax),
    ...outside("spec.ttlSecondsAfterFinished", spec.ttlSecondsAfterFinished ?? 0, 0, 2 ** 31 - 1)
  ]
}

const outside = (field: string, value: number, min: number, max: number): ReadonlyArray<FieldFault> =>
  value >= min && value <= max
    ? []
    : [{ field, reason: "FieldValueInvalid", message: `Invalid value: ${value}: must be between ${min} and ${max}` }]

/** A week takes long: 100 facts a second are 60 million. */
const longMicroseconds = 7n * 86_400n * 1_000_000n

export const specWarnings = (job: ReindexJob, now: bigint): ReadonlyArray<string> => {
  const times = timesOf(job, now)
  const isLong = Result.isSuccess(times) && times.success.end - times.success.start > longMicroseconds
  return [
    ...(isLong ? ["spec.timeRange: it is longer than 7 days: the job may take long"] : []),
    ...(job.spec.config?.dryRun === true ? ["spec.config.dryRun: the job only counts what would differ"] : [])
  ]
}

/** @param now where the job does not say when it was created */
const timesOf = ({ metadata, spec: { timeRange } }: ReindexJob, now = 0n) =>
  queryWindow(
    { field: "spec.timeRange.startTime", text: timeRange.startTime },
    { field: "spec.timeRange.endTime", text: timeRange.endTime ?? "now" },
    microsecondsFrom(metadata.creationTimestamp ?? "") ?? now,
    {}
  )
