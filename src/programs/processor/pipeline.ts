/**
 * Records and Events to activities, by the policies of this moment.
 *
 * At least once, unordered between batches. A message is acknowledged after its activity, or its dead letter, is in the
 * bus. Evaluation is plain functions over a batch; only publishing is an effect.
 */
import { Clock, Duration, Effect, Metric, Result } from "effect"
import {
  type Delivery,
  Nats,
  NatsError,
  type OutgoingMessage,
  type PublishAck,
  type StoredMessage
} from "../../clients/nats/Nats.ts"
import { policyFailed } from "../../domain/deadLetter.ts"
import { activityVersion } from "../../domain/identity.ts"
import * as streams from "../../domain/streams.ts"
import { anchorMark, headerNames, type Mark } from "../../domain/streams.ts"
import { subjectToken } from "../../domain/subject.ts"
import { tenantFromHeader, tenantHeader, type Tenant } from "../../domain/Tenant.ts"
import { auditRecordFrom, auditRequestFrom } from "../../normalise/auditRecordFrom.ts"
import { withOutlines } from "../../normalise/bodies.ts"
import { kubernetesEventFromText } from "../../normalise/kubernetesEventFrom.ts"
import type { Unreadable } from "../../normalise/Unreadable.ts"
import { PolicyCache } from "../../process/PolicyCache.ts"
import type { Evaluation, PolicySet } from "../../process/PolicySet.ts"
import { counterFamily, secondsBoundaries } from "../../runtime/Metrics.ts"
import type { BatchTraces } from "../batchTraces.ts"
import { consumeBatches } from "../consumeBatches.ts"
import { deadLetterOf } from "../deadLetterOf.ts"

/**
 * About 400 KB of records. Three times as many wait at most: they are done before the garbage collector has looked at
 * them twice, which is every 8 MB of objects, some 600 records. With 512 in a batch they grow old, for 70 MB more.
 *
 * @decision 0031-what-waits-dies-young
 */
const batchMax = 128
/** A watch shall see an activity well within a quarter of a second. */
const batchWait = Duration.millis(20)
/** One batch waits for its confirmations while the next is evaluated. */
const batchesInFlight = 2
/** One more is read meanwhile. */
const ackPendingMax = batchMax * (batchesInFlight + 1)

/**
 * How long records are evaluated in one go; one more may be under way, whose budget allows about 30 ms. By time, not by
 * number: in `up` others take turns of tens of milliseconds, and few records between them would fall behind for ever.
 */
const turnMillisMax = 20

export interface ProcessorOptions {
  readonly defaultTenant: Tenant
}

/** What became of one message. */
export type Outcome =
  | { readonly _tag: "Activity"; readonly message: OutgoingMessage }
  | { readonly _tag: "NoActivity"; readonly reason: string }
  | { readonly _tag: "DeadLetter"; readonly message: OutgoingMessage }

/** received = published + duplicate + filtered + dead_letter + what is in flight. */
const received = Metric.counter("activity_processor_received_total", {
  description: "Messages received, deliveries after the first included",
  incremental: true
})
const outcomes = counterFamily("activity_processor_messages_total", "Messages by what became of them", "outcome", [
  "published",
  "duplicate",
  "filtered",
  "dead_letter"
])
const batchSeconds = Metric.histogram("activity_processor_batch_seconds", {
  description: "Time until what a batch gave was in the bus",
  boundaries: secondsBoundaries
})

/** Runs for ever. */
export const process = (options: ProcessorOptions) =>
  Effect.forEach(
    [streams.auditEvents.name, streams.miloEvents.name],
    (stream) =>
      Effect.gen(function* () {
        const nats = yield* Nats
        const told = new Set<string>()
        const consumer = yield* nats.consumer({ stream, durable: "processor", ackPendingMax })
        return yield* consumeBatches({
          name: `${stream} to activities`,
          span: "processor.batch",
          consumer,
          batchMax,
          batchWait,
          inFlight: batchesInFlight,
          handle: (batch, traces) => processBatch(options, told, batch, traces)
        })
      }),
    { concurrency: "unbounded" }
  )

