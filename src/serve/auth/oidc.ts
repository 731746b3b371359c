/**
 * Bearer tokens that an OpenID Connect issuer signed (ID tokens, or access tokens in that form).
 *
 * Believed is what one of the issuer's keys has signed by an algorithm of two keys, for us, now. Why a token is refused is
 * counted and logged, once a minute for each reason, never with the token; its sender is told 401 and no more.
 *
 * @source https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation
 * @decision 0022-oidc
 */
import * as errors from "jose/errors"
import { jwtVerify } from "jose/jwt/verify"
import { Clock, DateTime, Effect, Metric, Result, Schema, type Scope } from "effect"
import type { Health } from "../../runtime/Health.ts"
import { counterFamily } from "../../runtime/Metrics.ts"
import { failure, unavailable } from "../ApiFailure.ts"
import type { User } from "./Authenticator.ts"
import type { TokenReader } from "./bearerTokens.ts"
import { followOidcKeys, type KeySet } from "./oidcKeys.ts"
import { type OidcClaimNames, userFromClaims } from "./oidcUser.ts"

export interface OidcOptions {
  /** https, as tokens and the discovery document spell it. */
  readonly issuerUrl: string
  /** The audience that tokens must be for. */
  readonly clientId: string
  readonly claims: OidcClaimNames
  /** PEM of who may have signed the issuer's certificate; undefined: those that Node believes. */
  readonly authorities: string | undefined
}

const reasons = [
  "malformed",
  "algorithm",
  "key-unknown",
  "signature",
  "issuer",
  "audience",
  "expired",
  "not-yet-valid",
  "claims"
] as const
type RefusedReason = (typeof reasons)[number]

/** Not to be believed. The sentence says nothing of the token but which claim is at fault. */
class TokenRefused extends Schema.TaggedError<TokenRefused>()("TokenRefused", {
  reason: Schema.Literals(reasons),
  sentence: Schema.String
}) {}

const refusedTokens = counterFamily(
  "activity_apiserver_oidc_tokens_refused_total",
  "Tokens that were not believed, by reason",
  "reason",
  reasons
)

/** Of an issuer's clock and ours. */
const clockSkewSeconds = 30

/** Larger ones are not read: an ID token has 1 to 4 KiB. */
const tokenLengthMax = 16 * 1024

/** Their verifier knows nothing by which it could sign. `none`, and secrets that are shared (HS…), are not among them. */
const algorithms = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]

const toldEveryMillis = 60_000

export const oidcTokens = (options: OidcOptions): Effect.Effect<TokenReader, never, Health | Scope.Scope> =>
  Effect.gen(function* () {
    const keys = yield* followOidcKeys(options)
    const toldMillis = new Map<RefusedReason, number>()
    const tell = ({ reason, sentence }: TokenRefused) =>
      Effect.gen(function* () {
        yield* Metric.update(refusedTokens[reason], 1)
        const now = yield* Clock.currentTimeMillis
        if (now - (toldMillis.get(reason) ?? -Infinity) < toldEveryMillis) return
        toldMillis.set(reason, now)
        yield* Effect.logWarning("a token of the issuer is refused", { issuer: options.issuerUrl, problem: sentence })
      })
    return (token) =>
      Effect.gen(function* () {
        if (!isSigned(token)) return undefined
        if (token.length > tokenLengthMax) {
          return yield* new TokenRefused({ reason: "malformed", sentence: `it has more than ${tokenLengthMax} bytes` })
        }
        if (keys.current() === undefined) yield* keys.lookAgain
        const first = keys.current()
        // It may be good: a client that is told 401 throws it away.
        if (first === undefined)
          return yield* unavailable("the issuer of tokens cannot be asked for its keys: try again")
        return yield* userFrom(token, first, options).pipe(
          Effect.catchIf(
            ({ reason }) => reason === "key-unknown",
            (refused) =>
              // The issuer may have changed its keys since.
              Effect.andThen(
                keys.lookAgain,
                Effect.suspend(() => {
                  const second = keys.current()
                  return second === undefined || second === first
                    ? Effect.fail(refused)
                    : userFrom(token, second, options)
                })
              )
          )
        )
      }).pipe(
        Effect.catchTag("TokenRefused", (refused) =>
          Effect.andThen(tell(refused), Effect.fail(failure("Unauthorized", "Unauthorized")))
        )
      )
  })

/** Three parts, of which the last may be empty: everything else is somebody else's token. */
const isSigned = (token: string): boolean => /^[\w-]+\.[\w-]+\.[\w-]*$/.test(token)

const userFrom = (token: string, keys: KeySet, options: OidcOptions): Effect.Effect<User, TokenRefused> =>
  Effect.gen(function* () {
    const now = yield* DateTime.now
    const { payload } = yield* Effect.tryPromise({
      try: () =>
        jwtVerify(token, keys, {
          issuer: options.issuerUrl,
          audience: options.clientId,
          algorithms,
          clockTolerance: clockSkewSeconds,
          requiredClaims: ["exp"],
          currentDate: DateTime.toDateUtc(now)
        }),
      catch: refusedBy
    })
    return yield* Effect.fromResult(
      Result.mapError(
        userFromClaims(payload, options.claims),
        (sentence) => new TokenRefused({ reason: "claims", sentence })
      )
    )
  })

const refusedBy = (cause: unknown): TokenRefused => {
  const refused = (reason: RefusedReason, sentence: string) => new TokenRefused({ reason, sentence })
  if (cause instanceof errors.JWTExpired) return refused("expired", "it has ended")
  if (cause instanceof errors.JWTClaimValidationFailed) {
    if (cause.claim === "iss") return refused("issuer", "it is of another issuer, or of none")
    if (cause.claim === "aud") return refused("audience", "it is not for this client ID")
    if (cause.claim === "nbf") return refused("not-yet-valid", "it does not count yet")
    return refused("claims", `the claim ${cause.claim.slice(0, 20)} is missing or not of its form`)
  }
  if (cause instanceof errors.JOSEAlgNotAllowed || cause instanceof errors.JOSENotSupported) {
    return refused("algorithm", "it is signed by an algorithm that is not believed")
  }
  if (cause instanceof errors.JWKSNoMatchingKey) return refused("key-unknown", "it is signed by no key of the issuer")
  if (cause instanceof errors.JWKSMultipleMatchingKeys) {
    return refused("key-unknown", "it does not say by which of the issuer's keys it is signed")
  }
  if (cause instanceof errors.JWSSignatureVerificationFailed) return refused("signature", "its signature is wrong")
  return refused("malformed", "it is no signed token")
}
