/** ReindexJobs, one after the other, oldest first; those that ended long enough ago are deleted. */
import { Clock, Effect, Stream } from "effect"
import type { Lease } from "../../clients/Lease.ts"
import { microsecondsFrom } from "../../domain/instant.ts"
import { isFinished, pendingStatus, type ReindexJob } from "../../domain/ReindexJob.ts"
import { ReindexJobs, ReindexJobUpkeep } from "../../store/ReindexJobs.ts"
import { isGone, nowText } from "./jobStatus.ts"
import { runJob } from "./reindex.ts"

/** How long a job that nobody waits for may wait: what is looked at is in memory. */
const lookEvery = "200 millis"

/** Runs for ever. Only one replica may. */
export const runJobs = (lease: Lease) =>
  Effect.gen(function* () {
    const jobs = yield* ReindexJobs
    const known = new Map<string, ReindexJob>()
    const follow = jobs.updates.pipe(
      Stream.runForEach((update) =>
        Effect.sync(() => {
          if (update._tag === "Listed") {
            known.clear()
            for (const job of update.objects) known.set(job.metadata.name, job)
          } else if (update.object === undefined) known.delete(update.name)
          else known.set(update.name, update.object)
        })
      ),
      Effect.andThen(Effect.never)
    )
    const work = Effect.gen(function* () {
      const next = oldest([...known.values()])
      // It ends at once when the job is deleted, whatever it waits for.
      if (next !== undefined) yield* Effect.raceFirst(runJob(next, lease), untilGone(known, next))
      // That one has ended may be known a moment later only.
      yield* Effect.sleep(lookEvery)
    }).pipe(Effect.forever)
    const tend = Effect.suspend(() => Effect.forEach([...known.values()], tended, { discard: true })).pipe(
      Effect.andThen(Effect.sleep("1 second")),
      Effect.forever
    )
    return yield* Effect.all([follow, work, tend], { concurrency: "unbounded" }).pipe(Effect.andThen(Effect.never))
  })

const oldest = (jobs: ReadonlyArray<ReindexJob>): ReindexJob | undefined => {
  const waiting = jobs.filter((job) => !isFinished(job) && job.metadata.deletionTimestamp === undefined)
  // One that began goes on before others begin.
  return waiting.toSorted((one, other) => rankOf(one).localeCompare(rankOf(other)))[0]
}

const rankOf = ({ metadata, status }: ReindexJob): string =>
  `${status?.phase === "Running" ? 0 : 1} ${metadata.creationTimestamp ?? ""} ${metadata.name}`

const untilGone = (known: ReadonlyMap<string, ReindexJob>, job: ReindexJob): Effect.Effect<void> =>
  Effect.suspend(() =>
    isGone(known.get(job.metadata.name), job) ? Effect.void : Effect.delay(untilGone(known, job), lookEvery)
  )

const tended = (job: ReindexJob) =>
  Effect.andThen(job.status === undefined ? toldToWait(job) : Effect.void, deleteExpired(job)).pipe(
    // Somebody else deleted or changed it, or the store is away: it is looked at again.
    Effect.ignore
  )

/** A cluster's API server keeps no status of what is created. */
const toldToWait = (job: ReindexJob) =>
  Effect.gen(function* () {
    yield* (yield* ReindexJobUpkeep).writeStatus({ ...job, status: pendingStatus(job, yield* nowText) })
  })

const deleteExpired = (job: ReindexJob) =>
  Effect.gen(function* () {
    const completed = microsecondsFrom(job.status?.completedAt ?? "")
    const seconds = job.spec.ttlSecondsAfterFinished
    if (completed === undefined || seconds === undefined || !isFinished(job)) return
    const now = yield* Clock.currentTimeMillis
    if (now < Number(completed / 1000n) + seconds * 1000) return
    if (job.metadata.deletionTimestamp !== undefined) return
    yield* (yield* ReindexJobUpkeep).delete(job)
    yield* Effect.logInfo("a reindex job is deleted: its time after its end has passed", { job: job.metadata.name })
  })
