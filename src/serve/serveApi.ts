/**
 * The aggregated API `activity.miloapis.com` on one HTTPS listener.
 *
 * Closing its scope drains: it is no longer ready, watches end with a clean end of their bodies, running requests end,
 * then the listener closes.
 */
import { Effect, Layer, type Scope } from "effect"
import type { Nats } from "../clients/nats/Nats.ts"
import { Health } from "../runtime/Health.ts"
import { listen, type Listener } from "../runtime/Listener.ts"
import type { ListenAddress } from "../runtime/settings.ts"
import type { StartRefused } from "../runtime/StartRefused.ts"
import type { ActivityQueries } from "../store/ActivityQueries.ts"
import type { PolicyStore } from "../store/PolicyStore.ts"
import { ActivityFeed } from "./activities/ActivityFeed.ts"
import type { Authenticator } from "./auth/Authenticator.ts"
import type { Authorizer } from "./auth/Authorizer.ts"
import { rolesFileLayer } from "./auth/rolesFile.ts"
import { tokenFileLayer } from "./auth/tokenFile.ts"
import { Drain } from "./Drain.ts"
import { handle, type RouteOptions, type RouteServices } from "./routes.ts"

export interface ApiListenerOptions extends RouteOptions {
  readonly address: ListenAddress
  /** PEM texts. */
  readonly tls: { readonly key: string; readonly certificate: string }
}

export interface ApiOptions extends ApiListenerOptions {
  /** YAML: who may call. */
  readonly tokensFile: string
  /** YAML: what they may do. */
  readonly rolesFile: string
}

/** Running requests have so long to end when the server stops. */
const drainMillis = 3_000

/**
 * With a token file and a roles file: the standalone server.
 *
 * @fails StartRefused when a file cannot be read, or the address cannot be opened
 */
export const serveApi = (
  options: ApiOptions
): Effect.Effect<Listener, StartRefused, ActivityQueries | Health | Nats | PolicyStore | Scope.Scope> =>
  Effect.gen(function* () {
    const context = yield* Layer.build(
      Layer.mergeAll(tokenFileLayer(options.tokensFile), rolesFileLayer(options.rolesFile), ActivityFeed.layer)
    )
    return yield* listenForApi(options).pipe(Effect.provide(context))
  })

/** With any way to tell who calls and what they may do. */
export const listenForApi = (
  options: ApiListenerOptions
): Effect.Effect<
  Listener,
  StartRefused,
  ActivityFeed | ActivityQueries | Authenticator | Authorizer | Health | PolicyStore | Scope.Scope
> =>
  Effect.gen(function* () {
    const context = yield* Layer.build(Drain.layer)
    return yield* listening(options).pipe(Effect.provide(context))
  })

const listening = Effect.fnUntraced(function* (options: ApiListenerOptions) {
  const drain = yield* Drain
  const health = yield* Health
  const feed = yield* ActivityFeed
  // It does not decide readiness: an unavailable aggregated group hangs namespace deletion in the whole cluster.
  yield* health.register({ name: "activity-feed", role: "informative", problem: feed.problem })
  yield* health.register({
    name: "api-listener",
    role: "ready",
    problem: () => (drain.begun() ? "the API server is going away" : undefined)
  })
  const listener = yield* listen<RouteServices>({
    setting: "api-listen",
    address: options.address,
    tls: options.tls,
    drainMillis,
    handle: (request, response) => handle(options, request, response)
  })
  // Released before the listener, which waits for running requests: watches must have ended by then.
  yield* Effect.addFinalizer(() => drain.begin)
  return listener
})
