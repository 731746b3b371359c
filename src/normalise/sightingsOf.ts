/**
 * When a Kubernetes Event was first and last seen, and how often: one function for both API versions, because the
 * fields moved and were renamed between them (reference: events.k8s.io/v1, deprecated fields).
 */
import { type JsonObject, objectAt, textAt } from "../domain/AuditRecord.ts"
import { microsecondsFrom } from "../domain/instant.ts"

export interface Sightings {
  /** Microseconds since 1970. */
  readonly firstSeen: bigint
  readonly lastSeen: bigint
  /** At least 1. */
  readonly count: number
}

/** Undefined when the Event holds no valid time at all. Zero times (null, year 1, empty) count as absent. */
export const sightingsOf = (event: JsonObject): Sightings | undefined => {
  const time = (object: JsonObject | undefined, ...names: ReadonlyArray<string>): bigint | undefined => {
    for (const name of names) {
      const found = microsecondsFrom(textAt(object, name))
      if (found !== undefined) return found
    }
    return undefined
  }
  const series = objectAt(event, "series")
  const created = time(objectAt(event, "metadata"), "creationTimestamp")
  const eventTime = time(event, "eventTime")
  const first = eventTime ?? time(event, "firstTimestamp", "deprecatedFirstTimestamp") ?? created
  const last =
    time(series, "lastObservedTime") ?? time(event, "lastTimestamp", "deprecatedLastTimestamp") ?? eventTime ?? created
  const firstSeen = first ?? last
  if (firstSeen === undefined) return undefined
  return {
    firstSeen,
    lastSeen: last ?? firstSeen,
    count: countAt(series, "count") ?? countAt(event, "count") ?? countAt(event, "deprecatedCount") ?? 1
  }
}

const countAt = (object: JsonObject | undefined, name: string): number | undefined => {
  const value = object === undefined ? undefined : object[name]
  return typeof value === "number" && Number.isInteger(value) && value > 0 ? value : undefined
}
