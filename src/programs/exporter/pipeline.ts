/**
 * From the watch to the bus, in order, with a checkpoint behind what the bus has.
 *
 * At least once: what was published behind the last checkpoint is published again after a crash, with the same ids.
 */
import { Clock, Effect, Metric, Stream } from "effect"
import { Intake, type IntakeResult } from "../../bus/Intake.ts"
import { follow } from "../../clients/kube/follow.ts"
import { type Lease, whenHeld } from "../../clients/Lease.ts"
import { Nats } from "../../clients/nats/Nats.ts"
import { secondsTimestampText } from "../../domain/instant.ts"
import type { Tenant } from "../../domain/Tenant.ts"
import type { Redaction } from "../../normalise/redaction.ts"
import { Health } from "../../runtime/Health.ts"
import { counterFamily, secondsBoundaries } from "../../runtime/Metrics.ts"
import { traced } from "../../runtime/Tracing.ts"
import { type CheckpointState, makeCheckpoint } from "../../sources/exporter/Checkpoint.ts"
import { eventsPath } from "../../sources/exporter/eventsPath.ts"
import { namespaceTenants } from "../../sources/exporter/namespaceTenants.ts"
import { type PublishedSight, publishedSince } from "../../sources/exporter/publishedSince.ts"
import { Sights } from "../../sources/exporter/Sights.ts"
import { untilHealed } from "../consumeBatches.ts"
import { type Batch, batchFrom, namespacesIn } from "./batch.ts"
import { inCurrentTrace } from "../inCurrentTrace.ts"
import { saveSights } from "./saveSights.ts"

const events = counterFamily(
  "activity_exporter_events_total",
  "Sights of Events by what became of them: received = the sum of all others and what is in flight",
  "outcome",
  ["received", "published", "duplicate", "unchanged", "deleted", "unreadable", "refused"]
)
const redacted = Metric.counter("activity_exporter_redacted_total", {
  description: "Places in Events that held something secret",
  incremental: true
})
const gaps = Metric.counter("activity_exporter_gaps_total", {
  description:
    "Times that nobody watched for longer than the API server keeps Events, or that its resourceVersions went back",
  incremental: true
})
const inFlight = Metric.gauge("activity_exporter_in_flight", { description: "Sights that are on their way to the bus" })
const living = Metric.gauge("activity_exporter_living_events", { description: "Events that are known to be alive" })
const lagSeconds = Metric.histogram("activity_exporter_lag_seconds", {
  description: "From when the reporter saw an Event until the bus had it",
  boundaries: secondsBoundaries
})

/** Steps that are published at once; a step is at most a page of 500, or 64 KiB of a watch. More wait in the API server. */
const stepsInFlightMax = 4
/** Namespaces of one step that the API server is asked for at once. */
const questionsAtOnceMax = 8
/** The bus has not taken a step for so long: this replica does not do its work. */
const stuckMillisMax = 30_000

export interface ExportOptions {
  readonly cluster: string
  readonly defaultTenant: Tenant
  readonly eventRetentionMillis: number
  readonly redaction: Redaction
  readonly lease: Lease
  /** Written by each term for {@link observeTerm}. */
  readonly term: TermState
}

/** What the present term holds, for metrics. */
export interface TermState {
  inFlight: () => number
  living: () => number
}

export const observeTerm = (term: TermState) =>
  Effect.andThen(Metric.update(inFlight, term.inFlight()), Metric.update(living, term.living()))

