/**
 * One request from its arrival to the last byte of its answer: whether there is a place for it, who calls, whether it may,
 * what it is answered, and what is recorded of it.
 */
import { Cause, Clock, Effect, type Exit, Metric } from "effect"
import { randomUUID } from "node:crypto"
import type { IncomingMessage, ServerResponse } from "node:http"
import { counterFamily } from "../runtime/Metrics.ts"
import { traced, type TracedWork } from "../runtime/Tracing.ts"
import { type ApiFailure, badRequest, failure, reasonCodes, statusObject } from "./ApiFailure.ts"
import { RequestRecords } from "./audit/RequestRecords.ts"
import { isChange } from "./audit/requestRecord.ts"
import { anonymous, Authenticator, type User } from "./auth/Authenticator.ts"
import { authorize, Authorizer, probePaths } from "./auth/Authorizer.ts"
import { Drain } from "./Drain.ts"
import { type Accepted, acceptedForm } from "./http/accept.ts"
import type { Answer } from "./http/Call.ts"
import { readBody } from "./http/readBody.ts"
import { nameFault, type RequestInfo, requestInfo, type ResourceRequest } from "./http/RequestInfo.ts"
import { type AnswerContext, closed, writeAnswer } from "./http/writeAnswer.ts"
import { type PlaceKind, Places } from "./Places.ts"
import { isExportable } from "./queries/queryRequest.ts"
import { route, type RouteOptions, type RouteServices } from "./routes.ts"

const requestsByStatus: Readonly<Record<string, Metric.Counter<number>>> = counterFamily(
  "activity_apiserver_requests_total",
  "Requests answered",
  "status",
  [...new Set(["200", "201", "301", "304", ...Object.values(reasonCodes).map(String)])]
)

const openWatches = Metric.gauge("activity_apiserver_watches", { description: "Watches that are open" })

export const handle = (
  options: RouteOptions,
  request: IncomingMessage,
  response: ServerResponse
): Effect.Effect<void, never, RouteServices> =>
  Effect.gen(function* () {
    const drain = yield* Drain
    const places = yield* Places
    const arrived = arrivedFrom(request, yield* Clock.currentTimeMillis)
    const { accepted, auditID, info, place } = arrived
    const encoding = accepted?.encoding ?? "json"
    const context: AnswerContext = { request, response, encoding, auditID, closing: drain.begun }
    const written = Effect.scoped(
      Effect.andThen(
        place === undefined ? Effect.void : places.admit(place),
        writing(context, answered(options, arrived, response))
      )
    ).pipe(Effect.catch((error) => writing(context, Effect.fail(error))))
    // A watch would be a span of hours.
    yield* info?._tag === "Resource" && place === "request"
      ? traced(`apiserver.${info.verb}`, tracedRequest(request, info, auditID), written)
      : written
  })

/** A request, as its first lines tell. */
interface Arrived {
  readonly request: IncomingMessage
  readonly receivedMillis: number
  readonly auditID: string
  /** Undefined: its target is no path. */
  readonly url: URL | undefined
  readonly info: RequestInfo | undefined
  /** Undefined: the client takes nothing that can be given. */
  readonly accepted: Accepted | undefined
  /** Undefined: it needs none. */
  readonly place: PlaceKind | undefined
}

const arrivedFrom = (request: IncomingMessage, receivedMillis: number): Arrived => {
  const url = targetOf(request)
  const info = url === undefined ? undefined : requestInfo(request.method ?? "GET", url.pathname, url.searchParams)
  const accepted = acceptedForm(request.headers.accept ?? "", info?._tag === "Resource" && isExportable(info))
  // Probes and discovery are answered from memory, however much there is to do: without them kube-apiserver takes
  // this server for gone.
  const place = info?._tag !== "Resource" ? undefined : info.verb === "watch" ? "watch" : "request"
  return { request, receivedMillis, auditID: auditIDOf(request), url, info, accepted, place }
}

/** What a record says of a request besides its answer, as it becomes known. */
interface Told {
  caller?: User
  body?: Buffer
}

const answered = (options: RouteOptions, arrived: Arrived, response: ServerResponse) => {
  const told: Told = {}
  return answerOf(options, arrived, response, told).pipe(Effect.onExit((exit) => recorded(arrived, told, exit)))
}

