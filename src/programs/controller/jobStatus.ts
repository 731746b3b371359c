/** What a ReindexJob's status says, and how it is written. Only the replica that holds the lease writes it. */
import { Clock, Effect, Schedule, Schema } from "effect"
import { type Lease, whenHeld } from "../../clients/Lease.ts"
import type { StatusCondition } from "../../domain/KeptObject.ts"
import { secondsTimestampText } from "../../domain/instant.ts"
import { noProgress, type ReindexJob, type ReindexJobStatus, type ReindexPhase } from "../../domain/ReindexJob.ts"
import type { KeptObjectsError, ObjectRefused } from "../../store/KeptObjects.ts"
import { ReindexJobs, ReindexJobUpkeep } from "../../store/ReindexJobs.ts"
import { untilHealed } from "../consumeBatches.ts"

/** The job was deleted, is being deleted, or another has its name. */
export class JobGone extends Schema.TaggedError<JobGone>()("JobGone", { name: Schema.String }) {
  readonly retryable = false
}

/** A status that no store takes, as it is too large, would be tried again for ever, and keep all other jobs waiting. */
const messageLengthMax = 4_096

/**
 * Writes over what the status says so far; waits for a store that is away or refuses it, and while the lease may be
 * another's.
 *
 * @returns the job as it is then
 */
export const writeStatus = (
  job: ReindexJob,
  changes: Partial<ReindexJobStatus>,
  lease: Pick<Lease, "held">
): Effect.Effect<ReindexJob, JobGone, ReindexJobs | ReindexJobUpkeep> =>
  Effect.gen(function* () {
    const now = yield* nowText
    const stored = yield* (yield* ReindexJobs).get(job.metadata.name)
    if (isGone(stored, job)) return yield* new JobGone({ name: job.metadata.name })
    const status = { ...stored.status, ...changes, phase: changes.phase ?? stored.status?.phase ?? "Pending" }
    const message = (status.message ?? "").slice(0, messageLengthMax)
    const before = stored.status?.conditions.find(({ type }) => type === "Ready")
    // Behind the reading: what another replica writes later refuses this write, and what it wrote before is its own.
    yield* whenHeld(lease)
    return yield* (yield* ReindexJobUpkeep).writeStatus({
      ...stored,
      status: {
        ...status,
        message,
        progress: status.progress ?? noProgress,
        conditions: [conditionOf(status.phase, message, now, before, stored.metadata.generation ?? 1)]
      }
    })
  }).pipe(
    Effect.retry({
      schedule: untilHealed,
      // Its labels were changed meanwhile, or the store is away.
      while: (error) => error._tag === "KeptObjectsError" && (error.retryable || error.reason._tag === "ObjectChanged")
    }),
    untilAllowed(job),
    Effect.catchTag("KeptObjectsError", () => Effect.fail(new JobGone({ name: job.metadata.name })))
  )

/** Rights come when somebody grants them: 10 s, doubled up to 5 minutes. */
const refusedPauses = Schedule.min([Schedule.exponential("10 seconds"), Schedule.spaced("5 minutes")])

/** Nothing is done of which nobody may say that it was: a job whose status is refused waits, and says so once. */
const untilAllowed =
  ({ metadata: { name } }: ReindexJob) =>
  <A, R>(effect: Effect.Effect<A, JobGone | KeptObjectsError, R>) =>
    Effect.suspend(() => {
      let isTold = false
      return effect.pipe(
        Effect.tapError((error) => {
          if (isTold || !isRefused(error)) return Effect.void
          isTold = true
          return Effect.logWarning("the status of a reindex job is refused; it waits", {
            job: name,
            error: error.reason.sentence
          })
        }),
        Effect.retry({ schedule: refusedPauses, while: isRefused })
      )
    })

const isRefused = (error: JobGone | KeptObjectsError): error is KeptObjectsError & { readonly reason: ObjectRefused } =>
  error._tag === "KeptObjectsError" && error.reason._tag === "ObjectRefused"

/** Waits for a store, or a bus, that is away, and says so once. @fails what is not retryable */
export const untilStored = <A, E extends { readonly retryable: boolean }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    let isTold = false
    return effect.pipe(
      Effect.tapError((error) => {
        if (isTold || !error.retryable) return Effect.void
        isTold = true
        return Effect.logWarning("a reindex job waits", error)
      }),
      Effect.retry({ schedule: untilHealed, while: (error) => error.retryable })
    )
  })

/** @param found what the store has under the name of `job` */
export const isGone = (found: ReindexJob | undefined, job: ReindexJob): boolean =>
  found === undefined || found.metadata.uid !== job.metadata.uid || found.metadata.deletionTimestamp !== undefined

export const nowText = Effect.map(Clock.currentTimeMillis, (millis) => secondsTimestampText(BigInt(millis) * 1000n))

/** In the words that existing clients know. */
const reasons: Readonly<Record<ReindexPhase, string>> = {
  Pending: "Pending",
  Running: "InProgress",
  Succeeded: "Succeeded",
  Failed: "Failed"
}

const conditionOf = (
  phase: ReindexPhase,
  message: string,
  now: string,
  before: StatusCondition | undefined,
  observedGeneration: number
): StatusCondition => {
  const status = phase === "Succeeded" ? "True" : "False"
  return {
    type: "Ready",
    status,
    reason: reasons[phase],
    message,
    lastTransitionTime: before?.status === status ? before.lastTransitionTime : now,
    observedGeneration
  }
}
