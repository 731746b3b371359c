/**
 * Audit log to bus: each line durable, in the bus or in the spool, before the position moves past it. At least once; a
 * record that comes again has the same id.
 */
import { Effect, Metric, Schedule, Stream } from "effect"
import { Health } from "../../runtime/Health.ts"
import { Metrics } from "../../runtime/Metrics.ts"
import { traced } from "../../runtime/Tracing.ts"
import { type AuditLog, openAuditLog } from "../../sources/collector/AuditLog.ts"
import type { BatchResult, IntakeRefused } from "../../sources/collector/AuditWebhook.ts"
import type { LogBatch } from "../../sources/collector/LogFollower.ts"
import { type LogPosition, readPosition, savePosition } from "../../sources/collector/logPosition.ts"

const lagBytes = Metric.gauge("activity_collector_file_lag_bytes", {
  description: "What the audit log holds that was not read; of compressed files what they take on disk"
})
const rotations = Metric.counter("activity_collector_file_rotations_total", {
  description: "Files of the audit log that were read to their end",
  incremental: true
})
const gaps = Metric.counter("activity_collector_file_gaps_total", {
  description: "Times that a part of the audit log was gone before it was read",
  incremental: true
})

/** Batches of at most 1 MiB that are read while one is being stored. */
const batchesAhead = 2
/** Between two tries of a batch that neither bus nor spool takes. */
const refusedPause = "1 second"
/** What is read again after a kill: this much of a log, at most. */
const saveEvery = "1 second"

export interface FileOptions {
  readonly path: string
  /** Where the position is kept. */
  readonly positionPath: string
  readonly cluster: string
  readonly accept: (cluster: string, items: ReadonlyArray<string>) => Effect.Effect<BatchResult, IntakeRefused>
}

/** Runs for ever. */
export const publishFile = (options: FileOptions) =>
  Effect.gen(function* () {
    const log = yield* openAuditLog({ path: options.path, position: yield* readPosition(options.positionPath) })
    yield* observe(log)
    const moved = yield* keptPosition(options.positionPath)
    const publish = ({ lines, position }: LogBatch) =>
      traced(
        "collector.file",
        { kind: "internal", attributes: { "activity.cluster": options.cluster } },
        // The file keeps what comes meanwhile.
        options.accept(options.cluster, lines).pipe(Effect.retry(Schedule.spaced(refusedPause)))
      ).pipe(Effect.andThen(Effect.sync(() => moved(position))))
    return yield* Stream.fromEffectRepeat(log.next).pipe(
      Stream.buffer({ capacity: batchesAhead }),
      Stream.mapEffect(publish),
      Stream.runDrain
    )
  }).pipe(Effect.scoped)

const observe = (log: AuditLog) =>
  Effect.gen(function* () {
    const health = yield* Health
    const metrics = yield* Metrics
    yield* health.register({ name: "audit log", role: "ready", problem: log.problem })
    let told = { rotations: 0, gaps: 0 }
    yield* metrics.onScrape(
      Effect.gen(function* () {
        const counts = { ...log.counts() }
        yield* Metric.update(lagBytes, yield* log.lagBytes)
        yield* Metric.update(rotations, counts.rotations - told.rotations)
        yield* Metric.update(gaps, counts.gaps - told.gaps)
        told = counts
      })
    )
  })

/** @returns what to call when everything before a position is durable; it is on disk within a second, and at the end */
const keptPosition = (path: string) =>
  Effect.gen(function* () {
    let position: LogPosition | undefined
    let saved: LogPosition | undefined
    let warned = false
    const save = Effect.suspend(() => {
      const now = position
      if (now === undefined || now === saved) return Effect.void
      return savePosition(path, now).pipe(
        Effect.tap(
          Effect.sync(() => {
            saved = now
            warned = false
          })
        ),
        Effect.catch((error) => {
          if (warned) return Effect.void
          warned = true
          return Effect.logWarning("the position in the audit log is not kept", error)
        })
      )
    }).pipe(Effect.uninterruptible)
    yield* Effect.addFinalizer(() => save)
    yield* save.pipe(Effect.repeat(Schedule.spaced(saveEvery)), Effect.forkScoped)
    return (next: LogPosition): void => {
      position = next
    }
  })
