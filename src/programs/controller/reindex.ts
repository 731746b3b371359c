/**
 * One ReindexJob: the facts of its time are read page by page, told by the policies as they are, and what differs from the
 * stored activities goes to ACTIVITIES.
 *
 * At least once: the status holds the position up to where everything is in the bus, and a page that was under way when a
 * replica died is compared anew. A message has its fact's order at the source, so that a newer live sight of an Event wins
 * whenever it comes.
 */
import { Clock, Effect, Metric } from "effect"
import type { Lease } from "../../clients/Lease.ts"
import {
  batchSizeOtherwise,
  isFinished,
  noProgress,
  rateLimitOtherwise,
  type ReindexJob,
  type ReindexPosition,
  type ReindexProgress
} from "../../domain/ReindexJob.ts"
import { PolicyCache } from "../../process/PolicyCache.ts"
import type { ReindexOutcome } from "../../process/Reindex.ts"
import { counterFamily } from "../../runtime/Metrics.ts"
import { traced } from "../../runtime/Tracing.ts"
import { ReindexJobs } from "../../store/ReindexJobs.ts"
import { readSourcePage, readSourceSlices, type SourceWindow } from "../../store/sourceFacts.ts"
import { begun, begunAgain, isToldBy, JobFailed, policiesChanged, positionOf, sourceWindowOf } from "./beginJob.ts"
import { isGone, nowText, untilStored, writeStatus } from "./jobStatus.ts"
import { retellPage } from "./retellPage.ts"
import { policiesCurrent, trafficSettled } from "./settled.ts"

const jobsEnded = counterFamily("activity_controller_reindex_jobs_total", "Reindex jobs that ended, by how", "phase", [
  "Succeeded",
  "Failed"
])
const jobRuns = Metric.gauge("activity_controller_reindex_runs", {
  description: "1 while this replica carries out a reindex job"
})

/** Runs a job to its end, or until it is gone. */
export const runJob = (job: ReindexJob, lease: Lease) =>
  Effect.gen(function* () {
    const found = yield* (yield* ReindexJobs).get(job.metadata.name).pipe(untilStored)
    if (isGone(found, job) || isFinished(found)) return
    yield* Effect.logInfo("a reindex job begins, or goes on", { job: job.metadata.name })
    yield* Metric.update(jobRuns, 1)
    yield* begun(found, lease).pipe(
      Effect.flatMap((running) => retold(running, lease)),
      Effect.catchTag(["ClickHouseError", "NatsError"], (error) =>
        Effect.fail(new JobFailed({ sentence: error.message }))
      ),
      Effect.catchTag("KeptObjectsError", ({ reason }) =>
        Effect.fail(new JobFailed({ sentence: `the policies cannot be read: ${reason._tag}` }))
      ),
      Effect.catchDefect((defect) =>
        Effect.andThen(
          Effect.logError("a reindex job stopped by a defect", { job: job.metadata.name, defect }),
          Effect.fail(new JobFailed({ sentence: "it stopped by a defect, which the controller's log tells" }))
        )
      ),
      Effect.catchTag("JobFailed", ({ sentence }) => ended(job, lease, "Failed", sentence))
    )
  }).pipe(
    // Whoever deleted it wants nothing more of it.
    Effect.catchTag(["JobGone", "KeptObjectsError"], () => Effect.void),
    Effect.ensuring(Metric.update(jobRuns, 0))
  )

/** Reads on from the position, from the beginning where policies are others by now; ends with the job's last status. */
const retold = (job: ReindexJob, lease: Lease) =>
  Effect.gen(function* () {
    yield* trafficSettled
    yield* policiesCurrent
    let running = job
    for (;;) {
      const { window: index, windows } = positionOf(running)
      const window = windows[index]
      if (window !== undefined) {
        running = yield* windowRetold(running, sourceWindowOf(running, window), lease)
        continue
      }
      // A change that was answered before the job says that it is done counts.
      const { compiled } = yield* policiesCurrent
      if (isToldBy(running, compiled)) return yield* ended(running, lease, "Succeeded", summaryOf(running))
      running = yield* begunAgain(running, lease)
    }
  })

