/**
 * Which resources a server has: kind and plural of each group, from aggregated discovery.
 *
 * @source https://kubernetes.io/docs/concepts/overview/kubernetes-api/#aggregated-discovery
 */
import { Effect, Semaphore } from "effect"
import { Kube, type KubeError } from "./Kube.ts"

export interface KubeResource {
  /** "" for the core group. */
  readonly group: string
  /** The group's preferred version that has it. */
  readonly version: string
  readonly plural: string
  readonly kind: string
  readonly namespaced: boolean
}

export interface Discovery {
  /** As of the last {@link refresh}; undefined where the server had none of that name. */
  readonly knownByPlural: (group: string, plural: string) => KubeResource | undefined
  readonly refresh: Effect.Effect<void, KubeError>
}

const accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

export const makeDiscovery: Effect.Effect<Discovery, never, Kube> = Effect.gen(function* () {
  const kube = yield* Kube
  const oneAtATime = yield* Semaphore.make(1)
  let byPlural: ReadonlyMap<string, KubeResource> = new Map()

  const groupsAt = (path: string) =>
    Effect.map(kube.call({ method: "GET", path, headers: { accept } }), (answer) =>
      // Answered by an API server in the form that was asked for; what leaves a field out has nothing there.
      resourcesIn(answer as GroupList)
    )
  const refresh = Effect.gen(function* () {
    const found = (yield* Effect.all([groupsAt("/api"), groupsAt("/apis")], { concurrency: 2 })).flat()
    byPlural = firstOf(found)
  })
  return {
    knownByPlural: (group, plural) => byPlural.get(keyOf(group, plural)),
    refresh: oneAtATime.withPermits(1)(refresh)
  }
})

interface GroupList {
  readonly items?: ReadonlyArray<{
    readonly metadata?: { readonly name?: string }
    /** The preferred one first. */
    readonly versions?: ReadonlyArray<{
      readonly version?: string
      readonly resources?: ReadonlyArray<{
        readonly resource?: string
        readonly responseKind?: { readonly kind?: string }
        readonly scope?: string
      }>
    }>
  }>
}

const resourcesIn = (list: GroupList): ReadonlyArray<KubeResource> =>
  (list.items ?? []).flatMap((group) =>
    (group.versions ?? []).flatMap(({ resources, version }) =>
      (resources ?? []).map((resource) => ({
        group: group.metadata?.name ?? "",
        version: version ?? "",
        plural: resource.resource ?? "",
        kind: resource.responseKind?.kind ?? "",
        namespaced: resource.scope === "Namespaced"
      }))
    )
  )

const keyOf = (group: string, name: string): string => `${group}/${name}`

/** By group and plural, the first version that has it. */
const firstOf = (resources: ReadonlyArray<KubeResource>): ReadonlyMap<string, KubeResource> => {
  const found = new Map<string, KubeResource>()
  for (const resource of resources) {
    const key = keyOf(resource.group, resource.plural)
    if (!found.has(key)) found.set(key, resource)
  }
  return found
}
