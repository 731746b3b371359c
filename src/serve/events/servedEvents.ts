/** Events as the resource `events` of core/v1 and of events.k8s.io/v1: one object under two names of its fields. */
import { Effect } from "effect"
import { eventsResource } from "../../contracts/eventsApis.ts"
import { type JsonObject, objectAt, textAt } from "../../domain/AuditRecord.ts"
import type { ServedFact } from "../facts/FactFrames.ts"
import type { FactResource } from "../facts/FactResource.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"
import { printerFor } from "../Table.ts"
import { eventColumns } from "./eventColumns.ts"
import { eventFacts, servedMetadata } from "./eventFacts.ts"
import type { SeenEvent } from "./SeenEvent.ts"

/** Beside what is written out, the normalised Event, for the columns of tables: JSON has no symbols. */
interface ServedEvent extends ServedFact {
  readonly [normalised]: JsonObject
}

const normalised = Symbol("normalised")

/** @param group of the request, whose version of Events is given */
export const servedEvents = ({ group }: ResourceRequest) =>
  Effect.gen(function* () {
    const facts = yield* eventFacts
    const fieldsOf = group === "" ? coreFields : newFields
    const eventFrom = (event: JsonObject, sequence: number, apiVersion: string): ServedEvent => ({
      kind: eventsResource.kind,
      apiVersion,
      metadata: servedMetadata(event, sequence),
      ...fieldsOf(event),
      [normalised]: event
    })
    return {
      ...facts,
      form: {
        ...facts.form,
        of: { group, plural: eventsResource.plural, kind: eventsResource.kind },
        // Of a pod without Events there is nothing to warn of: their own cluster has them for an hour only.
        defaultWindowWarning: undefined
      },
      printer: (call, request, nowMillis) =>
        printerFor(
          call,
          request,
          eventsResource.kind,
          eventColumns<ServedEvent>((event) => event[normalised], nowMillis)
        ),
      // The store holds only what was normalised: Events, as JSON objects.
      stored: ({ json, sequence }, apiVersion) => eventFrom(JSON.parse(json) as JsonObject, sequence, apiVersion),
      served: ({ event }, sequence, apiVersion) => eventFrom(event, sequence, apiVersion)
    } satisfies FactResource<SeenEvent, ServedEvent>
  })

/**
 * As kube-apiserver writes them: fields that Go cannot leave out are null, {} or "" where they are empty.
 *
 * @source https://github.com/kubernetes/api/blob/v0.34.4/events/v1/types.go
 */
const newFields = (event: JsonObject): JsonObject => {
  const { apiVersion: _, kind: __, metadata: ___, ...fields } = event
  return {
    ...fields,
    eventTime: event["eventTime"] ?? null,
    regarding: event["regarding"] ?? {},
    deprecatedSource: event["deprecatedSource"] ?? {},
    deprecatedFirstTimestamp: event["deprecatedFirstTimestamp"] ?? null,
    deprecatedLastTimestamp: event["deprecatedLastTimestamp"] ?? null
  }
}

/** @source https://github.com/kubernetes/kubernetes/blob/v1.34.4/pkg/apis/events/v1/conversion.go */
const coreFields = (event: JsonObject): JsonObject => ({
  involvedObject: objectAt(event, "regarding") ?? {},
  ...present("reason", event["reason"]),
  ...present("message", event["note"]),
  source: objectAt(event, "deprecatedSource") ?? {},
  firstTimestamp: event["deprecatedFirstTimestamp"] ?? null,
  lastTimestamp: event["deprecatedLastTimestamp"] ?? null,
  ...present("count", event["deprecatedCount"]),
  ...present("type", event["type"]),
  eventTime: event["eventTime"] ?? null,
  ...present("series", event["series"]),
  ...present("action", event["action"]),
  ...present("related", event["related"]),
  reportingComponent: textAt(event, "reportingController"),
  reportingInstance: textAt(event, "reportingInstance")
})

const present = (name: string, value: JsonObject[string]): JsonObject => (value === undefined ? {} : { [name]: value })
