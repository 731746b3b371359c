/** Authorization by the cluster: every question is a SubjectAccessReview, its answer kept for a while. */
import { Effect, Layer, Schema } from "effect"
import { Kube } from "../../clients/kube/Kube.ts"
import { failure } from "../ApiFailure.ts"
import type { User } from "./Authenticator.ts"
import { type Attributes, Authorizer, mastersGroup } from "./Authorizer.ts"
import { keptAnswers } from "./keptAnswers.ts"
import { type Review, review } from "./review.ts"

/** A role that was given or taken counts after so long. */
const keptMillis = 10_000

/** Of about 150 bytes each: a hash and a boolean. */
const answersMax = 16_384

const subjectAccessReview: Review<{ readonly allowed: boolean; readonly denied?: boolean }> = {
  kind: "SubjectAccessReview",
  status: Schema.Struct({ allowed: Schema.Boolean, denied: Schema.optionalKey(Schema.Boolean) })
}

export const subjectAccessLayer: Layer.Layer<Authorizer, never, Kube> = Layer.effect(
  Authorizer,
  Effect.gen(function* () {
    const kube = yield* Kube
    const allowed = yield* keptAnswers({
      ask: (spec: ReturnType<typeof specFrom>) =>
        review(kube, subjectAccessReview, spec).pipe(
          Effect.map(({ allowed, denied }) => allowed && denied !== true),
          Effect.mapError(() =>
            failure("InternalError", "Internal error occurred: the cluster cannot be asked what the caller may do")
          )
        ),
      keptMillis,
      answersMax
    })
    return Authorizer.of({
      allows: (user, attributes) =>
        user.groups.includes(mastersGroup) ? Effect.succeed(true) : allowed(specFrom(user, attributes))
    })
  })
)

/** Everything that a decision may depend on: two questions are one when all of it is the same. */
const specFrom = (user: User, attributes: Attributes) => ({
  user: user.name,
  groups: user.groups,
  ...(user.uid === "" ? {} : { uid: user.uid }),
  ...(Object.keys(user.extra).length === 0 ? {} : { extra: user.extra }),
  ...(attributes._tag === "Path"
    ? { nonResourceAttributes: { path: attributes.path, verb: attributes.verb } }
    : {
        resourceAttributes: {
          verb: attributes.verb,
          group: attributes.group,
          version: attributes.version,
          resource: attributes.resource,
          subresource: attributes.subresource,
          namespace: attributes.namespace,
          name: attributes.name
        }
      })
})
