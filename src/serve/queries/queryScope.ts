/** On which facts a query may be answered. */
import { Effect } from "effect"
import type { Scope } from "../../domain/Scope.ts"
import type { ApiFailure } from "../ApiFailure.ts"
import type { Authorizer } from "../auth/Authorizer.ts"
import { callerScope, type ScopeOptions } from "../auth/callerScope.ts"
import type { Call } from "../http/Call.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"
import type { FactKind } from "./factKinds.ts"
import type { Selection } from "./querySelection.ts"

/**
 * A query names its namespace in its body, where no API server has looked: without a tenant, the caller must be allowed
 * to read that namespace besides creating queries.
 *
 * @fails ApiFailure Forbidden
 */
export const queryScope = (
  call: Call,
  request: ResourceRequest,
  facts: FactKind,
  { apiGroup, namespace }: Selection,
  options: ScopeOptions
): Effect.Effect<Scope, ApiFailure, Authorizer> =>
  Effect.gen(function* () {
    const inNamespace = { ...request, namespace: namespace ?? "" }
    const scope = yield* callerScope(call.user, inNamespace, options, apiGroup)
    if (scope._tag === "Namespace") yield* call.authorize({ ...inNamespace, ...facts.needed })
    return scope
  })