/**
 * Its generator function is made once. V8 gives each that is called an object of the old generation, which leads to
 * whatever the function closes over: made for a batch, it keeps the batch until the next major collection.
 */
const processBatch = Effect.fnUntraced(function* (
  options: ProcessorOptions,
  told: Set<string>,
  batch: ReadonlyArray<Delivery>,
  traces: BatchTraces
) {
  const cache = yield* PolicyCache
  yield* Metric.update(received, batch.length)
  const results: Array<{ readonly delivery: Delivery; readonly outcome: Outcome }> = []
  const clock = yield* Clock.Clock
  let turnMillis = clock.currentTimeMillisUnsafe()
  for (const delivery of batch) {
    results.push({ delivery, outcome: evaluateMessage(cache.current(), options, delivery) })
    // Whatever rules cost, probes and acknowledgements are not kept waiting for a whole batch.
    if (clock.currentTimeMillisUnsafe() - turnMillis < turnMillisMax) continue
    yield* Effect.yieldNow
    turnMillis = clock.currentTimeMillisUnsafe()
  }
  const toPublish = results.flatMap(({ delivery, outcome }) =>
    outcome._tag === "NoActivity" ? [] : [{ delivery, message: traces.passOn(delivery, outcome.message) }]
  )
  const [took, stored] = yield* Effect.timed(publishOrSetAside(toPublish))
  const duplicates = stored.filter((ack) => ack.duplicate).length
  // A dead letter that was known counts as a duplicate too: nothing was stored.
  const deadLetters = stored.filter((ack) => ack.stream === streams.deadLetters.name && !ack.duplicate).length
  yield* Metric.update(outcomes.published, stored.length - duplicates - deadLetters)
  yield* Metric.update(outcomes.duplicate, duplicates)
  yield* Metric.update(outcomes.dead_letter, deadLetters)
  yield* Metric.update(outcomes.filtered, batch.length - toPublish.length)
  for (const failure of failuresToTell(toPublish, told)) {
    yield* Effect.logWarning(
      "a policy fails; what it fails on waits in the dead letters until it is corrected",
      failure
    )
  }
  yield* Metric.update(batchSeconds, Duration.toSeconds(took))
  for (const { delivery, outcome } of results) traces.count(delivery, countedAs[outcome._tag])
})

/** What became of a message, on the span of its trace. */
const countedAs = { Activity: "activities", DeadLetter: "dead_letters", NoActivity: "without_activity" } as const

/**
 * What to say of rules that fail: each once, as its policy is now. Dead letters alone would go unseen.
 *
 * @param told what was said before; few, as policies are
 */
const failuresToTell = (publications: ReadonlyArray<Publication>, told: Set<string>) =>
  publications.flatMap(({ message: { headers } }) => {
    const policy = headers?.[headerNames.policy] ?? ""
    if (policy === "") return []
    const rule = headers?.[headerNames.rule] ?? ""
    const key = `${policy}/${rule}/${headers?.[headerNames.generation] ?? ""}`
    if (told.has(key)) return []
    told.add(key)
    return [{ policy, rule, cause: headers?.[headerNames.cause] ?? "" }]
  })

interface Publication {
  readonly delivery: Delivery
  readonly message: OutgoingMessage
}

/**
 * Publishes all. What the bus will never take (a sentence larger than a message may be) becomes a dead letter, alone.
 *
 * @fails NatsError what may succeed later; then all of it is tried again, with the same ids
 */
const publishOrSetAside = Effect.fnUntraced(function* (publications: ReadonlyArray<Publication>) {
  if (publications.length === 0) return []
  const nats = yield* Nats
  const stored: Array<PublishAck> = []
  const letters: Array<OutgoingMessage> = []
  const results = yield* nats.publishEach(publications.map(({ message }) => message))
  for (const [index, result] of results.entries()) {
    const publication = publications[index]
    if (!(result instanceof NatsError)) stored.push(result)
    else if (result.retryable || publication === undefined) return yield* result
    else letters.push(deadLetterOf(publication.delivery, { ...refused, cause: result.reason._tag }))
  }
  return letters.length === 0 ? stored : [...stored, ...(yield* nats.publish(letters))]
})

