/** Events as the resource `eventrecords`. */
import { Effect } from "effect"
import { eventRecordsResource, groupName } from "../../contracts/resources.ts"
import type { JsonObject } from "../../domain/AuditRecord.ts"
import type { ServedFact } from "../facts/FactFrames.ts"
import type { FactResource } from "../facts/FactResource.ts"
import { printerFor } from "../Table.ts"
import { eventColumns } from "./eventColumns.ts"
import { eventFacts, servedMetadata } from "./eventFacts.ts"
import type { SeenEvent } from "./SeenEvent.ts"

/** Kubernetes Events are of another group: in this one they stand in an object of its own. */
export interface EventRecord extends ServedFact {
  /** Of events.k8s.io/v1. Its own resourceVersion is its cluster's. */
  readonly event: JsonObject
}

export const eventRecords = Effect.gen(function* () {
  const facts = yield* eventFacts
  const recordFrom = (event: JsonObject, sequence: number, apiVersion: string): EventRecord => ({
    apiVersion,
    kind: eventRecordsResource.kind,
    metadata: servedMetadata(event, sequence),
    event
  })
  return {
    ...facts,
    form: {
      ...facts.form,
      of: { group: groupName, plural: eventRecordsResource.plural, kind: eventRecordsResource.kind }
    },
    printer: (call, request, nowMillis) =>
      printerFor(
        call,
        request,
        eventRecordsResource.kind,
        eventColumns<EventRecord>(({ event }) => event, nowMillis)
      ),
    // The store holds only what was normalised: Events, as JSON objects.
    stored: ({ json, sequence }, apiVersion) => recordFrom(JSON.parse(json) as JsonObject, sequence, apiVersion),
    served: ({ event }, sequence, apiVersion) => recordFrom(event, sequence, apiVersion)
  } satisfies FactResource<SeenEvent, EventRecord>
})
