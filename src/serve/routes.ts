/** From a call to who answers it: the resources, discovery, the OpenAPI documents and the probes. */
import { Effect, type Scope as Lifetime } from "effect"
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
import type { Scope } from "../domain/Scope.ts"
import { Health } from "../runtime/Health.ts"
import type { DeadLetterGroups } from "../store/DeadLetterGroups.ts"
import type { FactQueries } from "../store/FactQueries.ts"
import { PolicyStore } from "../store/PolicyStore.ts"
import { ReindexJobs } from "../store/ReindexJobs.ts"
import { activityFacts, selectedActivityGroup } from "./activities/activityFacts.ts"
import type { ActivityFeed } from "./activities/ActivityFeed.ts"
import { type ApiFailure, methodNotAllowed, namespaceUnknown, pathUnknown, unavailable } from "./ApiFailure.ts"
import { isChange } from "./audit/requestRecord.ts"
import type { RequestRecords } from "./audit/RequestRecords.ts"
import { anonymous, type Authenticator } from "./auth/Authenticator.ts"
import type { Authorizer } from "./auth/Authorizer.ts"
import { callerScope, type ScopeOptions } from "./auth/callerScope.ts"
import { deadLetterRequest } from "./deadLetters/deadLetterRequest.ts"
import { discovery } from "./discovery.ts"
import type { Drain } from "./Drain.ts"
import { selectedEventGroup } from "./events/eventFacts.ts"
import type { EventFeed } from "./events/EventFeed.ts"
import type { EventLog } from "./events/EventLog.ts"
import { eventRecords } from "./events/eventRecords.ts"
import { servedEvents } from "./events/servedEvents.ts"
import { writeEvents } from "./events/writeEvents.ts"
import type { FilterTime } from "./facts/FilterTime.ts"
import type { FactListOptions } from "./facts/listFacts.ts"
import { serveFacts } from "./facts/serveFacts.ts"
import type { Answer, Call } from "./http/Call.ts"
import type { ResourceRequest } from "./http/RequestInfo.ts"
import { openApi } from "./openApi/openApi.ts"
import type { Places } from "./Places.ts"
import { policyRequest } from "./policies/policyRequest.ts"
import type { PolicyWrites } from "./policies/PolicyWrites.ts"
import { createPreview } from "./previews/createPreview.ts"
import type { QueryOptions } from "./queries/askedQuery.ts"
import { queryRequest } from "./queries/queryRequest.ts"
import { reindexJobRequest } from "./reindexJobs/reindexJobRequest.ts"
import type { ReindexJobWrites } from "./reindexJobs/ReindexJobWrites.ts"
import { versionAnswer } from "./serverVersion.ts"

export interface RouteOptions extends ScopeOptions, FactListOptions, QueryOptions {
  /** Whether discovery tells of Kubernetes' own Events too: not beside a cluster, which has them itself. */
  readonly tellsOfEvents?: boolean
}

export type RouteServices =
  | ActivityFeed
  | Authenticator
  | Authorizer
  | DeadLetterGroups
  | Drain
  | EventFeed
  | EventLog
  | FactQueries
  | FilterTime
  | Health
  | Places
  | PolicyStore
  | PolicyWrites
  | ReindexJobs
  | ReindexJobWrites
  | RequestRecords

/** What it holds until its answer is written, its scope gives back. */
export type Handler = Effect.Effect<Answer, ApiFailure, RouteServices | Lifetime.Scope>

/** A sentence while there is nowhere to keep the resource's objects. */
type Absence = (resource: Resource) => string | undefined

export const route = (options: RouteOptions, call: Call): Handler =>
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
    const facts = yield* activityFacts
    const answer = (asked: ResourceRequest, resource: typeof facts) =>
      Effect.flatMap(callerScope(call.user, asked, options, selectedActivityGroup(call)), (scope) =>
        serveFacts(call, asked, scope, options, resource)
      )
    if (request.verb !== "get" || request.namespace === "") return yield* answer(request, facts)
    // kubectl adds a namespace to every name, also to those of activities that have none: who may get all activities
    // is given them there, too.
    const anywhere = { ...request, namespace: "" }
    const ofNone = { ...facts, get: (scope: Scope, name: string) => facts.get(scope, name, "") }
    return yield* answer(request, facts).pipe(
      Effect.catchIf(
        ({ reason }) => reason === "NotFound",
        (missing) =>
          call.authorize(anywhere).pipe(
            Effect.andThen(answer(anywhere, ofNone)),
            Effect.catchIf(
              ({ reason }) => reason === "Forbidden",
              () => Effect.fail(missing)
            )
          )
      )
    )
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
