/** A question to the cluster, answered by the status of an object that is never stored. */
import { type Cause, Effect, Metric, Schedule, Schema } from "effect"
import type { Kube, KubeError } from "../../clients/kube/Kube.ts"
import { counterFamily } from "../../runtime/Metrics.ts"

/** For all attempts together: who waits for the answer gives up soon after. */
const answerWait = "10 seconds"

const attempts = Schedule.exponential("200 millis").pipe(Schedule.jittered, Schedule.upTo({ times: 3 }))

const reviews = {
  SubjectAccessReview: counterFamily(
    "activity_apiserver_access_reviews_total",
    "Times that the cluster was asked what a caller may do",
    "outcome",
    ["answered", "failed"]
  ),
  TokenReview: counterFamily(
    "activity_apiserver_token_reviews_total",
    "Times that the cluster was asked whose a token is",
    "outcome",
    ["answered", "failed"]
  )
}

export interface Review<Status> {
  readonly kind: "SubjectAccessReview" | "TokenReview"
  readonly status: Schema.Codec<Status, unknown>
}

const places = {
  SubjectAccessReview: "authorization.k8s.io/v1/subjectaccessreviews",
  TokenReview: "authentication.k8s.io/v1/tokenreviews"
}

export const review = <Status>(
  kube: Kube["Service"],
  { kind, status }: Review<Status>,
  spec: object
): Effect.Effect<Status, KubeError | Schema.SchemaError | Cause.TimeoutError> => {
  const place = places[kind]
  const body = { apiVersion: place.slice(0, place.lastIndexOf("/")), kind, spec }
  return kube.call({ method: "POST", path: `/apis/${place}`, body }).pipe(
    Effect.retry({ schedule: attempts, while: mayPass }),
    Effect.flatMap(Schema.decodeUnknownEffect(Schema.Struct({ status }))),
    Effect.map((answer) => answer.status),
    Effect.timeout(answerWait),
    Effect.tap(Metric.update(reviews[kind].answered, 1)),
    Effect.tapError(() => Metric.update(reviews[kind].failed, 1)),
    Effect.tapError((problem) => Effect.logWarning(`no answer to a ${kind}`, { problem: problem.message }))
  )
}

/** A kube-apiserver that has just started does not know yet what this server may ask. */
const mayPass = (error: KubeError): boolean =>
  error.retryable || (error.reason._tag === "KubeRefused" && error.reason.code === 403)
