/**
 * Whose a namespace is: the tenant that its labels name.
 *
 * An Event's own annotations say nothing beyond that: whoever may write Events in a namespace could otherwise put them
 * before another tenant's eyes.
 */
import { Effect, Schedule, type Scope } from "effect"
import { Kube, type KubeError, type KubeObject } from "../../clients/kube/Kube.ts"
import { kubeCache } from "../../clients/kube/KubeCache.ts"
import { isStatus } from "../../clients/kube/kubeFailures.ts"
import { isAtLeast } from "../../clients/kube/listPage.ts"
import { type Tenant, tenantTypeFrom } from "../../domain/Tenant.ts"
import type { Health } from "../../runtime/Health.ts"

/** Labels of a namespace. Half of the pair counts as none. */
export const tenantLabels = {
  type: "platform.miloapis.com/scope.type",
  name: "platform.miloapis.com/scope.name"
} as const

export interface NamespaceTenants {
  /** Returns when all namespaces are known. */
  readonly listed: Effect.Effect<void>
  /**
   * Undefined where it is not known here whose the namespace was when objects of these resourceVersions were there:
   * {@link ask}. A namespace may have been relabelled, or be another of the same name, before its watch says so.
   */
  readonly known: (namespace: string, resourceVersions: ReadonlyArray<string>) => Tenant | undefined
  /** Asks the server; the default tenant where it has no such namespace (any more). Waits for the server as long as it takes. */
  readonly ask: (namespace: string) => Effect.Effect<Tenant>
}

const path = "/api/v1/namespaces"
const askAgain = Schedule.min([Schedule.exponential("500 millis"), Schedule.spaced("10 seconds")])

/** Followed as long as the scope lives. */
export const namespaceTenants = (
  defaultTenant: Tenant
): Effect.Effect<NamespaceTenants, never, Kube | Health | Scope.Scope> =>
  Effect.gen(function* () {
    const kube = yield* Kube
    const tenantOf = (namespace: KubeObject) => tenantFromLabels(namespace) ?? defaultTenant
    const cache = yield* kubeCache(path, { name: "namespaces", role: "ready" }, tenantOf)
    return {
      listed: cache.listed,
      known: (namespace, resourceVersions) => {
        if (namespace === "") return defaultTenant
        const position = cache.position()
        const isBehind = resourceVersions.some((version) => !isAtLeast(position, version))
        return isBehind ? undefined : cache.current().get(namespace)
      },
      ask: (namespace) =>
        kube.call({ method: "GET", path: `${path}/${encodeURIComponent(namespace)}` }).pipe(
          // A Namespace by its path.
          Effect.map((found) => tenantOf(found as KubeObject)),
          Effect.catchIf(
            (error: KubeError) => isStatus(error, 404),
            () => Effect.succeed(defaultTenant)
          ),
          Effect.tapError((error) => Effect.logWarning("the tenant of a namespace is not known yet", error)),
          Effect.retry(askAgain),
          // The schedule has no end.
          Effect.orDie
        )
    }
  })

const tenantFromLabels = ({ metadata }: KubeObject): Tenant | undefined => {
  const type = metadata.labels?.[tenantLabels.type] ?? ""
  const name = metadata.labels?.[tenantLabels.name] ?? ""
  return type === "" || name === "" ? undefined : { type: tenantTypeFrom(type), name }
}
