/** Activities as the resource `activities`. */
import { Effect, Result } from "effect"
import { activitiesResource, groupName } from "../../contracts/resources.ts"
import type { Activity } from "../../domain/Activity.ts"
import { FactQueries } from "../../store/FactQueries.ts"
import { activityChanges } from "../changes/activityChanges.ts"
import type { FactKindForm, FactResource } from "../facts/FactResource.ts"
import type { Call } from "../http/Call.ts"
import { fieldSelectorFrom } from "../Selector.ts"
import type { ServedActivity } from "./activityColumns.ts"
import { ActivityFeed } from "./ActivityFeed.ts"
import { activityPredicate } from "./activityPredicate.ts"
import { selectorExpressions } from "./activitySelectors.ts"
import { activityOf, activityPrinter, servedActivity } from "./served.ts"

const form: FactKindForm = {
  of: { group: groupName, plural: activitiesResource.plural, kind: activitiesResource.kind },
  filterKind: "activity",
  filterForm: "a filter is CEL over the fields of an activity, such as spec.actor.name == 'alice'",
  selectors: selectorExpressions,
  // As existing clients expect.
  defaultStart: "now-1h",
  defaultWindowWarning: "activities of the last hour only; ask with ?start=now-7d for more"
}

export const activityFacts = Effect.gen(function* () {
  const queries = yield* FactQueries
  return {
    form,
    feed: yield* ActivityFeed,
    page: queries.page,
    get: queries.activity,
    predicate: activityPredicate,
    printer: activityPrinter,
    stored: (stored, apiVersion) => servedActivity(activityOf(stored), stored.sequence, apiVersion),
    served: servedActivity,
    alone: (scope, activity) =>
      Effect.map(activityChanges(queries, scope, activity), ({ changes, warnings }) => ({
        object: { ...activity, spec: { ...activity.spec, ...changes } },
        warnings
      }))
  } satisfies FactResource<Activity, ServedActivity>
})

/** The API group that a field selector leaves alone. */
export const selectedActivityGroup = (call: Call): string | undefined =>
  Result.getOrElse(fieldSelectorFrom(call.query.get("fieldSelector") ?? ""), () => []).find(
    ({ equal, field }) => equal && field === "spec.resource.apiGroup"
  )?.value