/** One term: from taking over the checkpoint until it is interrupted. */
export const exportEvents = (options: ExportOptions) =>
  Effect.gen(function* () {
    const nats = yield* Nats
    const intake = yield* Intake
    const clock = yield* Clock.Clock
    const now = () => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
    /** Nobody publishes, or saves, who may have lost the lease meanwhile: the lease's end interrupts whoever waits here. */
    const guard = whenHeld(options.lease)

    const health = yield* Health
    // Until the Events are followed, which says it under this name.
    yield* Effect.acquireRelease(
      health.register({ name: "events", role: "ready", problem: () => "not listed yet" }),
      () => health.register({ name: "events", role: "ready", problem: () => undefined })
    )
    const checkpoint = yield* makeCheckpoint(options.cluster)
    const { found, published } = yield* Effect.gen(function* () {
      const state = yield* checkpoint.load
      // Without a checkpoint the stream itself says what was published, and whose it is.
      return { found: state, published: yield* publishedSince(options.cluster, state.isFound ? state.sequence : 0) }
    }).pipe(
      Effect.tapError((error) => Effect.logWarning("the checkpoint cannot be read", error)),
      Effect.retry(untilHealed)
    )
    const sights = new Sights(found.sights.values(), published)
    let orderOffset = orderOffsetOf(found, published)
    const tenants = yield* namespaceTenants(options.defaultTenant)
    const path = yield* eventsPath.pipe(
      Effect.tapError((error) => Effect.logWarning("the API server cannot be asked for Events", error)),
      Effect.retry(untilHealed)
    )
    yield* tenants.listed
    yield* Effect.logInfo("exporting", { path, from: found.resourceVersion, living: sights.size })

    /** Steps on their way to the bus, since when, and where the stream ended before. */
    const steps = new Map<Batch, { readonly since: number; readonly sequence: number }>()
    const position = { ...found, orderOffset: orderOffset.toString() }
    const saved = yield* saveSights(checkpoint, sights, published, position, {
      guard,
      lowestInFlight: () => Math.min(...[...steps.values()].map(({ sequence }) => sequence))
    })
    yield* Effect.acquireRelease(
      health.register({ name: "publishing", role: "ready", problem: () => stuck([...steps.values()], now()) }),
      () => health.register({ name: "publishing", role: "ready", problem: () => undefined })
    )
    yield* Effect.acquireRelease(
      Effect.sync(() =>
        Object.assign(options.term, {
          inFlight: () => [...steps.keys()].reduce((sum, batch) => sum + batch.received, 0),
          living: () => sights.size
        })
      ),
      () => Effect.sync(() => Object.assign(options.term, { inFlight: () => 0, living: () => 0 }))
    )

    const publish = (batch: Batch) =>
      Effect.gen(function* () {
        yield* Metric.update(events.received, batch.received)
        const bring = (messages: Batch["messages"]) =>
          guard.pipe(
            Effect.andThen(intake.publish(messages)),
            Effect.tapError((error) => Effect.logDebug("the bus does not take Events", error)),
            Effect.retry(untilHealed)
          )
        if (batch.deadLetters.length > 0) yield* bring(batch.deadLetters)
        if (batch.messages.length > 0)
          yield* count(
            yield* traced(
              "exporter.batch",
              {
                kind: "producer",
                attributes: { "activity.cluster": options.cluster, "activity.messages": batch.messages.length }
              },
              Effect.flatMap(inCurrentTrace(batch.messages), bring)
            )
          )
        yield* countRest(batch)
        return batch
      })

    const exporting = follow(path, { name: "events", role: "ready", resourceVersion: found.resourceVersion }).pipe(
      Stream.mapEffect((followed) =>
        Effect.gen(function* () {
          if (followed._tag === "Listing") yield* tellGap(saved.seenUntilMillis(), options.eventRetentionMillis)
          if (followed._tag === "WentBack") yield* tellWentBack(followed)
          const asked = new Map<string, Tenant>()
          yield* Effect.forEach(
            namespacesIn(followed, sights),
            ([namespace, versions]) =>
              Effect.gen(function* () {
                asked.set(namespace, tenants.known(namespace, versions) ?? (yield* tenants.ask(namespace)))
              }),
            { concurrency: questionsAtOnceMax, discard: true }
          )
          const batch = batchFrom(followed, {
            ...options,
            sights,
            orderOffset,
            messageSizeBytesMax: nats.messageSizeBytesMax(),
            tenantOf: (namespace) => asked.get(namespace) ?? options.defaultTenant
          })
          orderOffset = batch.orderOffset ?? orderOffset
          steps.set(batch, { since: now(), sequence: saved.streamEnd() })
          return batch
        })
      ),
      Stream.mapEffect(publish, { concurrency: stepsInFlightMax }),
      Stream.runForEach((batch) =>
        Effect.sync(() => {
          sights.settle(batch.sights)
          saved.settled(batch)
          steps.delete(batch)
        })
      )
    )
    return yield* Effect.all([exporting, saved.run], { concurrency: "unbounded", discard: true }).pipe(
      Effect.andThen(Effect.never),
      Effect.ensuring(saved.last)
    )
  }).pipe(Effect.scoped)

/** What was published says it too, where there is no checkpoint, or one of before. */
const orderOffsetOf = (found: CheckpointState, published: ReadonlyArray<PublishedSight>): bigint =>
  published.reduce((highest, { order, resourceVersion }) => {
    const offset = /^\d+$/.test(order) && /^\d+$/.test(resourceVersion) ? BigInt(order) - BigInt(resourceVersion) : 0n
    return offset > highest ? offset : highest
  }, BigInt(found.orderOffset))

const stuck = (steps: ReadonlyArray<{ readonly since: number }>, now: number): string | undefined => {
  const seconds = Math.round((now - Math.min(now, ...steps.map(({ since }) => since))) / 1000)
  return seconds * 1000 > stuckMillisMax ? `the bus has not taken the same Events for ${seconds} s` : undefined
}

const count = (taken: IntakeResult) =>
  Effect.gen(function* () {
    yield* Metric.update(events.published, taken.published)
    yield* Metric.update(events.duplicate, taken.duplicates)
    yield* Metric.update(events.refused, taken.refused)
  })

const countRest = (batch: Batch) =>
  Effect.gen(function* () {
    yield* Metric.update(events.unchanged, batch.unchanged)
    yield* Metric.update(events.deleted, batch.deleted)
    yield* Metric.update(events.unreadable, batch.deadLetters.length)
    yield* Metric.update(redacted, batch.redacted)
    if (batch.lastSeen === undefined) return
    const now = yield* Clock.currentTimeMillis
    // A reporter whose clock is ahead has sent nothing from the future.
    yield* Metric.update(lagSeconds, Math.max(0, now - Number(batch.lastSeen / 1000n)) / 1000)
  })

/** A list holds what is alive: what was created and has expired since the watch ended, nobody has seen. */
const tellGap = (seenUntilMillis: number, retentionMillis: number) =>
  Effect.gen(function* () {
    const missedUntilMillis = (yield* Clock.currentTimeMillis) - retentionMillis
    if (seenUntilMillis === 0 || missedUntilMillis <= seenUntilMillis) return
    yield* Metric.update(gaps, 1)
    yield* Effect.logError("Events of this time are missing: nobody watched for longer than they are kept", {
      from: secondsTimestampText(BigInt(seenUntilMillis) * 1000n),
      to: secondsTimestampText(BigInt(missedUntilMillis) * 1000n)
    })
  })

/** What had happened behind the snapshot is not in the list, and nobody knows what of it was never seen. */
const tellWentBack = (versions: { readonly from: string; readonly to: string }) =>
  Effect.andThen(
    Metric.update(gaps, 1),
    Effect.logError("Events may be missing: the API server's resourceVersions went back", {
      from: versions.from,
      to: versions.to
    })
  )
