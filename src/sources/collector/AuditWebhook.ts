/**
 * The audit webhook: `POST /audit[/{cluster}]` with an audit.k8s.io/v1 EventList.
 *
 * 200 says that every record is durable. What cannot be taken now is answered at once with 429 or 503 and Retry-After,
 * so that the API server keeps it; what can never be read is set aside with its cause, and the rest goes on.
 *
 * @decision 0009-webhook-answers
 */
import { Effect, Result, Schema } from "effect"
import type { IncomingMessage, ServerResponse } from "node:http"
import { traced } from "../../runtime/Tracing.ts"
import { type BodyRoom, makeBodyRoom } from "./BodyRoom.ts"
import { type BodyTooLarge, type BodyUnreadable, type EncodingUnknown, type NoRoom, readBody } from "./readBody.ts"
import { splitItems } from "./splitItems.ts"

/** Neither bus nor spool takes the batch now. The sender keeps it. */
export class IntakeRefused extends Schema.TaggedError<IntakeRefused>()("IntakeRefused", {
  /** `full`: both hold all they may. `unavailable`: the bus is away and there is no spool. */
  state: Schema.Literals(["full", "unavailable"]),
  retryAfterSeconds: Schema.Number
}) {}

/** As many batches as may be are being stored. */
class TooManyBatches extends Schema.TaggedError<TooManyBatches>()("TooManyBatches", {
  inFlight: Schema.Number
}) {}

/** What became of a batch. Counts are records. */
export interface BatchResult {
  readonly accepted: number
  /** Of the accepted: kept in the local spool until the bus is back. */
  readonly spooled: number
  /** Left out by setting: stages that are not kept. */
  readonly filtered: number
  /** Set aside as dead letters: the first hundred, each with its place in the batch. */
  readonly unreadable: ReadonlyArray<{ readonly index: number; readonly reason: string }>
  /** All that were set aside, those that are not named among them. */
  readonly unreadableCount: number
}

/** Who sends, and for which clusters it may speak. */
export interface Sender {
  /** Undefined: any. */
  readonly cluster: string | undefined
}

export interface AuditWebhookOptions {
  readonly cluster: string
  readonly bodySizeBytesMax: number
  /** What all bodies that are arriving or being stored may hold; never less than two of the largest. */
  readonly bodiesSizeBytesMax: number
  /** Batches that are made durable at once; bodies that are still arriving do not count. */
  readonly requestsInFlightMax: number
  /** Undefined when the credentials are missing or wrong. */
  readonly authenticate: (request: IncomingMessage) => Sender | undefined
  /** Makes the items durable; called once per batch. */
  readonly accept: (cluster: string, items: ReadonlyArray<string>) => Effect.Effect<BatchResult, IntakeRefused>
}

interface Answer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
  readonly headers?: Readonly<Record<string, string>>
}

/** @returns the handler, for a listener */
export const auditWebhook = (options: AuditWebhookOptions) => {
  let inFlight = 0
  const room = makeBodyRoom(Math.max(options.bodiesSizeBytesMax, options.bodySizeBytesMax * 2))
  /** A batch takes a place when it has arrived whole: a slow sender keeps nobody else out. */
  const slot: Slot = (take) =>
    Effect.suspend((): ReturnType<Slot> => {
      if (inFlight >= options.requestsInFlightMax) return Effect.fail(new TooManyBatches({ inFlight }))
      inFlight++
      return Effect.ensuring(
        take,
        Effect.sync(() => inFlight--)
      )
    })
  return (request: IncomingMessage, response: ServerResponse): Effect.Effect<void> =>
    Effect.suspend(() => {
      const admitted = admittedOf(options, request)
      if (Result.isFailure(admitted)) return Effect.sync(() => send(request, response, admitted.failure))
      return traced(
        "collector.webhook",
        {
          kind: "server",
          // Two of them are joined by a comma, and are none then.
          traceparent: request.headersDistinct["traceparent"]?.join(),
          attributes: { "activity.cluster": admitted.success }
        },
        takeBatch({ ...options, cluster: admitted.success }, request, slot, room)
      ).pipe(
        Effect.catchDefect((defect) =>
          Effect.logError("a batch could not be taken", { error: String(defect) }).pipe(
            Effect.as(
              problem(500, "InternalError", "The batch could not be taken, for a fault of ours. Send it again.")
            )
          )
        ),
        Effect.map((answer) => send(request, response, answer))
      )
    })
}

const path = /^\/audit(?:\/([^/]+))?\/?$/

/**
 * Who sends is asked once, before the body arrives: a sender that is taken off the list meanwhile still speaks for its
 * own cluster.
 *
 * @returns the cluster that the records are of, or why the request is refused
 */
