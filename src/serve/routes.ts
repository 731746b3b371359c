/**
 * From a request to its answer: who calls, whether it may, then what it asks for.
 */
import { Cause, Clock, Effect, Metric, type Scope } from "effect"
import { randomUUID } from "node:crypto"
import type { IncomingMessage, ServerResponse } from "node:http"
import { Health } from "../runtime/Health.ts"
import { counterFamily } from "../runtime/Metrics.ts"
import { traced, type TracedWork } from "../runtime/Tracing.ts"
import type { ActivityQueries } from "../store/ActivityQueries.ts"
import type { DeadLetterGroups } from "../store/DeadLetterGroups.ts"
import type { FactQueries } from "../store/FactQueries.ts"
import { PolicyStore } from "../store/PolicyStore.ts"
import { ReindexJobs } from "../store/ReindexJobs.ts"
import {
  type ApiFailure,
  badRequest,
  failure,
  methodNotAllowed,
  namespaceUnknown,
  pathUnknown,
  reasonCodes,
  statusObject,
  unavailable
} from "./ApiFailure.ts"
import { eventsApis, eventsResource } from "../contracts/eventsApis.ts"
import {
  activityPoliciesResource,
  deadLettersResource,
  eventRecordsResource,
  groupName,
  policyPreviewsResource,
  reindexJobsResource,
  type Resource,
  resources,
  versions
} from "../contracts/resources.ts"
import { activityFacts, selectedActivityGroup } from "./activities/activityFacts.ts"
import type { ActivityFeed } from "./activities/ActivityFeed.ts"
import { RequestRecords } from "./audit/RequestRecords.ts"
import { isChange } from "./audit/requestRecord.ts"
import { anonymous, Authenticator, type User } from "./auth/Authenticator.ts"
import { authorize, Authorizer, probePaths } from "./auth/Authorizer.ts"
import { callerScope, type ScopeOptions } from "./auth/callerScope.ts"
import { deadLetterRequest } from "./deadLetters/deadLetterRequest.ts"
import { discovery } from "./discovery.ts"
import { Drain } from "./Drain.ts"
import { selectedEventGroup } from "./events/eventFacts.ts"
import type { EventFeed } from "./events/EventFeed.ts"
import { eventRecords } from "./events/eventRecords.ts"
import type { EventLog } from "./events/EventLog.ts"
import { servedEvents } from "./events/servedEvents.ts"
import { writeEvents } from "./events/writeEvents.ts"
import type { Exports } from "./exports/Exports.ts"
import type { FilterTime } from "./facts/FilterTime.ts"
import type { FactListOptions } from "./facts/listFacts.ts"
import { serveFacts } from "./facts/serveFacts.ts"
import { acceptedForm } from "./http/accept.ts"
import type { Answer, Call } from "./http/Call.ts"
import { readBody } from "./http/readBody.ts"
import { nameFault, requestInfo, type ResourceRequest } from "./http/RequestInfo.ts"
import { type AnswerContext, closed, writeAnswer } from "./http/writeAnswer.ts"
import { openApi } from "./openApi/openApi.ts"
import { policyRequest } from "./policies/policyRequest.ts"
import type { PolicyWrites } from "./policies/PolicyWrites.ts"
import { reindexJobRequest } from "./reindexJobs/reindexJobRequest.ts"
import type { ReindexJobWrites } from "./reindexJobs/ReindexJobWrites.ts"
import type { QueryOptions } from "./queries/askedQuery.ts"
import { createPreview } from "./previews/createPreview.ts"
import type { Backtests } from "./previews/Backtests.ts"
import { isExportable, queryRequest } from "./queries/queryRequest.ts"
import { RequestsInFlight } from "./RequestsInFlight.ts"
import { versionAnswer } from "./serverVersion.ts"

const requestsByStatus: Readonly<Record<string, Metric.Counter<number>>> = counterFamily(
  "activity_apiserver_requests_total",
  "Requests answered",
  "status",
  [...new Set(["200", "201", "301", "304", ...Object.values(reasonCodes).map(String)])]
)

const openWatches = Metric.gauge("activity_apiserver_watches", { description: "Watches that are open" })

export interface RouteOptions extends ScopeOptions, FactListOptions, QueryOptions {
  /** Whether discovery tells of Kubernetes' own Events too: not beside a cluster, which has them itself. */
  readonly tellsOfEvents?: boolean
}

