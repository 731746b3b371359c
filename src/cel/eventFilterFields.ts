import { field, fieldTable, type FilterFields } from "./FilterField.ts"

const reference = ["kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"] as const

const texts = [
  "metadata.name",
  "metadata.generateName",
  "metadata.namespace",
  "metadata.uid",
  "metadata.resourceVersion",
  "reportingController",
  "reportingInstance",
  "action",
  "reason",
  "note",
  "type",
  "deprecatedSource.component",
  "deprecatedSource.host",
  ...reference.map((name) => `regarding.${name}`),
  ...reference.map((name) => `related.${name}`)
]

/** As in core/v1, and as existing clients spell them in field selectors (in CEL `namespace` is a reserved word). */
const spellings: Readonly<Record<string, string>> = {
  name: "metadata.name",
  namespace: "metadata.namespace",
  uid: "metadata.uid",
  message: "note",
  reportingComponent: "reportingController",
  source: "deprecatedSource",
  "source.component": "deprecatedSource.component",
  "source.host": "deprecatedSource.host",
  count: "deprecatedCount",
  firstTimestamp: "deprecatedFirstTimestamp",
  lastTimestamp: "deprecatedLastTimestamp",
  involvedObject: "regarding",
  ...Object.fromEntries(reference.map((name) => [`involvedObject.${name}`, `regarding.${name}`]))
}

const fields: FilterFields = fieldTable(
  [
    ...texts.map((path) => field(path, "string")),
    field("metadata.labels", "map"),
    field("metadata.annotations", "map"),
    field("series.count", "number"),
    field("deprecatedCount", "number"),
    // The same as the first time that normalise/kubernetesEventFrom.ts finds.
    field("metadata.creationTimestamp", "timestamp", {
      absentAs: [
        ["eventTime"],
        ["deprecatedFirstTimestamp"],
        ["series", "lastObservedTime"],
        ["deprecatedLastTimestamp"]
      ]
    }),
    field("eventTime", "timestamp"),
    field("series.lastObservedTime", "timestamp"),
    field("deprecatedFirstTimestamp", "timestamp"),
    field("deprecatedLastTimestamp", "timestamp")
  ],
  spellings
)

/** What a filter over Kubernetes Events may name: the fields of an events.k8s.io/v1 Event, also as an EventRecord's `event`. */
export const eventFilterFields: FilterFields = new Map(
  [...fields].flatMap(([spelling, one]) => [[spelling, one] as const, [`event.${spelling}`, one] as const])
)
