/** Standalone authentication: a bearer token says who calls. */
import { Effect, Layer, type Scope } from "effect"
import { type ApiFailure, failure } from "../ApiFailure.ts"
import { authenticated, Authenticator, bearerToken, refuseImpersonation, type User } from "./Authenticator.ts"

/**
 * Whom a token names; undefined when it is none of the reader's.
 *
 * @fails ApiFailure Unauthorized when the token is the reader's, and is not to be believed
 * @fails ApiFailure ServiceUnavailable when that cannot be told now
 */
export type TokenReader = (token: string) => Effect.Effect<User | undefined, ApiFailure>

/** Readers are asked in turn; the first that knows the token decides. */
export const bearerTokensLayer = <E, R>(
  readers: ReadonlyArray<Effect.Effect<TokenReader, E, R>>
): Layer.Layer<Authenticator, E, Exclude<R, Scope.Scope>> =>
  Layer.effect(
    Authenticator,
    Effect.gen(function* () {
      const asked = yield* Effect.all(readers)
      return Authenticator.of({
        authenticate: (request) =>
          Effect.gen(function* () {
            const token = bearerToken(request)
            let user: User | undefined
            for (const reader of asked) {
              if (token !== undefined) user ??= yield* reader(token)
            }
            if (user === undefined) return yield* failure("Unauthorized", "Unauthorized")
            yield* refuseImpersonation(request)
            return authenticated(user)
          }),
        clientAuthorities: undefined
      })
    })
  )
