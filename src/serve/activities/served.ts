/** Activities as clients get them. */
import type { Activity } from "../../domain/Activity.ts"
import type { StoredActivity } from "../../store/ActivityQueries.ts"
import type { ServedActivity } from "./activityColumns.ts"

/** With the version that the client asked for, and the sequence that wrote it as resourceVersion. */
export const servedActivity = (activity: Activity, sequence: number, apiVersion: string): ServedActivity => ({
  ...activity,
  apiVersion,
  metadata: { ...activity.metadata, resourceVersion: String(sequence) }
})

// The store holds only what the processor wrote: canonical Activities.
export const activityOf = (stored: StoredActivity): Activity => JSON.parse(stored.json) as Activity
