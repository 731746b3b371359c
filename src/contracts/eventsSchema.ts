/** The fields of Kubernetes Events, in both of their API versions: what bodies of writes are checked against. */
import { eventRecordSchemas } from "./eventRecordSchema.ts"
import { eventsGroup } from "./eventsApis.ts"
import type { JsonSchema } from "./JsonSchema.ts"

type Properties = Readonly<Record<string, JsonSchema>>

const { apiVersion: _, kind: __, metadata: ___, ...newFields }: Properties = eventRecordSchemas.event.properties ?? {}

/** What core/v1 calls the fields that events.k8s.io/v1 renamed. */
export const coreFieldNames: Readonly<Record<string, string>> = {
  regarding: "involvedObject",
  note: "message",
  reportingController: "reportingComponent",
  deprecatedSource: "source",
  deprecatedFirstTimestamp: "firstTimestamp",
  deprecatedLastTimestamp: "lastTimestamp",
  deprecatedCount: "count"
}

const coreFields: Properties = Object.fromEntries(
  Object.entries(newFields).map(([name, schema]) => [coreFieldNames[name] ?? name, schema])
)

/** Besides apiVersion, kind and metadata. */
export const eventProperties = (group: string): Properties => (group === eventsGroup ? newFields : coreFields)
