/** What the queries and facet queries of each kind of fact have in common. */
import type { FilterKind } from "../../cel/Filter.ts"
import { activityFacetFields, auditLogFacetFields, eventFacetFields } from "../../domain/facetFields.ts"
import { apiGroupFrom } from "../../normalise/kubernetesEventFrom.ts"

export interface FactKind {
  readonly kind: FilterKind
  readonly facetFields: ReadonlyArray<string>
  /** Fields whose empty value is no value: what most facts do not have. */
  readonly emptyFacets: ReadonlySet<string>
  /** The field that names the API group of what a fact is about, and how. */
  readonly apiGroup: { readonly path: string; readonly of: (text: string) => string }
  /** What a caller without a tenant must be allowed to do in the namespace that it asks about. */
  readonly needed: { readonly verb: string; readonly resource: string }
}

const asItIs = (text: string): string => text

export const activityFacts: FactKind = {
  kind: "activity",
  facetFields: activityFacetFields,
  emptyFacets: new Set(),
  apiGroup: { path: "spec.resource.apiGroup", of: asItIs },
  needed: { verb: "list", resource: "activities" }
}

export const auditLogFacts: FactKind = {
  kind: "record",
  facetFields: auditLogFacetFields,
  emptyFacets: new Set(),
  apiGroup: { path: "objectRef.apiGroup", of: asItIs },
  // Audit records are no resource that could be listed.
  needed: { verb: "create", resource: "auditlogqueries" }
}

export const eventFacts: FactKind = {
  kind: "event",
  facetFields: eventFacetFields,
  emptyFacets: new Set(["related.kind", "related.namespace"]),
  apiGroup: { path: "regarding.apiVersion", of: apiGroupFrom },
  needed: { verb: "list", resource: "eventrecords" }
}
