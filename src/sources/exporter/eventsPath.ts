/** Where a server has Events: one of the two API versions, which are two views of the same objects. */
import { Effect } from "effect"
import { Kube, type KubeError } from "../../clients/kube/Kube.ts"
import { isStatus } from "../../clients/kube/kubeFailures.ts"

const newer = "/apis/events.k8s.io/v1"

/** The path of the newer one where the server has it. */
export const eventsPath: Effect.Effect<string, KubeError, Kube> = Effect.gen(function* () {
  const kube = yield* Kube
  const hasNewer = yield* kube.call({ method: "GET", path: newer }).pipe(
    Effect.as(true),
    Effect.catchIf(
      (error) => isStatus(error, 404),
      () => Effect.succeed(false)
    )
  )
  return hasNewer ? `${newer}/events` : "/api/v1/events"
})
