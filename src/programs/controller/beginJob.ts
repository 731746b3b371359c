/** What a ReindexJob is about, found once: from then on its status says so, whichever replica goes on. */
import { Clock, Effect, Result, Schema } from "effect"
import type { Lease } from "../../clients/Lease.ts"
import type { ActivityPolicy } from "../../domain/ActivityPolicy.ts"
import { timestampText } from "../../domain/instant.ts"
import {
  batchSizeOtherwise,
  noProgress,
  type ReindexJob,
  type ReindexPosition,
  type ReindexWindow
} from "../../domain/ReindexJob.ts"
import type { PolicySet } from "../../process/PolicySet.ts"
import { shortTime } from "../../serve/queries/question.ts"
import { queryWindow } from "../../serve/queries/queryWindow.ts"
import { countSources, type SourceWindow } from "../../store/sourceFacts.ts"
import { readToldKinds, type ToldKind } from "../../store/tellings.ts"
import { nowText, untilStored, writeStatus } from "./jobStatus.ts"
import { lastEvent, policiesCurrent, policyVersions, trafficSettled } from "./settled.ts"

/** It cannot be carried out. The sentence is its status' message. */
export class JobFailed extends Schema.TaggedError<JobFailed>()("JobFailed", { sentence: Schema.String }) {
  readonly retryable = false
}

/** Counted for progress; what is beyond takes more than a day at the highest rate. */
const factsCountedMax = 100_000_000

/** @returns the job, running, with a position */
export const begun = (job: ReindexJob, lease: Lease) =>
  job.status?.position === undefined
    ? begin(job, lease, "Waits until everything before it is stored", 0)
    : Effect.succeed(job)

/**
 * From the first fact, by the policies as they are by now; what it is about, which times and policies' names, stays. What
 * it told before is compared then as all that is stored.
 */
export const begunAgain = (job: ReindexJob, lease: Lease) =>
  Effect.gen(function* () {
    yield* Effect.logInfo("a reindex job begins again: policies were changed while it ran", { job: job.metadata.name })
    return yield* begin(job, lease, `Begins again: ${policiesChanged}`, positionOf(job).beganAgain + 1)
  })

/** Why a job began again, for its status. */
export const policiesChanged = "policies were changed while it ran"

const begin = (job: ReindexJob, lease: Lease, message: string, beganAgain: number) =>
  Effect.gen(function* () {
    const times = yield* timesOf(job)
    const waits = {
      ...times,
      phase: "Running",
      message,
      progress: noProgress,
      startedAt: job.status?.startedAt ?? (yield* nowText)
    } as const
    const started = yield* writeStatus(job, waits, lease)
    const since = yield* lastEvent
    yield* trafficSettled
    const { compiled, policies } = yield* policiesCurrent
    const told = yield* readToldKinds(times.effectiveStartTime, times.effectiveEndTime).pipe(untilStored)
    const selected = started.status?.policies
    const chosen = selected ?? chosenNames(job, policies)
    // Of one that was deleted since it began nothing may be left.
    if (selected === undefined) yield* refuseUnknown(chosen, policies, told)
    const windows = windowsOf(policies, told, (name) => chosen?.includes(name) ?? true)
    const counts = yield* Effect.forEach(windows, (window) =>
      countSources(sourceWindowOf(started, window), factsCountedMax).pipe(untilStored)
    )
    const totalEvents = counts.reduce((sum, count) => sum + count, 0)
    const again = windows.flatMap((window) => (window.kind === "event" ? [{ ...window, since }] : []))
    const position: ReindexPosition = {
      windows: job.spec.config?.dryRun === true ? windows : [...windows, ...again],
      window: 0,
      policies: policyVersions(chosen, windows, compiled),
      beganAgain
    }
    const begins = {
      message: beganAgain === 0 ? "Begins" : `Begins again: ${policiesChanged}`,
      ...(chosen === undefined ? {} : { policies: chosen }),
      progress: {
        ...noProgress,
        totalEvents,
        totalBatches: Math.ceil(totalEvents / (job.spec.config?.batchSize || batchSizeOtherwise))
      },
      position: JSON.stringify(position)
    }
    return yield* writeStatus(started, begins, lease)
  })

/** Of a job that an older release began the versions are none, so that it begins again. */
const nowhere: ReindexPosition = { windows: [], window: 0, policies: "", beganAgain: 0 }