export type RouteServices =
  | ActivityFeed
  | ActivityQueries
  | Authenticator
  | Authorizer
  | Backtests
  | DeadLetterGroups
  | Drain
  | EventFeed
  | EventLog
  | Exports
  | FactQueries
  | FilterTime
  | Health
  | PolicyStore
  | PolicyWrites
  | ReindexJobs
  | ReindexJobWrites
  | RequestRecords
  | RequestsInFlight

export const handle = (
  options: RouteOptions,
  request: IncomingMessage,
  response: ServerResponse
): Effect.Effect<void, never, RouteServices> =>
  Effect.gen(function* () {
    const drain = yield* Drain
    const receivedMillis = yield* Clock.currentTimeMillis
    const url = targetOf(request)
    const info = url === undefined ? undefined : requestInfo(request.method ?? "GET", url.pathname, url.searchParams)
    const accepted = acceptedForm(request.headers.accept ?? "", info?._tag === "Resource" && isExportable(info))
    const auditID = auditIDOf(request)
    const encoding = accepted?.encoding ?? "json"
    const context: AnswerContext = { request, response, encoding, auditID, closing: drain.begun }
    const isWatch = info?._tag === "Resource" && info.verb === "watch"
    const inFlight = yield* RequestsInFlight
    const records = yield* RequestRecords
    /** What its record says besides the answer, as it becomes known. */
    let caller: User | undefined
    let sent: Buffer | undefined
    const answered = Effect.gen(function* () {
      if (url === undefined || info === undefined) return yield* badRequest("the request's target is no path")
      const user = yield* authenticate(request, url.pathname)
      if (info._tag === "Resource") yield* inFlight.share(isWatch, user.name)
      caller = user
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
      if (info._tag === "Resource" && isChange(info)) yield* records.reserve(user)
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
        body: yield* Effect.cached(Effect.tap(readBody(request), (body) => Effect.sync(() => void (sent = body)))),
        gone: closed(response)
      })
    }).pipe(
      Effect.onExit((exit) =>
        Effect.gen(function* () {
          // Who is unknown leaves no record: strangers could fill the store.
          if (caller === undefined || info?._tag !== "Resource") return
          const answeredMillis = yield* Clock.currentTimeMillis
          yield* records.keep({
            auditID,
            request,
            info,
            user: caller,
            receivedMillis,
            answeredMillis,
            body: sent,
            exportedAs: accepted?.form._tag === "Export" ? accepted.form.type : undefined,
            exit
          })
        })
      )
    )
    const written = Effect.scoped(writing(context, answered))
    // Probes and discovery are answered from memory, however much there is to do: without them kube-apiserver takes
    // this server for gone.
    const admitted = (info?._tag === "Resource" ? inFlight.admit(isWatch, written) : written).pipe(
      Effect.catch((error) => writing(context, Effect.fail(error)))
    )
    // A watch would be a span of hours.
    yield* info?._tag === "Resource" && !isWatch
      ? traced(`apiserver.${info.verb}`, tracedRequest(request, info, auditID), admitted)
      : admitted
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
    ...(error.reason === "ServiceUnavailable" || error.reason === "TooManyRequests" ? { "retry-after": "1" } : {})
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

/** What it holds until its answer is written, its scope gives back. */
type Handler = Effect.Effect<Answer, ApiFailure, RouteServices | Scope.Scope>

/** A sentence while there is nowhere to keep the resource's objects. */
type Absence = (resource: Resource) => string | undefined

const route = (options: RouteOptions, call: Call): Handler =>
  Effect.gen(function* () {
    const stores = new Map<Resource, { readonly absence: () => string | undefined }>([
      [activityPoliciesResource, yield* PolicyStore],
      [reindexJobsResource, yield* ReindexJobs]
    ])
    const absence: Absence = (resource) => stores.get(resource)?.absence()
    if (call.info._tag === "Resource") return yield* routeResource(options, call, call.info, absence)
    const present = resources.filter((resource) => absence(resource) === undefined)
    const known =
      discovery(call, present, options.tellsOfEvents ?? false) ??
      openApi(call, options.tellsOfEvents ?? false) ??
      (call.path === "/version" ? versionAnswer() : undefined)
    if (known !== undefined) {
      return call.method === "GET" || call.method === "HEAD" ? known : yield* methodNotAllowed()
    }
    const namespace = namespacePath.exec(call.path)?.[1]
    return namespace === undefined ? yield* probe(call) : yield* namespaceUnknown(namespace)
  })

