/** The questions among the resources: created, answered, forgotten. */
import type { Effect, Scope } from "effect"
import {
  activityFacetQueriesResource,
  auditLogFacetsQueriesResource,
  eventFacetQueriesResource
} from "../../contracts/queryResources.ts"
import { groupName, type Resource } from "../../contracts/resources.ts"
import type { FactQueries } from "../../store/FactQueries.ts"
import type { ActivityFeed } from "../activities/ActivityFeed.ts"
import type { ApiFailure } from "../ApiFailure.ts"
import type { Authorizer } from "../auth/Authorizer.ts"
import type { Drain } from "../Drain.ts"
import type { EventFeed } from "../events/EventFeed.ts"
import { exportQuery } from "../exports/exportQuery.ts"
import type { Answer, Call } from "../http/Call.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"
import type { Places } from "../Places.ts"
import type { QueryOptions } from "./askedQuery.ts"
import { createFacetQuery, type FacetQueryKind } from "./createFacetQuery.ts"
import { createQuery } from "./createQuery.ts"
import { activityFacts, auditLogFacts, eventFacts } from "./factKinds.ts"
import { queryKinds } from "./queryKinds.ts"

const facetQueryKinds: ReadonlyArray<FacetQueryKind> = [
  { resource: activityFacetQueriesResource, facts: activityFacts },
  { resource: auditLogFacetsQueriesResource, facts: auditLogFacts },
  { resource: eventFacetQueriesResource, facts: eventFacts }
]

/** Whether all that it finds can be had as lines. */
export const isExportable = ({ group, resource, verb }: ResourceRequest): boolean =>
  group === groupName && verb === "create" && queryKinds.some((kind) => kind.resource.plural === resource)

/** Undefined: the resource is no question. */
export const queryRequest = (
  call: Call,
  request: ResourceRequest,
  resource: Resource,
  options: QueryOptions
):
  | Effect.Effect<
      Answer,
      ApiFailure,
      ActivityFeed | Authorizer | Drain | EventFeed | FactQueries | Places | Scope.Scope
    >
  | undefined => {
  const query = queryKinds.find((kind) => kind.resource === resource)
  const { form } = call.accepted
  if (query !== undefined) {
    return form._tag === "Export"
      ? exportQuery(call, request, query, form.type, options)
      : createQuery(call, request, query, options)
  }
  const facetQuery = facetQueryKinds.find((kind) => kind.resource === resource)
  return facetQuery === undefined ? undefined : createFacetQuery(call, request, facetQuery, options)
}