export const positionOf = ({ status }: ReindexJob): ReindexPosition => ({
  ...nowhere,
  // The controller wrote it.
  ...(JSON.parse(status?.position ?? "{}") as Partial<ReindexPosition>)
})

/** Whether what it has told was told by these. */
export const isToldBy = (job: ReindexJob, compiled: PolicySet): boolean => {
  const { policies, windows } = positionOf(job)
  return policies === policyVersions(job.status?.policies, windows, compiled)
}

/** All facts of a window: rules that a policy had before may have matched any verb. */
export const sourceWindowOf = ({ status }: ReindexJob, window: ReindexWindow): SourceWindow => ({
  ...window,
  scope: { _tag: "Platform" },
  start: status?.effectiveStartTime ?? "",
  end: status?.effectiveEndTime ?? "",
  namespace: undefined,
  verbs: undefined
})

/** Relative times count from the moment when the job began. */
const timesOf = ({ spec, status }: ReindexJob) =>
  Effect.gen(function* () {
    const { effectiveEndTime, effectiveStartTime } = status ?? {}
    if (effectiveStartTime !== undefined && effectiveEndTime !== undefined) {
      return { effectiveStartTime, effectiveEndTime }
    }
    const now = BigInt(yield* Clock.currentTimeMillis) * 1000n
    const { endTime = "now", startTime } = spec.timeRange
    const window = queryWindow(
      { field: "spec.timeRange.startTime", text: startTime },
      { field: "spec.timeRange.endTime", text: endTime },
      now,
      {}
    )
    if (Result.isFailure(window)) {
      const faults = window.failure.map(({ field, message }) => `${field}: ${message}`)
      return yield* new JobFailed({ sentence: faults.join("; ") })
    }
    return {
      effectiveStartTime: shortTime(timestampText(window.success.start)),
      effectiveEndTime: shortTime(timestampText(window.success.end))
    }
  })

/** Undefined: all, those that are gone included. */
const chosenNames = (
  { spec: { policySelector = {} } }: ReindexJob,
  policies: ReadonlyArray<ActivityPolicy>
): ReadonlyArray<string> | undefined => {
  const { matchLabels = {}, names = [] } = policySelector
  if (names.length > 0) return [...new Set(names)]
  const wanted = Object.entries(matchLabels)
  if (wanted.length === 0) return undefined
  return policies
    .filter(({ metadata: { labels = {} } }) => wanted.every(([key, value]) => labels[key] === value))
    .map(({ metadata }) => metadata.name)
}

/** Named in a sentence. */
const unknownMax = 10

/** A policy that is gone has left activities; of any other name nothing is known. */
const refuseUnknown = (
  chosen: ReadonlyArray<string> | undefined,
  policies: ReadonlyArray<ActivityPolicy>,
  told: ReadonlyArray<ToldKind>
) => {
  const known = new Set([...policies.map(({ metadata }) => metadata.name), ...told.map(({ policy }) => policy)])
  const unknown = chosen?.filter((name) => !known.has(name)) ?? []
  if (unknown.length === 0) return Effect.void
  const more = unknown.length > unknownMax ? ` and ${unknown.length - unknownMax} more` : ""
  const names = `${unknown.slice(0, unknownMax).join(", ")}${more}`
  return Effect.fail(new JobFailed({ sentence: `there is no ActivityPolicy ${names}, nor an activity of it` }))
}

/** Everything that the policies may tell of, and everything of whose kind they have told. */
const windowsOf = (
  policies: ReadonlyArray<ActivityPolicy>,
  told: ReadonlyArray<ToldKind>,
  isChosen: (policy: string) => boolean
): ReadonlyArray<ReindexWindow> => {
  const ofPolicies = policies
    .filter(({ metadata }) => isChosen(metadata.name))
    .flatMap(({ spec }): ReadonlyArray<ReindexWindow> => {
      const { auditRules = [], eventRules = [], resource } = spec
      const { apiGroup = "", kind } = resource
      return [
        ...(auditRules.length === 0 ? [] : [{ kind: "record", apiGroup, objectKind: "" } as const]),
        ...(eventRules.length === 0 ? [] : [{ kind: "event", apiGroup, objectKind: kind } as const])
      ]
    })
  const ofActivities = told
    .filter(({ policy }) => isChosen(policy))
    .map(({ apiGroup, kind, objectKind }) => ({ kind, apiGroup, objectKind }))
  const windows = new Map([...ofPolicies, ...ofActivities].map((window) => [JSON.stringify(window), window]))
  return [...windows.values()]
}