const refused = { program: "processor", reason: "refused" }

const decoder = new TextDecoder()

/** One message of AUDIT_EVENTS or MILO_EVENTS, or a dead letter that was one. */
export const evaluateMessage = (policies: PolicySet, options: ProcessorOptions, message: StoredMessage): Outcome =>
  isEvent(message) ? evaluateEvent(policies, message) : evaluateRecord(policies, options, message)

const deadEvents = `dead.${subjectToken(streams.miloEvents.name)}.`

/** By its stream where that tells it: the subject would have to be decoded. */
const isEvent = (message: StoredMessage): boolean =>
  message.stream === streams.deadLetters.name
    ? message.subject.startsWith(deadEvents)
    : message.stream === streams.miloEvents.name

const evaluateRecord = (policies: PolicySet, options: ProcessorOptions, message: StoredMessage): Outcome => {
  const { body } = message
  const request = auditRequestFrom(body)
  const asked = request === undefined ? "bodies" : policies.partsAsked(request)
  if (typeof asked === "object") return { _tag: "NoActivity", reason: asked.reason }
  const text = decoder.decode(body)
  const origin = { cluster: message.header(headerNames.cluster), defaultTenant: options.defaultTenant }
  const outlined = asked === "outlines" ? auditRecordFrom(withOutlines(text), origin) : undefined
  // A key that stands again behind the bodies can make it another request, to which other rules are asked.
  const isEnough =
    outlined !== undefined && Result.isSuccess(outlined) && policies.partsAsked(outlined.success) !== "bodies"
  const read = isEnough ? outlined : auditRecordFrom(text, origin)
  if (Result.isFailure(read)) return unreadable(message, read.failure)
  return outcomeFrom(message, policies.evaluateAudit(read.success), read.success.tenant)
}

const evaluateEvent = (policies: PolicySet, message: StoredMessage): Outcome => {
  const told = message.header(headerNames.mark)
  if (told === anchorMark) return { _tag: "NoActivity", reason: "it is no fact" }
  // What was told of it stays true.
  if (told === "deleted") return { _tag: "NoActivity", reason: "the Event was deleted" }
  const tenant = tenantFromHeader(message.header(headerNames.tenant))
  const read = kubernetesEventFromText(decoder.decode(message.body), {
    cluster: message.header(headerNames.cluster),
    tenant,
    order: message.header(headerNames.order)
  })
  if (Result.isFailure(read)) return unreadable(message, read.failure)
  const mark: Mark = told === "modified" ? "modified" : "added"
  return outcomeFrom(message, policies.evaluateEvent(read.success, mark), tenant)
}

const unreadable = (message: StoredMessage, { field, reason }: Unreadable): Outcome => ({
  _tag: "DeadLetter",
  message: deadLetterOf(message, { program: "processor", reason: "unreadable", cause: `${field}: ${reason}` })
})

const outcomeFrom = (message: StoredMessage, evaluation: Evaluation, tenant: Tenant): Outcome => {
  switch (evaluation._tag) {
    case "NotMatched":
      return { _tag: "NoActivity", reason: evaluation.reason }
    case "Failed":
      return {
        _tag: "DeadLetter",
        message: deadLetterOf(message, {
          program: "processor",
          reason: policyFailed,
          cause:
            `${evaluation.position.expression}, line ${evaluation.position.line}, ` +
            `column ${evaluation.position.column}: ${evaluation.cause}`,
          policy: evaluation.policy,
          generation: evaluation.generation,
          rule: evaluation.rule
        })
      }
    case "Matched":
      return {
        _tag: "Activity",
        message: {
          subject: evaluation.subject,
          id: activityVersion(evaluation.key, "live", evaluation.sourceVersion, "", evaluation.json),
          body: Buffer.from(evaluation.json),
          headers: {
            [headerNames.cluster]: message.header(headerNames.cluster),
            [headerNames.tenant]: tenantHeader(tenant),
            [headerNames.mark]: evaluation.mark,
            [headerNames.order]: evaluation.order.toString()
          }
        }
      }
  }
}
