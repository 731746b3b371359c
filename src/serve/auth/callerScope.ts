/**
 * What of the stored facts a caller may see. Whatever is unclear is refused.
 */
import { Effect } from "effect"
import { groupName } from "../../contracts/resources.ts"
import type { Scope } from "../../domain/Scope.ts"
import type { Tenant } from "../../domain/Tenant.ts"
import type { ApiFailure } from "../ApiFailure.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"
import type { User } from "./Authenticator.ts"
import { type Attributes, Authorizer, forbidden } from "./Authorizer.ts"

export interface ScopeOptions {
  /** The cluster whose namespaces callers without a tenant may read. */
  readonly cluster: string
  /** The tenant that facts of that cluster belong to where they name none. */
  readonly defaultTenant: Tenant
  /** Refuse callers without a tenant, also inside a namespace. */
  readonly tenancyRequired: boolean
}

export const parentType = "iam.miloapis.com/parent-type"
export const parentName = "iam.miloapis.com/parent-name"

const tenantTypes = new Map([
  ["organization", "Organization"],
  ["project", "Project"],
  ["user", "User"]
])

/** Scopes are no objects: they are names that a role may allow to `get`. */
const permissionOf = (scope: string): Attributes => ({
  _tag: "Resource",
  verb: "get",
  group: groupName,
  version: "v1alpha1",
  resource: "scopes",
  subresource: "",
  namespace: "",
  name: scope
})

/**
 * The caller may already do what it asks; this says on which facts.
 *
 * @param apiGroup the one API group that the request is limited to, where it says so: who has no right to the whole
 * platform may have it for that group
 * @fails ApiFailure Forbidden when the caller's tenant is incomplete or unknown, or it asks for more than it may see
 */
export const callerScope = (
  user: User,
  request: ResourceRequest,
  options: ScopeOptions,
  apiGroup?: string
): Effect.Effect<Scope, ApiFailure, Authorizer> =>
  Effect.gen(function* () {
    const types = valuesOf(user, parentType)
    const names = valuesOf(user, parentName)
    if (types !== undefined || names !== undefined) {
      const type = types?.length === 1 ? tenantTypes.get((types[0] ?? "").toLowerCase()) : undefined
      const name = names?.length === 1 ? (names[0] ?? "") : ""
      if (type === undefined || name === "") {
        return yield* forbidden(user, request, "the tenant in the user's extra is incomplete, repeated or unknown")
      }
      return type === "User" ? { _tag: "User", uid: name } : { _tag: "Tenant", tenant: { type, name } }
    }
    const authorizer = yield* Authorizer
    if (request.namespace === "") {
      if (yield* authorizer.allows(user, permissionOf("platform"))) return { _tag: "Platform" }
      if (apiGroup !== undefined && (yield* authorizer.allows(user, permissionOf(`group:${apiGroup}`)))) {
        return { _tag: "ApiGroup", apiGroup }
      }
      return yield* forbidden(
        user,
        request,
        `without a tenant, all namespaces need "get" on scopes.${groupName} named "platform", or named ` +
          `"group:<api group>" where a field selector, or a question's filter, leaves that API group alone`
      )
    }
    if (options.tenancyRequired) {
      return yield* forbidden(user, request, "this server needs a tenant in the user's extra")
    }
    return { _tag: "Namespace", cluster: options.cluster, tenant: options.defaultTenant, namespace: request.namespace }
  })

/** Keys of extra are lower case behind kube-apiserver, and compared without case everywhere. */
const valuesOf = (user: User, key: string): ReadonlyArray<string> | undefined => {
  const found = Object.entries(user.extra).filter(([name]) => name.toLowerCase() === key)
  return found.length === 0 ? undefined : found.flatMap(([, values]) => values)
}
