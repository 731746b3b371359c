/** What the cluster says of kinds: which resource is which kind, and what their definitions call them for people. */
import { Effect, Layer } from "effect"
import { makeDiscovery } from "../clients/kube/discovery.ts"
import { kubeCache } from "../clients/kube/KubeCache.ts"
import type { KubeObject } from "../clients/kube/Kube.ts"
import { KindDiscovery } from "../process/PolicyCache.ts"

const definitionsPath = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

/** Evaluation does not wait for a cluster that does not answer: what is not known yet is told by bodies and plurals. */
const firstAnswerTime = "10 seconds"

/** Kinds of API servers behind the cluster's come without a word; records of kinds that are gone ask for ever. */
const unknownMillisMin = 60_000

export const clusterKindsLayer = Layer.effect(
  KindDiscovery,
  Effect.gen(function* () {
    const discovery = yield* makeDiscovery
    const definitions = yield* kubeCache(definitionsPath, { name: "kind-labels", role: "informative" }, definedKind)
    const refresh = discovery.refresh.pipe(
      Effect.catch((error) => Effect.logDebug("the cluster's kinds could not be read", error))
    )
    yield* Effect.all([refresh, definitions.listed], { concurrency: 2 }).pipe(Effect.timeoutOption(firstAnswerTime))

    let isUnknownAsked = false
    yield* Effect.suspend(() => (isUnknownAsked ? refresh : Effect.void)).pipe(
      Effect.andThen(
        Effect.suspend(() => {
          isUnknownAsked = false
          return Effect.sleep(unknownMillisMin)
        })
      ),
      Effect.forever,
      Effect.forkScoped
    )
    return {
      kindOf: (apiGroup, resource) => {
        // Discovery learns seconds later of a kind that has been defined; its definition is named PLURAL.GROUP.
        const defined = definitions.current().get(`${resource}.${apiGroup}`)
        const kind = defined?.kind ?? discovery.knownByPlural(apiGroup, resource)?.kind
        if (kind === undefined) isUnknownAsked = true
        return kind
      },
      annotationsOf: (apiGroup, kind) => {
        for (const defined of definitions.current().values()) {
          if (defined.apiGroup === apiGroup && defined.kind === kind) return defined.annotations
        }
        return undefined
      },
      changes: definitions.changes
    }
  })
)

interface DefinedKind {
  readonly apiGroup: string
  readonly kind: string
  readonly annotations: Readonly<Record<string, string>>
}

const labelPrefix = "activity.miloapis.com/kind-label"

/** Of a CustomResourceDefinition, whose schemas are the larger part, what is looked at. */
const definedKind = (definition: KubeObject): DefinedKind => {
  // As apiextensions.k8s.io/v1 says; what is missing there names no kind.
  const spec = definition["spec"] as
    | { readonly group?: string; readonly names?: { readonly kind?: string } }
    | undefined
  return {
    apiGroup: spec?.group ?? "",
    kind: spec?.names?.kind ?? "",
    annotations: Object.fromEntries(
      Object.entries(definition.metadata.annotations ?? {}).filter(([name]) => name.startsWith(labelPrefix))
    )
  }
}
