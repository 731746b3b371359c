/** What a watch shows: the same scope, filter, search and selectors as a list, decided on every message's payload. */
import { type Expression, fieldsOf, predicateFrom } from "../../cel/Filter.ts"
import type { Activity } from "../../domain/Activity.ts"
import type { JsonObject } from "../../domain/AuditRecord.ts"
import { holds, type Scope } from "../../domain/Scope.ts"
import { searchPredicate } from "../../store/searchWords.ts"
import type { ActivityRequest } from "./activityRequest.ts"
import type { Concerns } from "./HeldActivities.ts"

export interface ActivityPredicate {
  readonly concerns: Concerns
  /** False: as it is now it is not shown; a watch that may have shown it before is told that it is gone. */
  readonly shows: (activity: Activity) => boolean
}

/** Fields that stay what they are through all versions of an activity. */
const lastingFields = /^(metadata\.(name|namespace)|spec\.(cluster|resource\.|tenant\.|origin\.))/

export const activityPredicate = (scope: Scope, request: ActivityRequest): ActivityPredicate => {
  const expressions = [
    ...request.selectors,
    ...(request.filter === undefined ? [] : [request.filter.expression])
  ].flatMap(conjuncts)
  const lasting = allOf(expressions.filter(isLasting))
  const passing = allOf(expressions.filter((expression) => !isLasting(expression)))
  const found = searchPredicate(request.search)
  return {
    concerns: (activity) =>
      inScope(scope, activity) &&
      (request.namespace === undefined || (activity.spec.resource.namespace ?? "") === request.namespace) &&
      lasting(activity),
    shows: (activity) => passing(activity) && (request.search === "" || found(activity.spec.summary))
  }
}

export const inScope = (scope: Scope, { spec }: Activity): boolean =>
  holds(scope, {
    tenant: spec.tenant,
    cluster: spec.cluster,
    namespace: spec.resource.namespace ?? "",
    apiGroup: spec.resource.apiGroup ?? "",
    userUid: spec.actor.uid ?? ""
  })

/** The parts of a conjunction: each may be decided by itself. */
const conjuncts = (expression: Expression): ReadonlyArray<Expression> =>
  expression.op === "and" ? expression.operands.flatMap(conjuncts) : [expression]

const isLasting = (expression: Expression): boolean =>
  fieldsOf(expression).every(({ path }) => lastingFields.test(path))

const allOf = (expressions: ReadonlyArray<Expression>): ((activity: Activity) => boolean) => {
  const predicates = expressions.map((expression) => predicateFrom({ expression }))
  // An Activity is JSON whose fields are known; the predicate reads it as JSON whose fields are not.
  return (activity) => predicates.every((predicate) => predicate(activity as unknown as JsonObject))
}
