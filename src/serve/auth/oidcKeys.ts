/**
 * The keys by which an OpenID Connect issuer signs: found by its discovery document, kept, and asked for again.
 *
 * While the issuer is away the last keys stay in force.
 *
 * @source https://openid.net/specs/openid-connect-discovery-1_0.html
 * @decision 0022-oidc
 */
import { createLocalJWKSet } from "jose/jwks/local"
import { Clock, Effect, Schedule, Schema, type Scope, Semaphore } from "effect"
import { Health } from "../../runtime/Health.ts"
import { DocumentUnavailable, httpsJson } from "./httpsJson.ts"

/** A key that the issuer took back is refused after so long. */
const lookEvery = "5 minutes"

/** Between two looks that tokens of unknown keys cause: whoever sends such tokens causes no more than these. */
const lookPauseMillis = 10_000

export type KeySet = ReturnType<typeof createLocalJWKSet>

export interface OidcKeys {
  /** Undefined until they have been read once. */
  readonly current: () => KeySet | undefined
  /** Asks for them again, unless that was done within the last ten seconds. */
  readonly lookAgain: Effect.Effect<void>
}

const decodeDiscovery = Schema.decodeUnknownEffect(Schema.Struct({ issuer: Schema.String, jwks_uri: Schema.String }))
const decodeKeys = Schema.decodeUnknownEffect(
  Schema.Struct({
    keys: Schema.Array(
      Schema.StructWithRest(Schema.Struct({ kty: Schema.String }), [Schema.Record(Schema.String, Schema.Unknown)])
    )
  })
)

export const followOidcKeys = (options: {
  readonly issuerUrl: string
  /** PEM */
  readonly authorities: string | undefined
}): Effect.Effect<OidcKeys, never, Health | Scope.Scope> =>
  Effect.gen(function* () {
    const health = yield* Health
    let keys: KeySet | undefined
    let problem: string | undefined = "the issuer's keys have not been read yet"
    let lookedMillis = -Infinity
    const turn = yield* Semaphore.make(1)
    yield* health.register({ name: "oidc-issuer", role: "informative", problem: () => problem })
    const look = Effect.gen(function* () {
      keys = yield* keySetOf(options.issuerUrl, options.authorities)
      if (problem !== undefined) yield* Effect.logInfo("the issuer's keys are read", { issuer: options.issuerUrl })
      problem = undefined
    }).pipe(
      Effect.catch(({ sentence }) =>
        Effect.suspend(() => {
          const told = `the issuer's keys cannot be read: ${sentence}`
          if (problem === told) return Effect.void
          problem = told
          return Effect.logWarning("tokens of the issuer are judged by the keys that are known", { problem })
        })
      ),
      // Its end counts: who waited for it asks for nothing more.
      Effect.andThen(Clock.currentTimeMillis),
      Effect.map((now) => void (lookedMillis = now))
    )
    const lookAgain = Clock.currentTimeMillis.pipe(
      Effect.flatMap((now) => (now - lookedMillis < lookPauseMillis ? Effect.void : look)),
      turn.withPermits(1)
    )
    yield* lookAgain.pipe(Effect.repeat(Schedule.spaced(lookEvery)), Effect.forkScoped)
    return { current: () => keys, lookAgain }
  })

const keySetOf = (issuerUrl: string, authorities: string | undefined): Effect.Effect<KeySet, DocumentUnavailable> =>
  Effect.gen(function* () {
    const discoveryUrl = `${issuerUrl.replace(/\/$/, "")}/.well-known/openid-configuration`
    const discovery = yield* httpsJson(discoveryUrl, authorities).pipe(
      Effect.flatMap((document) => Effect.mapError(decodeDiscovery(document), () => unusable(discoveryUrl)))
    )
    if (discovery.issuer !== issuerUrl) {
      return yield* new DocumentUnavailable({
        sentence: `${discoveryUrl}: it is of the issuer ${JSON.stringify(discovery.issuer)}, not of ${JSON.stringify(issuerUrl)}`
      })
    }
    const keysUrl = discovery.jwks_uri
    if (!keysUrl.startsWith("https://") || !URL.canParse(keysUrl)) {
      return yield* new DocumentUnavailable({ sentence: `${discoveryUrl}: its jwks_uri is no address of https` })
    }
    const { keys } = yield* httpsJson(keysUrl, authorities).pipe(
      Effect.flatMap((document) => Effect.mapError(decodeKeys(document), () => unusable(keysUrl)))
    )
    return yield* Effect.try({ try: () => createLocalJWKSet({ keys: [...keys] }), catch: () => unusable(keysUrl) })
  })

const unusable = (url: string): DocumentUnavailable =>
  new DocumentUnavailable({ sentence: `${url}: its answer is not of the form that OpenID Connect asks for` })
