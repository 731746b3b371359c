/** Which activities a watch shows. */
import type { Activity } from "../../domain/Activity.ts"
import type { JsonObject } from "../../domain/AuditRecord.ts"
import { holds, type Scope } from "../../domain/Scope.ts"
import { type FactPredicate, factPredicate } from "../facts/factPredicate.ts"
import type { FactRequest } from "../facts/factRequest.ts"

const lastingFields = /^(metadata\.(name|namespace)|spec\.(cluster|resource\.|tenant\.|origin\.))/

export const activityPredicate = (scope: Scope, asked: FactRequest): FactPredicate<Activity> =>
  factPredicate(asked, {
    inReach: (activity) =>
      inScope(scope, activity) &&
      (asked.namespace === undefined || (activity.spec.resource.namespace ?? "") === asked.namespace),
    lastingFields,
    // An Activity is JSON whose fields are known; the predicate reads it as JSON whose fields are not.
    body: (activity) => activity as unknown as JsonObject,
    text: ({ spec }) => spec.summary
  })

export const inScope = (scope: Scope, { spec }: Activity): boolean =>
  holds(scope, {
    tenant: spec.tenant,
    cluster: spec.cluster,
    namespace: spec.resource.namespace ?? "",
    apiGroup: spec.resource.apiGroup ?? "",
    userUid: spec.actor.uid ?? ""
  })
