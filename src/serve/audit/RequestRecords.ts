/**
 * What is asked of this API becomes audit records too: who read, who changed what.
 *
 * A read is answered whatever becomes of its record: while the bus is away, records wait in memory, and those that find
 * no room are dropped and counted. A change is not begun while there is no room for its record; its answer waits for the
 * bus for {@link changeWait}, then it is given all the same, and the record goes on waiting. Records that wait are lost
 * with the process.
 *
 * Publishing a record is no request, so none is made of it.
 *
 * @decision 0023-own-requests
 */
import { type Cause, Context, Deferred, Effect, Fiber, Layer, Metric, Queue, type Scope } from "effect"
import { Nats, type OutgoingMessage } from "../../clients/nats/Nats.ts"
import { Health } from "../../runtime/Health.ts"
import { headerNames } from "../../domain/streams.ts"
import { counterFamily } from "../../runtime/Metrics.ts"
import { currentTraceparent } from "../../runtime/Tracing.ts"
import { type ApiFailure, unavailable } from "../ApiFailure.ts"
import type { User } from "../auth/Authenticator.ts"
import type { RecordedRequests } from "./recordedRequests.ts"
import { type AnsweredRequest, isChange, requestRecord } from "./requestRecord.ts"

/** What waits for the bus, in memory. A record has about 1 KiB, with a body up to 20. Reads may fill half of it. */
const waitingSizeBytesMax = 16 * 2 ** 20

/** Kept free for the record of a change that has begun. */
const reservedSizeBytes = 32 * 1_024

/** Records of one publish: half a MiB. */
const batchRecordsMax = 500

const changeWait = "2 seconds"
const retryPause = "1 second"
/** Records that wait have so long when the server stops. */
const flushWait = "3 seconds"

const records = counterFamily(
  "activity_apiserver_request_records_total",
  "Audit records of this API's own requests, by what became of them",
  "outcome",
  ["published", "dropped", "refused"]
)
const waitingBytes = Metric.gauge("activity_apiserver_request_records_waiting_bytes", {
  description: "Audit records of own requests that wait for the bus"
})

interface Waiting {
  readonly message: OutgoingMessage
  readonly settled: Deferred.Deferred<void>
}

export class RequestRecords extends Context.Service<
  RequestRecords,
  {
    /**
     * Keeps room for the record of a change until the scope ends.
     *
     * @fails ApiFailure ServiceUnavailable when there is none
     */
    readonly reserve: (user: User) => Effect.Effect<void, ApiFailure, Scope.Scope>
    /** Ends when the record is on its way; of a change, when the bus has it, or {@link changeWait} has passed. */
    readonly keep: (answered: AnsweredRequest) => Effect.Effect<void>
  }
>()("activity/serve/audit/RequestRecords") {
  static readonly layer = (options: {
    readonly cluster: string
    readonly recorded: RecordedRequests
  }): Layer.Layer<RequestRecords, never, Health | Nats> =>
    Layer.effect(
      RequestRecords,
      Effect.gen(function* () {
        const nats = yield* Nats
        const health = yield* Health
        const queue = yield* Queue.unbounded<Waiting, Cause.Done>()
        let heldBytes = 0
        let problem: string | undefined
        yield* health.register({ name: "request-records", role: "informative", problem: () => problem })
        const hold = (bytes: number) =>
          Effect.suspend(() => {
            heldBytes += bytes
            return Metric.update(waitingBytes, heldBytes)
          })
        const tell = (now: string | undefined) =>
          Effect.suspend(() => {
            const before = problem
            problem = now
            if (before === now) return Effect.void
            return now === undefined
              ? Effect.logInfo("requests of the API are recorded again")
              : Effect.logWarning("records of the API's requests wait", { problem: now })
          })
        const settle = ({ message, settled }: Waiting, outcome: keyof typeof records) =>
          Effect.all(
            [Metric.update(records[outcome], 1), hold(-message.body.length), Deferred.succeed(settled, undefined)],
            {
              discard: true
            }
          )
        /** Until each of them is stored, or never will be. */
        const publish = (batch: ReadonlyArray<Waiting>): Effect.Effect<void> =>
          Effect.gen(function* () {
            let left = batch
            while (left.length > 0) {
              const outcomes = yield* nats.publishEach(left.map(({ message }) => message))
              const again: Array<Waiting> = []
              for (const [index, waiting] of left.entries()) {
                const outcome = outcomes[index]
                if (outcome === undefined || !("reason" in outcome)) yield* settle(waiting, "published")
                else if (outcome.retryable) again.push(waiting)
                else {
                  yield* Effect.logError("a record of a request of the API is refused by the bus", outcome)
                  yield* settle(waiting, "refused")
                }
              }
              left = again
              yield* tell(left.length === 0 ? undefined : "the bus does not take them")
              if (left.length > 0) yield* Effect.sleep(retryPause)
            }
          })
        const publishing = yield* Queue.takeBetween(queue, 1, batchRecordsMax).pipe(
          Effect.flatMap(publish),
          Effect.forever,
          // The queue has ended, and all of it is published.
          Effect.ignore,
          Effect.forkScoped
        )
        // Runs before that fiber is interrupted.
        yield* Effect.addFinalizer(() =>
          Queue.end(queue).pipe(
            Effect.andThen(Effect.interruptible(Fiber.await(publishing))),
            Effect.timeoutOption(flushWait)
          )
        )
        const covers = (user: User): boolean =>
          options.recorded === "all" || (options.recorded === "direct" && user.isPassedOn !== true)
        return RequestRecords.of({
          reserve: (user) =>
            covers(user)
              ? Effect.acquireRelease(
                  Effect.suspend(() =>
                    heldBytes + reservedSizeBytes > waitingSizeBytesMax
                      ? Effect.fail(
                          unavailable("changes are recorded, and too many records wait for the bus: try again")
                        )
                      : hold(reservedSizeBytes)
                  ),
                  () => hold(-reservedSizeBytes)
                )
              : Effect.void,
          keep: (answered) =>
            Effect.gen(function* () {
              if (!covers(answered.user)) return
              const made = requestRecord(options.cluster, answered)
              const traceparent = yield* currentTraceparent
              const message =
                traceparent === undefined
                  ? made
                  : { ...made, headers: { ...made.headers, [headerNames.trace]: traceparent } }
              const change = isChange(answered.info)
              if (!change && heldBytes + message.body.length > waitingSizeBytesMax / 2) {
                return yield* Metric.update(records.dropped, 1)
              }
              yield* hold(message.body.length)
              const settled = yield* Deferred.make<void>()
              yield* Queue.offer(queue, { message, settled })
              if (change) yield* Deferred.await(settled).pipe(Effect.interruptible, Effect.timeoutOption(changeWait))
            })
        })
      })
    )
}
