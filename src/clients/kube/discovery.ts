/**
 * Which resources a server has: kind and plural of each group, from aggregated discovery.
 *
 * Read at the first question, and again when something unknown is asked for, at most every ten seconds: what was not
 * there a moment ago may have been installed since.
 *
 * @source https://kubernetes.io/docs/concepts/overview/kubernetes-api/#aggregated-discovery
 */
import { Clock, Effect, Semaphore } from "effect"
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
  /** Undefined where the server has none of that name. */
  readonly byPlural: (group: string, plural: string) => Effect.Effect<KubeResource | undefined, KubeError>
  readonly byKind: (group: string, kind: string) => Effect.Effect<KubeResource | undefined, KubeError>
  /** The same from what is known, without asking. */
  readonly knownByPlural: (group: string, plural: string) => KubeResource | undefined
  readonly knownByKind: (group: string, kind: string) => KubeResource | undefined
  readonly refresh: Effect.Effect<void, KubeError>
}

const refreshMillisMin = 10_000

const accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

export const makeDiscovery: Effect.Effect<Discovery, never, Kube> = Effect.gen(function* () {
  const kube = yield* Kube
  const clock = yield* Clock.Clock
  const now = () => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
  const oneAtATime = yield* Semaphore.make(1)
  let byPlural: ReadonlyMap<string, KubeResource> = new Map()
  let byKind: ReadonlyMap<string, KubeResource> = new Map()
  let readAt = Number.NEGATIVE_INFINITY

  const groupsAt = (path: string) =>
    Effect.map(kube.call({ method: "GET", path, headers: { accept } }), (answer) =>
      // Answered by an API server in the form that was asked for; what leaves a field out has nothing there.
      resourcesIn(answer as GroupList)
    )
  const refresh = Effect.gen(function* () {
    const found = (yield* Effect.all([groupsAt("/api"), groupsAt("/apis")], { concurrency: 2 })).flat()
    byPlural = firstOf(found, (resource) => keyOf(resource.group, resource.plural))
    byKind = firstOf(found, (resource) => keyOf(resource.group, resource.kind))
    readAt = now()
  })
  const ask = (look: () => KubeResource | undefined) =>
    Effect.gen(function* () {
      if (look() === undefined) {
        yield* oneAtATime.withPermits(1)(
          Effect.suspend(() => (look() !== undefined || now() - readAt < refreshMillisMin ? Effect.void : refresh))
        )
      }
      return look()
    })
  const knownByPlural = (group: string, plural: string) => byPlural.get(keyOf(group, plural))
  const knownByKind = (group: string, kind: string) => byKind.get(keyOf(group, kind))
  return {
    byPlural: (group, plural) => ask(() => knownByPlural(group, plural)),
    byKind: (group, kind) => ask(() => knownByKind(group, kind)),
    knownByPlural,
    knownByKind,
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

const firstOf = (
  resources: ReadonlyArray<KubeResource>,
  key: (resource: KubeResource) => string
): ReadonlyMap<string, KubeResource> => {
  const found = new Map<string, KubeResource>()
  for (const resource of resources) if (!found.has(key(resource))) found.set(key(resource), resource)
  return found
}
