/**
 * Webhook to bus: each record of a batch durable, in the bus or in the spool, before the batch is answered.
 */
import { Duration, Effect, Metric } from "effect"
import { Intake } from "../../bus/Intake.ts"
import { Nats } from "../../clients/nats/Nats.ts"
import { counterFamily, Metrics, secondsBoundaries } from "../../runtime/Metrics.ts"
import { currentTraceparent } from "../../runtime/Tracing.ts"
import { type BatchResult, IntakeRefused } from "../../sources/collector/AuditWebhook.ts"
import { untilHealed } from "../consumeBatches.ts"
import { redactionBy } from "../../normalise/redaction.ts"
import type { RedactionRule } from "../../normalise/redactionRule.ts"
import { type Batch, batchFrom, type BatchOptions } from "./batch.ts"
import type { DropRule } from "./dropRules.ts"

const records = counterFamily("activity_collector_records_total", "Records by what became of them", "outcome", [
  "published",
  "duplicate",
  "spooled",
  "filtered",
  "unreadable",
  "refused"
])
const truncated = counterFamily(
  "activity_collector_truncated_total",
  "Records without their bodies, by who left them out: the API server, or this collector because they were larger than a message may be",
  "by",
  ["apiserver", "collector"]
)
const dropped = Metric.counter("activity_collector_dropped_total", {
  description: "Records that a rule of --drop left out, by rule",
  incremental: true
})
const redacted = Metric.counter("activity_collector_redacted_total", {
  description: "Secrets that were replaced",
  incremental: true
})
const auditIDsCut = Metric.counter("activity_collector_audit_ids_cut_total", {
  description: "Records whose audit ID was longer than is kept",
  incremental: true
})
const acceptSeconds = Metric.histogram("activity_collector_accept_seconds", {
  description: "Time until a batch was durable",
  boundaries: secondsBoundaries
})

const spoolBytes = Metric.gauge("activity_collector_spool_bytes", { description: "What the spool holds" })
const spoolLimitBytes = Metric.gauge("activity_collector_spool_limit_bytes", {
  description: "What the spool may hold"
})
const spoolMessages = Metric.gauge("activity_collector_spool_messages", { description: "Messages in the spool" })
const intakeMessages = Metric.gauge("activity_collector_intake_messages", {
  description: "Messages of this process by what became of them: received = the sum of all others but replayed"
})

/** The next try of a batch that was refused. kube-apiserver keeps 10,000 records and gives up after about 80 s. */
const retryAfterSeconds = 1

/** @fails IntakeRefused when neither bus nor spool takes the batch now */
export const acceptBatch = (options: Omit<BatchOptions, "cluster" | "messageSizeBytesMax" | "traceparent">) =>
  Effect.gen(function* () {
    const nats = yield* Nats
    const intake = yield* Intake
    /** Records and dead letters go apart, so that what is told of the records is of them alone. */
    const publishAll = (batch: Batch) =>
      (batch.deadLetters.length === 0 ? Effect.void : intake.publish(batch.deadLetters)).pipe(
        Effect.andThen(intake.publish(batch.messages))
      )
    return Effect.fn("collector.acceptBatch")(function* (cluster: string, items: ReadonlyArray<string>) {
      const batch = batchFrom(items, {
        ...options,
        cluster,
        messageSizeBytesMax: nats.messageSizeBytesMax(),
        traceparent: yield* currentTraceparent
      })
      yield* Effect.annotateCurrentSpan({
        "activity.records": items.length,
        "activity.accepted": batch.messages.length,
        "activity.filtered": batch.filtered,
        "activity.unreadable": batch.unreadableCount
      })
      const [took, taken] = yield* Effect.timed(publishAll(batch)).pipe(
        Effect.tapError(() => Metric.update(records.refused, items.length)),
        Effect.mapError((error) => new IntakeRefused({ state: error.state, retryAfterSeconds }))
      )
      yield* Metric.update(records.published, taken.published)
      yield* Metric.update(records.duplicate, taken.duplicates)
      yield* Metric.update(records.spooled, taken.spooled)
      yield* Metric.update(records.filtered, batch.filtered)
      yield* Metric.update(records.unreadable, batch.unreadableCount)
      yield* Metric.update(truncated.apiserver, batch.truncatedBefore)
      yield* Metric.update(truncated.collector, batch.truncated)
      yield* Metric.update(redacted, batch.redacted)
      for (const [rule, count] of batch.dropped) {
        yield* Metric.update(Metric.withAttributes(dropped, { rule }), count)
      }
      yield* Metric.update(auditIDsCut, batch.auditIDsCut)
      yield* Metric.update(acceptSeconds, Duration.toSeconds(took))
      yield* Effect.annotateCurrentSpan({
        "activity.duplicates": taken.duplicates,
        "activity.spooled": taken.spooled,
        "activity.refused": taken.refused
      })
      return {
        accepted: batch.messages.length,
        spooled: taken.spooled,
        filtered: batch.filtered,
        unreadable: batch.unreadable,
        unreadableCount: batch.unreadableCount
      } satisfies BatchResult
    })
  })

/** How the settings say that records are to be treated. */
export const recordOptions = (settings: {
  readonly defaultTenant: BatchOptions["defaultTenant"]
  readonly stages: BatchOptions["stages"]
  readonly redact: ReadonlyArray<RedactionRule>
  readonly drop: ReadonlyArray<DropRule>
}) => ({
  defaultTenant: settings.defaultTenant,
  stages: settings.stages,
  redaction: redactionBy(settings.redact),
  drop: settings.drop
})

/** What the spool holds, and the conservation count of the intake, at each scrape. */
export const observeIntake = Effect.gen(function* () {
  const intake = yield* Intake
  const metrics = yield* Metrics
  yield* metrics.onScrape(
    Effect.gen(function* () {
      const spool = intake.spool()
      yield* Metric.update(spoolBytes, spool?.sizeBytes ?? 0)
      yield* Metric.update(spoolLimitBytes, spool?.sizeBytesMax ?? 0)
      yield* Metric.update(spoolMessages, spool?.messages ?? 0)
      for (const [outcome, count] of Object.entries(intake.counts())) {
        yield* Metric.update(Metric.withAttributes(intakeMessages, { outcome }), count)
      }
    })
  )
})

/** Brings what was spooled to the bus, for ever, whatever the disk does meanwhile. */
export const replaySpool = Effect.flatMap(Intake, (intake) => intake.replay).pipe(
  Effect.tapError((error) => Effect.logWarning("the spool waits", error)),
  Effect.retry(untilHealed)
)
