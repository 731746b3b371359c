/** The CustomResourceDefinitions in which a cluster keeps what is ours, brought to this version. */
import { Effect, Schedule } from "effect"
import { Kube, type KubeError } from "../../clients/kube/Kube.ts"
import { recordDefinitions } from "../../contracts/recordDefinitions.ts"
import { StartRefused } from "../../runtime/StartRefused.ts"

const path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

/** An API server takes about a second for a definition. */
const establishedTime = "30 seconds"

/**
 * Applied by the server, over whoever applied them before, and waited for until they are established. Two at once, or
 * twice, do no harm.
 *
 * @param whose where server and credentials come from, for the sentence of a failure
 * @returns a sentence for each
 * @fails StartRefused when the API server does not answer, refuses, or does not establish one
 */
export const applyDefinitions = Effect.fnUntraced(function* (whose: string) {
  const kube = yield* Kube
  const refused = (error: KubeError) =>
    new StartRefused({
      sentence: `The CustomResourceDefinitions cannot be applied at ${kube.server} of ${whose}: ${error.message}.`
    })
  return yield* Effect.forEach(recordDefinitions, (definition) =>
    Effect.gen(function* () {
      const { name } = definition.metadata
      const before = yield* stateOf(kube, name)
      yield* kube.call({
        method: "PATCH",
        path: `${path}/${name}?fieldManager=activity-migrate&force=true`,
        headers: { "content-type": "application/apply-patch+yaml" },
        body: JSON.stringify(definition)
      })
      const after = yield* stateOf(kube, name).pipe(
        Effect.repeat({ until: ({ established }) => established, schedule: Schedule.spaced("200 millis") }),
        Effect.timeoutOrElse({
          duration: establishedTime,
          orElse: () =>
            Effect.fail(new StartRefused({ sentence: `${name} is not established: see kubectl describe crd ${name}.` }))
        })
      )
      return before.generation === after.generation ? `${name} is up to date.` : `Applied ${name}.`
    }).pipe(Effect.catchTag("KubeError", (error) => Effect.fail(refused(error))))
  )
})

interface DefinitionState {
  /** 0 when it is not there. */
  readonly generation: number
  readonly established: boolean
}

const stateOf = (kube: Kube["Service"], name: string): Effect.Effect<DefinitionState, KubeError> =>
  kube.call({ method: "GET", path: `${path}/${name}` }).pipe(
    Effect.map((answer) => {
      // As apiextensions.k8s.io/v1 says.
      const { metadata, status } = answer as {
        readonly metadata: { readonly generation?: number }
        readonly status?: { readonly conditions?: ReadonlyArray<{ readonly type: string; readonly status: string }> }
      }
      return {
        generation: metadata.generation ?? 0,
        established: (status?.conditions ?? []).some((one) => one.type === "Established" && one.status === "True")
      }
    }),
    Effect.catchIf(
      ({ reason }) => reason._tag === "KubeRefused" && reason.code === 404,
      () => Effect.succeed({ generation: 0, established: false })
    )
  )
