/** ReindexJobs, one after the other, oldest first; those that ended long enough ago are deleted. */
import { Clock, Effect, Stream } from "effect"
import type { Lease } from "../../clients/Lease.ts"
import { microsecondsFrom } from "../../domain/instant.ts"
import { isFinished, type ReindexJob } from "../../domain/ReindexJob.ts"
import { ReindexJobBucket, ReindexJobs } from "../../store/ReindexJobs.ts"
import { isGone } from "./jobStatus.ts"
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
            for (const job of update.policies) known.set(job.metadata.name, job)
          } else if (update.policy === undefined) known.delete(update.name)
          else known.set(update.name, update.policy)
        })
      ),
      Effect.andThen(Effect.never)
    )
    const work = Effect.gen(function* () {
      const next = oldest([...known.values()])
      if (next === undefined) return yield* Effect.sleep(lookEvery)
      // It ends at once when the job is deleted, whatever it waits for.
      yield* Effect.raceFirst(runJob(next, lease), untilGone(known, next))
    }).pipe(Effect.forever)
    const expire = Effect.suspend(() => Effect.forEach([...known.values()], deleteExpired, { discard: true })).pipe(
      Effect.andThen(Effect.sleep("1 second")),
      Effect.forever
    )
    return yield* Effect.all([follow, work, expire], { concurrency: "unbounded" }).pipe(Effect.andThen(Effect.never))
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

const deleteExpired = (job: ReindexJob) =>
  Effect.gen(function* () {
    const completed = microsecondsFrom(job.status?.completedAt ?? "")
    const seconds = job.spec.ttlSecondsAfterFinished
    if (completed === undefined || seconds === undefined || !isFinished(job)) return
    const now = yield* Clock.currentTimeMillis
    if (now < Number(completed / 1000n) + seconds * 1000) return
    const { name, resourceVersion = "0" } = job.metadata
    yield* (yield* ReindexJobBucket).delete(name, resourceVersion)
    yield* Effect.logInfo("a reindex job is deleted: its time after its end has passed", { job: name })
  }).pipe(
    // Somebody else deleted or changed it, or the store is away: it is looked at again.
    Effect.ignore
  )
