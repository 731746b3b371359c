/** Bearer tokens, told apart by the cluster's TokenReview. */
import { Effect, Schema, type Scope } from "effect"
import { Kube } from "../../clients/kube/Kube.ts"
import { type ApiFailure, failure, unavailable } from "../ApiFailure.ts"
import type { User } from "./Authenticator.ts"
import { keptAnswers } from "./keptAnswers.ts"
import { type Review, review } from "./review.ts"

const TokenStatus = Schema.Struct({
  authenticated: Schema.optionalKey(Schema.Boolean),
  user: Schema.optionalKey(
    Schema.Struct({
      username: Schema.optionalKey(Schema.String),
      uid: Schema.optionalKey(Schema.String),
      groups: Schema.optionalKey(Schema.Array(Schema.String)),
      extra: Schema.optionalKey(Schema.Record(Schema.String, Schema.Array(Schema.String)))
    })
  )
})

/** A token that was taken back is refused after so long, and one that is new is known after so long. */
const keptMillis = 10_000

/** Of about 200 bytes each: a name, groups, and a hash. */
const tokensMax = 4_096

/** Different tokens that are looked up at once; more are told to wait, whoever sends them. */
const reviewsAtOnceMax = 64

const tokenReview: Review<typeof TokenStatus.Type> = { kind: "TokenReview", status: TokenStatus }

/**
 * The user whom a token names; undefined when it names none.
 *
 * @fails ApiFailure ServiceUnavailable when the cluster cannot be asked
 * @fails ApiFailure TooManyRequests when {@link reviewsAtOnceMax} tokens are being looked up already
 */
export const tokenReviews: Effect.Effect<
  (token: string) => Effect.Effect<User | undefined, ApiFailure>,
  never,
  Kube | Scope.Scope
> = Effect.gen(function* () {
  const kube = yield* Kube
  let running = 0
  return yield* keptAnswers({
    ask: (token: string) =>
      Effect.suspend(() => {
        if (running >= reviewsAtOnceMax) {
          return Effect.fail(
            failure("TooManyRequests", "too many tokens are being looked up: try again", {
              retryAfterSeconds: 1
            })
          )
        }
        running++
        return review(kube, tokenReview, { token }).pipe(
          Effect.map(userFrom),
          Effect.mapError(() => unavailable("the cluster cannot be asked who calls: try again")),
          Effect.ensuring(Effect.sync(() => void running--))
        )
      }),
    keptMillis,
    answersMax: tokensMax
  })
})

const userFrom = ({ authenticated, user }: typeof TokenStatus.Type): User | undefined =>
  authenticated !== true || user?.username === undefined || user.username === ""
    ? undefined
    : { name: user.username, uid: user.uid ?? "", groups: user.groups ?? [], extra: user.extra ?? {} }