/** @returns the job at the beginning of the next window, or of the first one again */
const windowRetold = (job: ReindexJob, window: SourceWindow, lease: Lease) =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const now = () => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
    const cache = yield* PolicyCache
    const { batchSize, dryRun, rate } = limitsOf(job)
    const isAgain = window.since !== undefined
    // What is told by now is stored then, and what was changed meanwhile is seen.
    if (isAgain) yield* trafficSettled
    const slices = yield* readSourceSlices(window).pipe(untilStored)
    let running = job
    for (;;) {
      const began = now()
      const position = positionOf(running)
      yield* refuseBroken(running)
      const policies = cache.current()
      if (!isToldBy(running, policies)) return yield* begunAgain(running, lease)
      const { facts, next: after } = yield* readSourcePage(window, {
        slices,
        after: position.after,
        // A second's worth: so much is done again when this replica dies.
        limit: Math.min(batchSize, rate)
      }).pipe(untilStored)
      const counts = yield* traced(
        "controller.reindexPage",
        {
          kind: "producer",
          attributes: { "activity.reindex_job": running.metadata.name, "activity.facts": facts.length }
        },
        retellPage(running, window, facts, { policies, lease, dryRun })
      )
      const { after: _, ...ofWindow } = position
      const next: ReindexPosition =
        after === undefined ? { ...ofWindow, window: position.window + 1 } : { ...position, after }
      const reached = {
        message: (dryRun ? "Counts what would differ; nothing is written" : "Tells activities anew") + againOf(running),
        // Those were counted before.
        progress: isAgain
          ? (running.status?.progress ?? noProgress)
          : progressOf(running, counts, facts.length, batchSize),
        position: JSON.stringify(next)
      }
      running = yield* writeStatus(running, reached, lease)
      yield* Effect.sleep(Math.max(0, (facts.length * 1_000) / rate - (now() - began)))
      if (next.window !== position.window) return running
    }
  })

const limitsOf = ({ spec: { config = {} } }: ReindexJob) => ({
  batchSize: config.batchSize || batchSizeOtherwise,
  rate: config.rateLimit || rateLimitOtherwise,
  dryRun: config.dryRun === true
})

/** Without its rules all that a policy told would seem to have no place any more. */
const refuseBroken = ({ status }: ReindexJob) =>
  Effect.gen(function* () {
    const cache = yield* PolicyCache
    const broken = [...cache.broken().keys()].find((name) => status?.policies?.includes(name) ?? true)
    if (broken !== undefined) {
      return yield* new JobFailed({ sentence: `the rules of ActivityPolicy ${broken} are off: they do not compile` })
    }
  })

const progressOf = (
  { status }: ReindexJob,
  counts: Readonly<Record<ReindexOutcome, number>>,
  facts: number,
  batchSize: number
): ReindexProgress => {
  const before = status?.progress ?? noProgress
  const processedEvents = before.processedEvents + facts
  return {
    ...before,
    processedEvents,
    activitiesGenerated: before.activitiesGenerated + counts.same + counts.changed + counts.new,
    errors: before.errors + counts.error,
    currentBatch: Math.ceil(processedEvents / batchSize),
    same: before.same + counts.same,
    changed: before.changed + counts.changed,
    new: before.new + counts.new,
    lost: before.lost + counts.lost
  }
}

const summaryOf = (job: ReindexJob): string => {
  const { spec, status } = job
  const { activitiesGenerated, changed, errors, lost, new: added } = status?.progress ?? noProgress
  const [begin, differs] = spec.config?.dryRun === true ? ["Dry run completed", "would be"] : ["Completed", "were"]
  return (
    `${begin}: ${activitiesGenerated} activities generated; of what is stored ${changed} ${differs} changed, ` +
    `${added} added, ${lost} removed${errors === 0 ? "" : `; ${errors} failed`}${againOf(job)}`
  )
}

/** Progress counts from there. */
const againOf = (job: ReindexJob): string => {
  const { beganAgain } = positionOf(job)
  if (beganAgain === 0) return ""
  return `; it began again${beganAgain === 1 ? "" : ` ${beganAgain} times`}: ${policiesChanged}`
}

const ended = (job: ReindexJob, lease: Lease, phase: "Succeeded" | "Failed", message: string) =>
  Effect.gen(function* () {
    yield* Effect.logInfo("a reindex job ended", { job: job.metadata.name, phase, message })
    yield* Metric.update(jobsEnded[phase], 1)
    return yield* writeStatus(job, { phase, message, completedAt: yield* nowText }, lease)
  })
