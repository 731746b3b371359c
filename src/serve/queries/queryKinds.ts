/** The questions that are answered with facts. */
import {
  activityQueriesResource,
  auditLogQueriesResource,
  eventQueriesResource
} from "../../contracts/queryResources.ts"
import type { Resource } from "../../contracts/resources.ts"
import type { StoredFact } from "../../store/FactQueries.ts"
import { activityOf, servedActivity } from "../activities/served.ts"
import { activityFacts, auditLogFacts, eventFacts, type FactKind } from "./factKinds.ts"

export interface QueryKind {
  readonly resource: Resource
  readonly facts: FactKind
  /** The most days that one query may ask for where no setting says so, as existing clients know it. */
  readonly daysMax: number
  /** One result, as JSON. */
  readonly resultText: (fact: StoredFact, apiVersion: string) => string
}

/** Kubernetes Events are of another group: in this one they stand in an object of its own. */
const eventRecordText = ({ json }: StoredFact, apiVersion: string): string => {
  const { metadata } = JSON.parse(json)
  return `{"apiVersion":${JSON.stringify(apiVersion)},"kind":"EventRecord","metadata":${JSON.stringify(metadata)},"event":${json}}`
}

export const queryKinds: ReadonlyArray<QueryKind> = [
  {
    resource: activityQueriesResource,
    facts: activityFacts,
    daysMax: 30,
    resultText: (fact, apiVersion) => JSON.stringify(servedActivity(activityOf(fact), fact.sequence, apiVersion))
  },
  { resource: auditLogQueriesResource, facts: auditLogFacts, daysMax: 30, resultText: ({ json }) => json },
  { resource: eventQueriesResource, facts: eventFacts, daysMax: 60, resultText: eventRecordText }
]
