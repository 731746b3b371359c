import type { Tenant } from "./Tenant.ts"

/**
 * What a caller may see. Enforced below the query builder: every read takes one, none is optional.
 *
 * - Platform: every tenant (asked for with the platform permission)
 * - Tenant: rows of exactly this tenant
 * - User: what this person did, in any tenant
 * - ApiGroup: what concerns the resources of one API group, in every tenant (asked for with that group's permission)
 * - Namespace: rows of one namespace of one cluster and tenant (a caller without a tenant)
 */
export type Scope =
  | { readonly _tag: "Platform" }
  | { readonly _tag: "Tenant"; readonly tenant: Tenant }
  | { readonly _tag: "User"; readonly uid: string }
  | { readonly _tag: "ApiGroup"; readonly apiGroup: string }
  | { readonly _tag: "Namespace"; readonly cluster: string; readonly tenant: Tenant; readonly namespace: string }

/** Where a fact stands, as scopes see it. */
export interface Standing {
  readonly tenant: Tenant
  readonly cluster: string
  /** "" at the scope of the cluster. */
  readonly namespace: string
  /** Of what the fact is about; "" is the core group. */
  readonly apiGroup: string
  /** Of who did it; "" where nobody did it, or nobody knows who. */
  readonly userUid: string
}

/**
 * Whether a caller of the scope may see the fact: what a read's condition says in SQL (store/scopedRead.ts), for whoever
 * holds the fact itself, as watches do.
 */
export const holds = (scope: Scope, { apiGroup, cluster, namespace, tenant, userUid }: Standing): boolean => {
  switch (scope._tag) {
    case "Platform":
      return true
    case "Tenant":
      return isSameTenant(scope.tenant, tenant)
    case "User":
      // Facts of nobody have an empty uid too.
      return scope.uid !== "" && userUid === scope.uid
    case "ApiGroup":
      return apiGroup === scope.apiGroup
    case "Namespace":
      return cluster === scope.cluster && isSameTenant(scope.tenant, tenant) && namespace === scope.namespace
  }
}

const isSameTenant = (one: Tenant, other: Tenant): boolean => one.type === other.type && one.name === other.name

/** One text per scope, for cursors and caches: equal texts are equal scopes. */
export const scopeText = (scope: Scope): string => JSON.stringify(scope)
