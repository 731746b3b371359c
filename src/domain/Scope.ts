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

/** One text per scope, for cursors and caches: equal texts are equal scopes. */
export const scopeText = (scope: Scope): string => JSON.stringify(scope)
