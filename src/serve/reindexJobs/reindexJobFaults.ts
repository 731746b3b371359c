/** What is wrong with a ReindexJob, or worth a warning. */
import { isDeepStrictEqual } from "node:util"
import { Result } from "effect"
import { microsecondsFrom } from "../../domain/instant.ts"
import type { ReindexJob } from "../../domain/ReindexJob.ts"
import type { FieldFault } from "../ApiFailure.ts"
import { metadataFaults, plain, sizeFaults } from "../policies/admission.ts"
import { queryWindow } from "../queries/queryWindow.ts"

/** Relative and absolute times of one job are compared at some moment of its creation. */
export const reindexJobFaults = (job: ReindexJob, stored?: ReindexJob): ReadonlyArray<FieldFault> => {
  const sizes = sizeFaults(job)
  if (sizes.length > 0) return sizes
  const faults = [...metadataFaults(job.metadata)]
  const isChanged = stored !== undefined && !isDeepStrictEqual(plain(job.spec), plain(stored.spec))
  if (isChanged && (stored.status?.phase ?? "Pending") !== "Pending") {
    faults.push({
      field: "spec",
      reason: "FieldValueForbidden",
      message: "Forbidden: the job has begun: create another"
    })
  }
  return stored === undefined || isChanged ? [...faults, ...specFaults(job)] : faults
}

const specFaults = ({ metadata, spec }: ReindexJob): ReadonlyArray<FieldFault> => {
  const now = microsecondsFrom(metadata.creationTimestamp ?? "") ?? 0n
  const times = queryWindow(
    { field: "spec.timeRange.startTime", text: spec.timeRange.startTime },
    { field: "spec.timeRange.endTime", text: spec.timeRange.endTime ?? "now" },
    now,
    {}
  )
  const { matchLabels = {}, names = [] } = spec.policySelector ?? {}
  const both = names.length > 0 && Object.keys(matchLabels).length > 0
  const { batchSize = 0, rateLimit = 0 } = spec.config ?? {}
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
    ...outside("spec.config.batchSize", batchSize, 100, 10_000),
    ...outside("spec.config.rateLimit", rateLimit, 10, 1_000),
    ...outside("spec.ttlSecondsAfterFinished", spec.ttlSecondsAfterFinished ?? 0, 0, 2 ** 31 - 1)
  ]
}

const outside = (field: string, value: number, min: number, max: number): ReadonlyArray<FieldFault> =>
  value >= min && value <= max
    ? []
    : [{ field, reason: "FieldValueInvalid", message: `Invalid value: ${value}: must be between ${min} and ${max}` }]

export const warningsOf = ({ spec: { config } }: ReindexJob): ReadonlyArray<string> =>
  config?.dryRun === true ? ["spec.config.dryRun: the job only counts what would differ"] : []
