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
export const specFaults = ({ metadata, spec }: ReindexJob): ReadonlyArray<FieldFault> => {
  const now = microsecondsFrom(metadata.creationTimestamp ?? "") ?? 0n
  const times = queryWindow(
    { field: "spec.timeRange.startTime", text: spec.timeRange.startTime },
    { field: "spec.timeRange.endTime", text: spec.timeRange.endTime ?? "now" },
    now,
    {}
  )
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

export const specWarnings = ({ spec: { config } }: ReindexJob): ReadonlyArray<string> =>
  config?.dryRun === true ? ["spec.config.dryRun: the job only counts what would differ"] : []
