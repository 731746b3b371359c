/**
 * The aggregated API `activity.miloapis.com` on one HTTPS listener.
 *
 * Closing its scope drains: it is no longer ready, watches end with a clean end of their bodies, each answer ends its
 * connection, running requests end, then the listener closes.
 */
import { Effect, Layer, type Scope } from "effect"
import type { Kube } from "../clients/kube/Kube.ts"
import type { Nats } from "../clients/nats/Nats.ts"
import { Health } from "../runtime/Health.ts"
import { listen, type Listener } from "../runtime/Listener.ts"
import type { ListenAddress } from "../runtime/settings.ts"
import type { StartRefused } from "../runtime/StartRefused.ts"
import type { DeadLetterGroups } from "../store/DeadLetterGroups.ts"
import type { FactQueries } from "../store/FactQueries.ts"
import type { PolicyStore } from "../store/PolicyStore.ts"
import type { ReindexJobs } from "../store/ReindexJobs.ts"
import { ActivityFeed } from "./activities/ActivityFeed.ts"
import type { RecordedRequests } from "./audit/recordedRequests.ts"
import { RequestRecords } from "./audit/RequestRecords.ts"
import { Authenticator } from "./auth/Authenticator.ts"
import type { Authorizer } from "./auth/Authorizer.ts"
import { bearerTokensLayer } from "./auth/bearerTokens.ts"
import { clusterAuthenticationLayer } from "./auth/clusterAuthentication.ts"
import { followClientAuthorities } from "./auth/followClientAuthorities.ts"
import { type OidcOptions, oidcTokens } from "./auth/oidc.ts"
import { rolesFileLayer } from "./auth/rolesFile.ts"
import { subjectAccessLayer } from "./auth/subjectAccess.ts"
import { tokenFile } from "./auth/tokenFile.ts"
import { Drain } from "./Drain.ts"
import { EventFeed } from "./events/EventFeed.ts"
import { EventLog } from "./events/EventLog.ts"
import { FilterTime } from "./facts/FilterTime.ts"
import { Places } from "./Places.ts"
import type { PolicyWrites } from "./policies/PolicyWrites.ts"
import type { ReindexJobWrites } from "./reindexJobs/ReindexJobWrites.ts"
import { handle } from "./handle.ts"
import type { RouteOptions, RouteServices } from "./routes.ts"

export interface ApiOptions extends RouteOptions {
  readonly address: ListenAddress
  /** PEM texts. */
  readonly tls: { readonly key: string; readonly certificate: string }
  /**
   * How long requests are still taken after the server said that it goes away: until then nobody may have heard of it.
   * Without: they are not.
   */
  readonly shutdownDelayMillis?: number
  /** Which requests become audit records. */
  readonly recordedRequests: RecordedRequests
}

export interface StandaloneOptions extends ApiOptions {
  /** YAML: who may call. */
  readonly tokensFile: string | undefined
  /** Who else may call: whom an issuer of tokens knows. */
  readonly oidc?: OidcOptions
  /** YAML: what they may do. */
  readonly rolesFile: string
}

/** Running requests have so long to end when the server stops. */
const drainMillis = 3_000

/** A request, its body included, arrives within this time, or is answered 408. Answers may take as long as they like. */
const requestMillisMax = 60_000

type Stores =
  | DeadLetterGroups
  | FactQueries
  | Health
  | Nats
  | PolicyStore
  | PolicyWrites
  | ReindexJobs
  | ReindexJobWrites
  | Scope.Scope

/**
 * With a token file, or an issuer of tokens, and a roles file: the standalone server.
 *
 * @fails StartRefused when a file cannot be read, or the address cannot be opened
 */
export const serveApi = (options: StandaloneOptions): Effect.Effect<Listener, StartRefused, Stores> =>
  listenForApi(
    { ...options, tellsOfEvents: true },
    Layer.mergeAll(
      bearerTokensLayer([
        ...(options.tokensFile === undefined ? [] : [tokenFile(options.tokensFile)]),
        ...(options.oidc === undefined ? [] : [oidcTokens(options.oidc)])
      ]),
      rolesFileLayer(options.rolesFile)
    )
  )

/**
 * Behind a kube-apiserver, which tells who calls, and is asked what they may do.
 *
 * @fails StartRefused when the address cannot be opened
 */
export const serveClusterApi = (options: ApiOptions): Effect.Effect<Listener, StartRefused, Kube | Stores> =>
  listenForApi(options, Layer.mergeAll(clusterAuthenticationLayer, subjectAccessLayer))

const listenForApi = <R>(
  options: ApiOptions,
  access: Layer.Layer<Authenticator | Authorizer, StartRefused, R>
): Effect.Effect<Listener, StartRefused, R | Stores> =>
  Effect.gen(function* () {
    const requestRecords = RequestRecords.layer({ cluster: options.cluster, recorded: options.recordedRequests })
    const context = yield* Layer.build(
      Layer.mergeAll(
        access,
        ActivityFeed.layer,
        EventFeed.layer,
        EventLog.layer,
        FilterTime.layer,
        Places.layer,
        requestRecords
      ).pipe(Layer.provideMerge(Drain.layer))
    )
    return yield* listening(options).pipe(Effect.provide(context))
  })

const listening = Effect.fnUntraced(function* (options: ApiOptions) {
  const drain = yield* Drain
  const health = yield* Health
  const feed = yield* ActivityFeed
  const eventFeed = yield* EventFeed
  const { clientAuthorities } = yield* Authenticator
  // It does not decide readiness: an unavailable aggregated group hangs namespace deletion in the whole cluster.
  yield* health.register({ name: "activity-feed", role: "informative", problem: feed.problem })
  yield* health.register({ name: "event-feed", role: "informative", problem: eventFeed.problem })
  const listener = yield* listen<RouteServices>({
    setting: "api-listen",
    address: options.address,
    tls: options.tls,
    asksForCertificates: clientAuthorities !== undefined,
    drainMillis,
    requestMillisMax,
    handle: (request, response) => handle(options, request, response)
  })
  yield* health.register({
    name: "api-listener",
    role: "ready",
    problem: () => (drain.begun() ? "the API server is going away" : undefined)
  })
  yield* followClientAuthorities(listener)
  // Released before the listener, which waits for running requests: watches must have ended by then.
  yield* Effect.addFinalizer(() => Effect.andThen(drain.begin, Effect.sleep(options.shutdownDelayMillis ?? 0)))
  return listener
})
