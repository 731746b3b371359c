/** What the query kinds and the facet query kinds look like to clients. */
import { activityFacetFields, auditLogFacetFields, eventFacetFields } from "../domain/facetFields.ts"
import { activitySpecSchema } from "./activitySchema.ts"
import { eventRecordSchemas } from "./eventRecordSchema.ts"
import { type JsonSchema, list, object, text, whole } from "./JsonSchema.ts"
import { metaReference } from "./metaSchemas.ts"

const timeForm = "RFC 3339, such as 2026-01-31T12:00:00Z, or now, or now-7d (units s, m, h, d, w)"

const anything = (description: string): JsonSchema => ({
  type: "object",
  description,
  "x-kubernetes-preserve-unknown-fields": true
})

const filterText = (fields: string, example: string): JsonSchema =>
  text(`CEL over the fields of ${fields}, such as ${example}. Empty: everything.`)

const filters = {
  activities: filterText("an Activity", "spec.actor.name == 'alice' && spec.resource.kind in ['Pod', 'Deployment']"),
  records: filterText("an audit record", "verb == 'delete' && objectRef.namespace == 'production'"),
  events: filterText("an Event of events.k8s.io/v1", "type == 'Warning' && regarding.kind == 'Pod'")
}

const fieldSelector = text(
  "Fields that the Events must or must not have: field=value or field!=value, joined by commas, such as " +
    "regarding.kind=Pod,type!=Normal."
)

const search = (of: string): JsonSchema =>
  text(`Words that the ${of} has: all of them, whole, in any case. At most 1,024 characters.`)

const namespace = (of: string): JsonSchema =>
  text(`Only ${of} this namespace. Callers without a tenant and without the right to the whole platform must give it.`)

const namespaces = {
  activities: namespace("activities of resources in"),
  records: namespace("audit records about objects in"),
  events: namespace("Events of")
}

const querySpec = (of: string, own: Readonly<Record<string, JsonSchema>>): JsonSchema =>
  object(
    `Which ${of} to find.`,
    {
      startTime: text(`Where the time begins: ${timeForm}. What happens at it belongs to it.`),
      endTime: text(
        `Where the time ends, after startTime: ${timeForm}. What happens at it does not belong to it. ` +
          "All relative times of a request count from one instant, and those of its further pages from the same one."
      ),
      ...own,
      limit: whole(`The most ${of} in the answer: 1 to 1000; 0, or none, is 100.`, "int32"),
      continue: text(
        "The status.continue of the answer before, for the next page. Everything else must be as it was there; an hour after the first page it is too old."
      )
    },
    ["startTime", "endTime"]
  )

const effectiveTimes = {
  effectiveStartTime: text("Where the time began that was searched: startTime as an RFC 3339 time."),
  effectiveEndTime: text("Where the time ended that was searched: endTime as an RFC 3339 time.")
}

const queryStatus = (of: string, result: JsonSchema): JsonSchema =>
  object("What was found. Filled in by the answer; nothing is stored.", {
    results: list(`The ${of}, newest first.`, result),
    continue: text("There are more: send the same query again with this as spec.continue. Absent from the last page."),
    ...effectiveTimes,
    total: object(
      `How many ${of} there are on all pages together. Only the first page has it.`,
      {
        count: whole(`The number of ${of}.`),
        exact: { type: "boolean", description: "False: there are at least so many.", default: false }
      },
      ["count", "exact"]
    )
  })

export const activityQuerySchemas = {
  spec: querySpec("activities", {
    filter: filters.activities,
    search: search("summary"),
    namespace: namespaces.activities
  }),
  status: queryStatus(
    "activities",
    object("An Activity.", {
      apiVersion: text("The version of the API."),
      kind: text("Activity."),
      metadata: { allOf: [metaReference("ObjectMeta")], description: "Standard object's metadata." },
      spec: activitySpecSchema
    })
  )
}

export const auditLogQuerySchemas = {
  spec: querySpec("audit records", { filter: filters.records, namespace: namespaces.records }),
  status: queryStatus("audit records", anything("An Event of audit.k8s.io/v1, as the API server wrote it."))
}

