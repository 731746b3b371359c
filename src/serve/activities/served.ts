/** Activities as clients get them. */
import { activitiesResource } from "../../contracts/resources.ts"
import type { Activity } from "../../domain/Activity.ts"
import type { StoredFact } from "../../store/FactQueries.ts"
import type { Call } from "../http/Call.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"
import { type Printer, printerFor } from "../Table.ts"
import { activityColumns, type ServedActivity } from "./activityColumns.ts"

export const activityPrinter = (
  call: Call,
  request: ResourceRequest,
  nowMillis: () => number
): Printer<ServedActivity> => printerFor(call, request, activitiesResource.kind, activityColumns(nowMillis))

/** With the version that the client asked for, and the sequence that wrote it as resourceVersion. */
export const servedActivity = (activity: Activity, sequence: number, apiVersion: string): ServedActivity => ({
  ...activity,
  apiVersion,
  metadata: { ...activity.metadata, resourceVersion: String(sequence) }
})

// The store holds only what the processor wrote: canonical Activities.
export const activityOf = (stored: StoredFact): Activity => JSON.parse(stored.json) as Activity
