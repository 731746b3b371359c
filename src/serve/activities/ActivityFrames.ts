/** Makes the frames of one watch of activities. */
import type { Activity } from "../../domain/Activity.ts"
import type { Printer } from "../Table.ts"
import { frameText } from "../watchFrames.ts"
import type { ServedActivity } from "./activityColumns.ts"
import type { FeedBatch } from "./ActivityFeed.ts"
import type { ActivityPredicate } from "./activityPredicate.ts"
import { servedActivity } from "./served.ts"

export class ActivityFrames {
  /** The highest sequence that was sent. */
  highest = 0
  /**
   * Of activities that were sent in the initial state as they were beyond its version, that sequence: the stream brings
   * it again, and what was before it.
   */
  readonly #known = new Map<string, number>()
  readonly #predicate: ActivityPredicate
  readonly #printer: Printer<ServedActivity>
  readonly #apiVersion: string

  constructor(predicate: ActivityPredicate, printer: Printer<ServedActivity>, apiVersion: string) {
    this.#predicate = predicate
    this.#printer = printer
    this.#apiVersion = apiVersion
  }

  /** @param floor the version of the initial state: the stream goes on behind it */
  initial(activities: ReadonlyArray<readonly [Activity, number]>, floor: number): string {
    return activities
      .map(([activity, sequence]) => {
        if (sequence > floor) this.#known.set(activity.metadata.name, sequence)
        return this.#frame("ADDED", activity, sequence)
      })
      .join("")
  }

  of(batch: FeedBatch): string {
    return batch.messages
      .map(({ activity, mark, sequence }) => {
        if (this.#wasSent(activity, sequence) || !this.#predicate.concerns(activity)) return ""
        if (mark === "deleted") return this.#frame("DELETED", activity, sequence)
        if (this.#predicate.shows(activity))
          return this.#frame(mark === "modified" ? "MODIFIED" : "ADDED", activity, sequence)
        return mark === "modified" ? this.#frame("DELETED", activity, sequence) : ""
      })
      .join("")
  }

  #wasSent(activity: Activity, sequence: number): boolean {
    if (this.#known.size === 0) return false
    const sent = this.#known.get(activity.metadata.name)
    if (sent === undefined) return false
    if (sequence >= sent) this.#known.delete(activity.metadata.name)
    return sequence <= sent
  }

  #frame(type: "ADDED" | "MODIFIED" | "DELETED", activity: Activity, sequence: number): string {
    this.highest = Math.max(this.highest, sequence)
    return frameText(type, this.#printer.frame(servedActivity(activity, sequence, this.#apiVersion)))
  }
}
