/** The questions among the resources: created, answered, forgotten. */
import type { Effect } from "effect"
import {
  activityFacetQueriesResource,
  auditLogFacetsQueriesResource,
  eventFacetQueriesResource
} from "../../contracts/queryResources.ts"
import type { Resource } from "../../contracts/resources.ts"
import type { FactQueries } from "../../store/FactQueries.ts"
import type { ApiFailure } from "../ApiFailure.ts"
import type { Authorizer } from "../auth/Authorizer.ts"
import type { Answer, Call } from "../http/Call.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"
import { createFacetQuery, type FacetQueryKind } from "./createFacetQuery.ts"
import { createQuery, type QueryOptions } from "./createQuery.ts"
import { activityFacts, auditLogFacts, eventFacts } from "./factKinds.ts"
import { queryKinds } from "./queryKinds.ts"

const facetQueryKinds: ReadonlyArray<FacetQueryKind> = [
  { resource: activityFacetQueriesResource, facts: activityFacts },
  { resource: auditLogFacetsQueriesResource, facts: auditLogFacts },
  { resource: eventFacetQueriesResource, facts: eventFacts }
]

/** Undefined: the resource is no question. */
export const queryRequest = (
  call: Call,
  request: ResourceRequest,
  resource: Resource,
  options: QueryOptions
): Effect.Effect<Answer, ApiFailure, Authorizer | FactQueries> | undefined => {
  const query = queryKinds.find((kind) => kind.resource === resource)
  if (query !== undefined) return createQuery(call, request, query, options)
  const facetQuery = facetQueryKinds.find((kind) => kind.resource === resource)
  return facetQuery === undefined ? undefined : createFacetQuery(call, request, facetQuery, options)
}