const admittedOf = (options: AuditWebhookOptions, request: IncomingMessage): Result.Result<string, Answer> => {
  const match = path.exec(pathOf(request))
  if (match === null) {
    return Result.fail(problem(404, "NotFound", "Audit records are posted to /audit or /audit/{cluster}."))
  }
  if (request.method !== "POST") {
    return Result.fail({
      ...problem(405, "MethodNotAllowed", "Audit records are sent by POST."),
      headers: { allow: "POST" }
    })
  }
  const sender = options.authenticate(request)
  if (sender === undefined) {
    return Result.fail({
      ...problem(401, "Unauthorized", "The bearer token or client certificate is missing or unknown."),
      headers: { "www-authenticate": "Bearer" }
    })
  }
  const named = match[1]
  if (named !== undefined && !clusterPattern.test(named)) {
    return Result.fail(
      problem(400, "BadRequest", `"${named}" is no cluster name: letters, digits, '-', '.', '_', at most 253.`)
    )
  }
  if (sender.cluster !== undefined && named !== undefined && named !== sender.cluster) {
    return Result.fail(
      problem(403, "Forbidden", `This sender speaks for cluster "${sender.cluster}", not for "${named}".`)
    )
  }
  return Result.succeed(named ?? sender.cluster ?? options.cluster)
}

const clusterPattern = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$/

type Slot = (
  take: Effect.Effect<BatchResult, IntakeRefused>
) => Effect.Effect<BatchResult, IntakeRefused | TooManyBatches>

const takeBatch = (
  options: Pick<AuditWebhookOptions, "accept" | "bodySizeBytesMax" | "cluster">,
  request: IncomingMessage,
  slot: Slot,
  room: BodyRoom
): Effect.Effect<Answer> =>
  Effect.gen(function* () {
    const share = yield* Effect.acquireRelease(
      Effect.sync(() => room.share()),
      (held) => Effect.sync(() => held.giveBack())
    )
    const text = yield* readBody(request, options.bodySizeBytesMax, share)
    const split = splitItems(text)
    if (Result.isFailure(split)) {
      const { reason, tooLarge } = split.failure
      return tooLarge ? problem(413, "RequestEntityTooLarge", reason) : problem(400, "BadRequest", reason)
    }
    const result = yield* slot(options.accept(options.cluster, split.success.items))
    const nothingRead = result.unreadableCount > 0 && result.unreadableCount === split.success.items.length
    return { status: nothingRead ? 422 : 200, body: { kind: "AuditBatchResult", ...result } }
  }).pipe(
    Effect.scoped,
    Effect.catchTags({
      BodyTooLarge: (error: BodyTooLarge) => Effect.succeed(bodyTooLarge(error)),
      BodyUnreadable: (error: BodyUnreadable) => Effect.succeed(problem(400, "BadRequest", error.description)),
      EncodingUnknown: (error: EncodingUnknown) =>
        Effect.succeed(
          problem(415, "UnsupportedMediaType", `Content-Encoding "${error.encoding}" is unknown. Send gzip, or none.`)
        ),
      NoRoom: (error: NoRoom) =>
        Effect.succeed({
          ...problem(
            429,
            "TooManyRequests",
            `The batches that are arriving and being stored hold ${error.sizeBytesMax} bytes (--bodies-bytes-max). ` +
              "Send this one again."
          ),
          headers: { "retry-after": "1" }
        }),
      TooManyBatches: (error: TooManyBatches) =>
        Effect.succeed({
          ...problem(429, "TooManyRequests", `${error.inFlight} batches are being stored. Send this one again.`),
          headers: { "retry-after": "1" }
        }),
      IntakeRefused: (error) => Effect.succeed(notNow(error))
    })
  )

const pathOf = (request: IncomingMessage): string => (request.url ?? "/").split("?", 1)[0] ?? "/"

const bodyTooLarge = (error: BodyTooLarge): Answer =>
  problem(
    413,
    "RequestEntityTooLarge",
    `The body${error.compressed ? ", decompressed," : ""} is larger than ${error.sizeBytesMax} bytes ` +
      "(--body-bytes-max). Send smaller batches (--audit-webhook-batch-max-size)."
  )

const notNow = (error: IntakeRefused): Answer => ({
  ...(error.state === "full"
    ? problem(429, "TooManyRequests", "Bus and spool are full. Nothing of this batch is promised; send it again.")
    : problem(503, "ServiceUnavailable", "The bus is away and there is no spool. Send this batch again.")),
  headers: { "retry-after": String(error.retryAfterSeconds) }
})

/** A Kubernetes Status: what the API server and kubectl know how to print. */
const problem = (code: number, reason: string, message: string): Answer => ({
  status: code,
  body: { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message, reason, code }
})

const send = (request: IncomingMessage, response: ServerResponse, answer: Answer): void => {
  if (response.headersSent || response.destroyed) return
  const body = `${JSON.stringify(answer.body)}\n`
  // A body that was not read to its end would be taken for the next request of this connection.
  const close = request.readableEnded ? {} : { connection: "close" }
  response
    .writeHead(answer.status, {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(body),
      ...close,
      ...answer.headers
    })
    .end(body)
}