const answerOf = (
  options: RouteOptions,
  { accepted, info, place, request, url }: Arrived,
  response: ServerResponse,
  told: Told
) =>
  Effect.gen(function* () {
    if (url === undefined || info === undefined) return yield* badRequest("the request's target is no path")
    const user = yield* authenticate(request, url.pathname)
    if (place !== undefined) yield* Places.use((places) => places.share(place, user.name))
    told.caller = user
    const fault = nameFault(info)
    if (fault !== undefined) return yield* badRequest(fault)
    const authorizer = yield* Authorizer
    yield* authorize(user, info)
    // Answered as if nothing had been asked, a browser's watch over a websocket would wait for ever.
    if (request.headers.upgrade !== undefined) {
      return yield* badRequest("connections are not upgraded here: watch over plain HTTP, ?watch=true")
    }
    if (accepted === undefined) {
      return yield* failure(
        "NotAcceptable",
        "only the following media types are accepted: application/json, application/yaml"
      )
    }
    if (info._tag === "Resource" && isChange(info)) yield* RequestRecords.use((records) => records.reserve(user))
    return yield* route(options, {
      method: request.method ?? "GET",
      path: url.pathname,
      query: url.searchParams,
      header: (name) => request.headersDistinct[name]?.[0] ?? "",
      info,
      accepted,
      user,
      authorize: (attributes) => authorize(user, attributes).pipe(Effect.provideService(Authorizer, authorizer)),
      // Read once, whoever asks how often.
      body: yield* Effect.cached(Effect.tap(readBody(request), (body) => Effect.sync(() => void (told.body = body)))),
      gone: closed(response)
    })
  })

const recorded = (
  { accepted, auditID, info, receivedMillis, request }: Arrived,
  { body, caller }: Told,
  exit: Exit.Exit<Answer, ApiFailure>
) =>
  Effect.gen(function* () {
    // Who is unknown leaves no record: strangers could fill the store.
    if (caller === undefined || info?._tag !== "Resource") return
    const records = yield* RequestRecords
    const answeredMillis = yield* Clock.currentTimeMillis
    yield* records.keep({
      auditID,
      request,
      info,
      user: caller,
      receivedMillis,
      answeredMillis,
      body,
      exportedAs: accepted?.form._tag === "Export" ? accepted.form.type : undefined,
      exit
    })
  })

const tracedRequest = (request: IncomingMessage, info: ResourceRequest, auditID: string): TracedWork => ({
  kind: "server",
  // Two of them are joined by a comma, and are none then.
  traceparent: request.headersDistinct["traceparent"]?.join(),
  attributes: {
    "activity.audit_id": auditID,
    "activity.resource": info.subresource === "" ? info.resource : `${info.resource}/${info.subresource}`
  }
})

const writing = <R>(
  context: AnswerContext,
  answered: Effect.Effect<Answer, ApiFailure, R>
): Effect.Effect<void, never, R> =>
  Effect.gen(function* () {
    const answer = yield* answered.pipe(
      Effect.catch((error: ApiFailure) => Effect.succeed(refusal(error))),
      Effect.catchCauseIf(
        (cause) => !Cause.hasInterruptsOnly(cause),
        (cause) =>
          Effect.logError("request failed", cause, { auditId: context.auditID }).pipe(
            Effect.as(refusal(failure("InternalError", "an internal error occurred")))
          )
      )
    )
    const status = answer._tag === "Chunks" ? 200 : answer.status
    const counter = requestsByStatus[String(status)]
    if (counter !== undefined) yield* Metric.update(counter, 1)
    yield* Effect.annotateCurrentSpan({ "http.response.status_code": status })
    if (answer._tag === "Chunks" && answer.live) yield* Metric.modify(openWatches, 1)
    yield* writeAnswer(context, answer).pipe(
      Effect.ensuring(answer._tag === "Chunks" && answer.live ? Metric.modify(openWatches, -1) : Effect.void)
    )
  })

/** An answer in Status: JSON whatever form was asked for. */
const refusal = (error: ApiFailure): Answer => ({
  _tag: "Value",
  status: error.code,
  value: statusObject(error),
  headers: {
    // The next connection may be known: certificates are judged by the authorities that were known when it began.
    ...(error.reason === "Unauthorized" ? { "www-authenticate": "Bearer", connection: "close" } : {}),
    // Clients repeat by themselves whatever has this header: a query that took too long they should not.
    ...(error.reason === "ServiceUnavailable" || error.reason === "TooManyRequests"
      ? { "retry-after": String(error.details?.retryAfterSeconds ?? 1) }
      : {})
  }
})

const targetOf = (request: IncomingMessage): URL | undefined =>
  // A path of two slashes would be read as a host.
  URL.parse(`https://api${request.url?.startsWith("/") === true ? request.url : "/"}`) ?? undefined

/** Longer ones are cut, as kube-apiserver does. */
const auditIDLengthMax = 64

/** A caller may choose it, as kube-apiserver does for what it passes on. */
const auditIDOf = ({ headers }: IncomingMessage): string => {
  const chosen = headers["audit-id"]
  return typeof chosen === "string" && chosen !== "" ? chosen.slice(0, auditIDLengthMax) : randomUUID()
}

/** Probes are answered without credentials. */
const authenticate = (request: IncomingMessage, path: string): Effect.Effect<User, ApiFailure, Authenticator> =>
  Effect.gen(function* () {
    const authenticator = yield* Authenticator
    const isProbe = probePaths.has(path) && (request.method === "GET" || request.method === "HEAD")
    return yield* authenticator.authenticate(request).pipe(
      Effect.catchIf(
        // A token that is wrong is told, also to a probe.
        ({ reason }) => reason === "Unauthorized" && isProbe && request.headers.authorization === undefined,
        () => Effect.succeed(anonymous)
      )
    )
  })
