/** What a caller may do. */
import { Context, Effect } from "effect"
import { type ApiFailure, failure } from "../ApiFailure.ts"
import type { PathRequest, ResourceAttributes } from "../http/RequestInfo.ts"
import type { User } from "./Authenticator.ts"

export type Attributes = ResourceAttributes | PathRequest

export class Authorizer extends Context.Service<
  Authorizer,
  {
    /** @fails ApiFailure InternalError when nobody can be asked: nothing is allowed then */
    readonly allows: (user: User, attributes: Attributes) => Effect.Effect<boolean, ApiFailure>
  }
>()("activity/serve/auth/Authorizer") {}

/** Its members may do everything, as in kube-apiserver, also while nobody can be asked. */
export const mastersGroup = "system:masters"

/** Probes need no role, and no credentials: a kubelet has none. */
export const probePaths: ReadonlySet<string> = new Set(["/healthz", "/livez", "/readyz"])

/** @fails ApiFailure Forbidden, in kube-apiserver's own words */
export const authorize = (user: User, attributes: Attributes): Effect.Effect<void, ApiFailure, Authorizer> =>
  Effect.gen(function* () {
    if (attributes._tag === "Path" && probePaths.has(attributes.path)) return
    const authorizer = yield* Authorizer
    if (yield* authorizer.allows(user, attributes)) return
    return yield* forbidden(user, attributes)
  })

export const forbidden = (user: User, attributes: Attributes, why = ""): ApiFailure => {
  const suffix = why === "" ? "" : `: ${why}`
  if (attributes._tag === "Path") {
    return failure(
      "Forbidden",
      `forbidden: User "${user.name}" cannot ${attributes.verb} path "${attributes.path}"${suffix}`,
      {}
    )
  }
  const { group, name, namespace, resource, subresource, verb } = attributes
  const where = namespace === "" ? " at the cluster scope" : ` in the namespace "${namespace}"`
  return failure(
    "Forbidden",
    `${group === "" ? resource : `${resource}.${group}`}${name === "" ? "" : ` "${name}"`} is forbidden: User "${user.name}" cannot ${verb} resource ` +
      `"${resource}${subresource === "" ? "" : `/${subresource}`}" in API group "${group}"${where}${suffix}`,
    { ...(name === "" ? {} : { name }), group, kind: resource }
  )
}
