/**
 * Webhook to bus: each record of a batch durable, in the bus or in the spool, before the batch is answered.
 */
import { Duration, Effect, Metric } from "effect"
import { IntakeRefused, type BatchResult } from "../../sources/collector/AuditWebhook.ts"
import { Intake } from "../../bus/Intake.ts"
import { Nats } from "../../clients/nats/Nats.ts"
import { counterFamily, secondsBoundaries } from "../../runtime/Metrics.ts"
import { batchFrom, type BatchOptions } from "./batch.ts"

const records = counterFamily("activity_collector_records_total", "Records by what became of them", "outcome", [
  "published",
  "spooled",
  "filtered",
  "unreadable",
  "refused"
])
const truncated = Metric.counter("activity_collector_truncated_total", {
  description: "Records that lost their bodies because they were larger than a message may be",
  incremental: true
})
const acceptSeconds = Metric.histogram("activity_collector_accept_seconds", {
  description: "Time until a batch was durable",
  boundaries: secondsBoundaries
})

/** The next try of a batch that was refused. kube-apiserver keeps 10,000 records and gives up after about 80 s. */
const retryAfterSeconds = 1

/** @fails IntakeRefused when neither bus nor spool takes the batch now */
export const acceptBatch = (
  options: Omit<BatchOptions, "cluster" | "messageSizeBytesMax">
): Effect.Effect<
  (cluster: string, items: ReadonlyArray<string>) => Effect.Effect<BatchResult, IntakeRefused>,
  never,
  Intake | Nats
> =>
  Effect.gen(function*() {
    const intake = yield* Intake
    const nats = yield* Nats
    return Effect.fn("collector.acceptBatch")(function*(cluster: string, items: ReadonlyArray<string>) {
      const batch = batchFrom(items, { ...options, cluster, messageSizeBytesMax: nats.messageSizeBytesMax() })
      const messages = [...batch.messages, ...batch.deadLetters]
      const [took, taken] = yield* Effect.timed(intake.publish(messages)).pipe(
        Effect.tapError(() => Metric.update(records.refused, items.length)),
        Effect.mapError((error) => new IntakeRefused({ state: error.state, retryAfterSeconds }))
      )
      yield* Metric.update(records.published, taken.published)
      yield* Metric.update(records.spooled, taken.spooled)
      yield* Metric.update(records.filtered, batch.filtered)
      yield* Metric.update(records.unreadable, batch.unreadable.length)
      yield* Metric.update(truncated, batch.truncated)
      yield* Metric.update(acceptSeconds, Duration.toSeconds(took))
      return {
        accepted: batch.messages.length,
        spooled: taken.spooled,
        filtered: batch.filtered,
        unreadable: batch.unreadable
      }
    })
  })