export const eventQuerySchemas = {
  spec: querySpec("Events", {
    filter: filters.events,
    fieldSelector,
    search: search("note"),
    namespace: namespaces.events
  }),
  status: queryStatus(
    "Events",
    object("An EventRecord: a Kubernetes Event, as it was last seen.", {
      apiVersion: text("The version of the API."),
      kind: text("EventRecord."),
      metadata: { allOf: [metaReference("ObjectMeta")], description: "The Event's own metadata." },
      ...eventRecordSchemas
    })
  )
}

const facetSpec = (
  of: string,
  fields: ReadonlyArray<string>,
  outcome: string,
  own: Readonly<Record<string, JsonSchema>>
): JsonSchema =>
  object(`Which ${of} to count, and by what.`, {
    timeRange: object("The time that they are of. Without it the last seven days.", {
      start: text(`Where the time begins: ${timeForm}. Without it seven days before its end.`),
      end: text(`Where the time ends, after start: ${timeForm}. Without it now.`)
    }),
    ...own,
    facets: list(
      "Fields whose values are counted: at most 10. There is at least one, or a histogram.",
      object(
        "A field whose values are counted.",
        {
          field: text(`The field: one of ${fields.join(", ")}.`),
          limit: whole("The most values in the answer, the commonest first: 1 to 100; 0, or none, is 20.", "int32")
        },
        ["field"]
      )
    ),
    histogram: object(`Counts the ${of} of each stretch of the time, by ${outcome}.`, {
      interval: text(
        "How long each stretch is: a whole number and a unit of s, m, h, d, w, such as 1h; at most 1000 stretches. Without it such that there are at most 60."
      )
    })
  })

const counted = (description: string, name: string): JsonSchema =>
  list(
    description,
    object(
      "A value and how often it occurs.",
      { value: text(`The ${name}; it may be empty.`), count: whole("How often it occurs.") },
      ["value", "count"]
    )
  )

const facetStatus = (of: string, outcome: string): JsonSchema =>
  object(`How many ${of} there are, each counted once. Filled in by the answer; nothing is stored.`, {
    facets: list(
      "The facets, as they were asked for.",
      object(
        "A field and its values.",
        {
          field: text("The field."),
          values: counted("Its values, the commonest first, equally common ones in the order of their text.", "value")
        },
        ["field", "values"]
      )
    ),
    histogram: object(`The ${of} of each stretch of the time.`, {
      interval: text("How long each stretch is."),
      buckets: list(
        "The stretches, oldest first, those with nothing in them too. Each begins at a whole number of intervals since 1970 in UTC.",
        object(
          "One stretch of the time.",
          {
            start: text("Where it begins, as an RFC 3339 time."),
            count: whole(`How many ${of} it has. What recurs counts where it was first seen in the time.`),
            outcomes: counted(`The same by ${outcome}.`, outcome)
          },
          ["start", "count", "outcomes"]
        )
      )
    }),
    ...effectiveTimes
  })

const outcomes = {
  activities: "outcome (Success, Failure)",
  records: "outcome (Success below a code of 400, Failure from it)",
  events: "type (Normal, Warning)"
}

export const activityFacetQuerySchemas = {
  spec: facetSpec("activities", activityFacetFields, outcomes.activities, {
    filter: filters.activities,
    search: search("summary"),
    namespace: namespaces.activities
  }),
  status: facetStatus("activities", outcomes.activities)
}

export const auditLogFacetsQuerySchemas = {
  spec: facetSpec("audit records", auditLogFacetFields, outcomes.records, {
    filter: filters.records,
    namespace: namespaces.records
  }),
  status: facetStatus("audit records", outcomes.records)
}

export const eventFacetQuerySchemas = {
  spec: facetSpec("Events", eventFacetFields, outcomes.events, {
    filter: filters.events,
    fieldSelector,
    search: search("note"),
    namespace: namespaces.events
  }),
  status: facetStatus("Events", outcomes.events)
}
