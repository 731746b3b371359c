/** The verbs of resources whose objects are stored facts. */
import { Effect, type Scope as Lifetime } from "effect"
import type { Scope } from "../../domain/Scope.ts"
import type { ApiFailure } from "../ApiFailure.ts"
import type { Drain } from "../Drain.ts"
import type { Answer, Call } from "../http/Call.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"
import type { Places } from "../Places.ts"
import type { ServedFact } from "./FactFrames.ts"
import type { FactResource } from "./FactResource.ts"
import type { FilterTime } from "./FilterTime.ts"
import { type FactListOptions, getFact, listFacts } from "./listFacts.ts"
import { watchFacts } from "./watchFacts.ts"

/** get, list or watch. */
export const serveFacts = <A, O extends ServedFact>(
  call: Call,
  request: ResourceRequest,
  scope: Scope,
  options: FactListOptions,
  resource: FactResource<A, O>
): Effect.Effect<Answer, ApiFailure, Drain | FilterTime | Lifetime.Scope | Places> => {
  const answer: Effect.Effect<Answer, ApiFailure, Drain | FilterTime | Lifetime.Scope | Places> =
    request.verb === "get"
      ? getFact(call, request, scope, resource)
      : request.verb === "watch"
        ? watchFacts(call, request, scope, resource)
        : listFacts(call, request, scope, options, resource)
  return answer.pipe(Effect.withSpan(`serve.${request.verb}`, { attributes: { resource: resource.form.of.plural } }))
}
