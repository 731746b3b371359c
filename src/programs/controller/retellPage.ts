/** One page of a reindex: told anew, compared, and what differs published. */
import { Effect, Metric, Result } from "effect"
import { type Lease, whenHeld } from "../../clients/Lease.ts"
import { Nats, NatsError, type OutgoingMessage } from "../../clients/nats/Nats.ts"
import { activityKey } from "../../domain/identity.ts"
import type { ReindexJob } from "../../domain/ReindexJob.ts"
import { headerNames } from "../../domain/streams.ts"
import { tenantHeader } from "../../domain/Tenant.ts"
import { auditRecordFrom } from "../../normalise/auditRecordFrom.ts"
import { kubernetesEventFromText } from "../../normalise/kubernetesEventFrom.ts"
import type { Evaluation, PolicySet } from "../../process/PolicySet.ts"
import { type ReindexMessage, type ReindexOutcome, reindexed } from "../../process/Reindex.ts"
import { counterFamily } from "../../runtime/Metrics.ts"
import { takingTurns } from "../../runtime/takingTurns.ts"
import type { SourceFact, SourceWindow } from "../../store/sourceFacts.ts"
import { readTellings } from "../../store/tellings.ts"
import { inCurrentTrace } from "../inCurrentTrace.ts"
import { untilStored } from "./jobStatus.ts"

const outcomes = counterFamily(
  "activity_controller_reindex_facts_total",
  "Records and Events that reindex jobs had a say in, by what became of them; dry runs included",
  "outcome",
  ["same", "changed", "new", "lost", "error"]
)

export interface PageOptions {
  readonly policies: PolicySet
  readonly lease: Lease
  /** Counted, and nothing published. */
  readonly dryRun: boolean
}

/**
 * Returns when all that differs is in the bus, with how many of each outcome there were.
 *
 * @fails ClickHouseError, NatsError what will not succeed later
 */
export const retellPage = (
  job: ReindexJob,
  window: SourceWindow,
  facts: ReadonlyArray<SourceFact>,
  { dryRun, lease, policies }: PageOptions
) =>
  Effect.gen(function* () {
    const counts: Record<ReindexOutcome, number> = { same: 0, changed: 0, new: 0, lost: 0, error: 0 }
    const [newest, oldest] = [facts[0], facts.at(-1)]
    if (newest === undefined || oldest === undefined) return counts
    const evaluated = yield* takingTurns(facts, (fact) => evaluatedFact(policies, window, fact))
    // After the evaluation: what a live sight told meanwhile is newer, and wins.
    const tellings = yield* readTellings(window, oldest.position.time, newest.position.time).pipe(untilStored)
    const isChosen = (policy: string) => policy !== "" && (job.status?.policies?.includes(policy) ?? true)
    const messages: Array<OutgoingMessage> = []
    for (const fact of evaluated) {
      if (fact === undefined) {
        counts.error += 1
        continue
      }
      const result = reindexed({ ...fact, stored: tellings.get(fact.key) }, isChosen, job.metadata.uid ?? "")
      if (result === undefined) continue
      counts[result.outcome] += 1
      messages.push(...result.messages.map((message) => outgoing(message, fact.order)))
    }
    if (!dryRun) counts.error += yield* published(yield* inCurrentTrace(messages), lease)
    for (const [outcome, count] of Object.entries(counts)) {
      // The keys are those of the counts.
      yield* Metric.update(outcomes[outcome as ReindexOutcome], count)
    }
    return counts
  })

interface EvaluatedFact {
  /** Of its activity, whether it has one or not. */
  readonly key: string
  readonly evaluation: Evaluation
  readonly sourceVersion: string
  /** At the source. */
  readonly order: bigint
}

/** Undefined: what was stored cannot be read any more. */
const evaluatedFact = (
  policies: PolicySet,
  { kind }: SourceWindow,
  { cluster, json, order, tenant }: SourceFact
): EvaluatedFact | undefined => {
  if (kind === "record") {
    const read = auditRecordFrom(json, { cluster, defaultTenant: tenant })
    return Result.isFailure(read)
      ? undefined
      : {
          key: activityKey(cluster, "audit", read.success.key),
          evaluation: policies.evaluateAudit(read.success),
          sourceVersion: read.success.key,
          order: 0n
        }
  }
  const read = kubernetesEventFromText(json, { cluster, tenant, order })
  return Result.isFailure(read)
    ? undefined
    : {
        key: activityKey(cluster, "event", read.success.uid),
        evaluation: policies.evaluateEvent(read.success, "modified"),
        sourceVersion: read.success.version,
        order: read.success.order
      }
}

const outgoing = ({ activity, id, json, mark, subject }: ReindexMessage, order: bigint): OutgoingMessage => ({
  subject,
  id,
  body: Buffer.from(json),
  headers: {
    [headerNames.cluster]: activity.spec.cluster,
    [headerNames.tenant]: tenantHeader(activity.spec.tenant),
    [headerNames.mark]: mark,
    [headerNames.order]: order.toString()
  }
})

/** @returns how many the bus will never take: sentences larger than a message may be */
const published = (messages: ReadonlyArray<OutgoingMessage>, lease: Lease) =>
  Effect.gen(function* () {
    if (messages.length === 0) return 0
    // Nobody publishes who may have lost the lease: its end interrupts whoever waits here.
    yield* whenHeld(lease)
    const nats = yield* Nats
    const results = yield* nats.publishEach(messages)
    const failures = results.filter((result) => result instanceof NatsError)
    const passing = failures.find(({ retryable }) => retryable)
    if (passing !== undefined) return yield* passing
    return failures.length
  }).pipe(untilStored)