/** After a 404 inside a namespace kubectl asks whether the namespace exists, and prints that answer if it is 404 too. */
const namespacePath = /^\/api\/v1\/namespaces\/([^/]+)$/

const probe = (call: Call): Handler =>
  Effect.gen(function* () {
    const health = yield* Health
    const { checks, ready } = health.report()
    const text = (ok: boolean): Answer => ({
      _tag: "Text",
      status: ok ? 200 : 503,
      contentType: "text/plain; charset=utf-8",
      text:
        ok && (call.user === anonymous || !call.query.has("verbose"))
          ? "ok"
          : call.user === anonymous
            ? "failed: a caller with credentials is told why\n"
            : checks
                .map(({ name, problem }) => (problem === undefined ? `[+]${name} ok\n` : `[-]${name} ${problem}\n`))
                .join("")
    })
    if (call.path === "/livez" || call.path === "/ping") return text(true)
    if (call.path === "/readyz") return text(ready)
    if (call.path === "/healthz") return text(checks.every(({ problem }) => problem === undefined))
    return yield* pathUnknown()
  })

const routeResource = (options: RouteOptions, call: Call, request: ResourceRequest, absence: Absence): Handler => {
  const resource = knownResource(request)
  if (resource === undefined) return Effect.fail(pathUnknown())
  const absent = absence(resource)
  if (absent !== undefined) return Effect.fail(unavailable(absent))
  const allowed: ReadonlyArray<string> =
    request.subresource === "" ? resource.verbs : (resource.subresources[request.subresource]?.verbs ?? [])
  // A collection is created into, its objects and their subresources are changed: a selector that names one does not
  // make it the other.
  const ofObject = request.verb === "create" ? request.subresource !== "" : ["update", "patch"].includes(request.verb)
  const misplaced = ofObject ? !request.named : request.verb === "create" && request.named
  if (misplaced || !allowed.includes(request.verb)) return Effect.fail(methodNotAllowed())
  if (resource === activityPoliciesResource) return policyRequest(call, request)
  if (resource === reindexJobsResource) return reindexJobRequest(call, request)
  if (resource === deadLettersResource) return deadLetterRequest(call, request)
  if (resource === policyPreviewsResource) return createPreview(call, request, options)
  if (resource === eventRecordsResource) return eventRecordVerb(options, call, request)
  if (resource === eventsResource) return eventVerb(options, call, request)
  return queryRequest(call, request, resource, options) ?? activityVerb(options, call, request)
}

const activityVerb = (options: RouteOptions, call: Call, request: ResourceRequest): Handler =>
  Effect.gen(function* () {
    const scope = yield* callerScope(call.user, request, options, selectedActivityGroup(call))
    return yield* serveFacts(call, request, scope, options, yield* activityFacts)
  })

const eventRecordVerb = (options: RouteOptions, call: Call, request: ResourceRequest): Handler =>
  Effect.gen(function* () {
    const scope = yield* callerScope(call.user, request, options, selectedEventGroup(call))
    return yield* serveFacts(call, request, scope, options, yield* eventRecords)
  })

const eventVerb = (options: RouteOptions, call: Call, request: ResourceRequest): Handler =>
  Effect.gen(function* () {
    const scope = yield* callerScope(call.user, request, options, selectedEventGroup(call))
    return yield* isChange(request)
      ? writeEvents(call, request, scope, options)
      : serveFacts(call, request, scope, options, yield* servedEvents(request))
  })

/** Undefined: the path names nothing that this server has. */
const knownResource = (request: ResourceRequest): Resource | undefined => {
  const known: ReadonlyArray<string> = versions
  const isOfEvents = eventsApis.some(({ group, version }) => group === request.group && version === request.version)
  if (isOfEvents)
    return request.resource === eventsResource.plural && request.subresource === "" ? eventsResource : undefined
  if (request.group !== groupName || !known.includes(request.version)) return undefined
  const resource = resources.find(({ plural }) => plural === request.resource)
  if (resource === undefined || (request.namespace !== "" && !resource.namespaced)) return undefined
  // The path itself must name the object that a subresource belongs to.
  const subresource = request.subresource === "" || Object.hasOwn(resource.subresources, request.subresource)
  return subresource ? resource : undefined
}
