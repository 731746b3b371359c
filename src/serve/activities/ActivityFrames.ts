/** Makes the frames of one watch of activities. */
import type { Activity } from "../../domain/Activity.ts"
import type { Printer } from "../Table.ts"
import { frameText } from "../watchFrames.ts"
import type { ServedActivity } from "./activityColumns.ts"
import type { FeedBatch } from "./ActivityFeed.ts"
import type { ActivityPredicate } from "./activityPredicate.ts"
import type { FeedMessage } from "./FeedMessage.ts"
import { servedActivity } from "./served.ts"

export class ActivityFrames {
  /** The highest sequence that was sent. */
  highest = 0
  /**
   * Of activities that were sent in the initial state as they were beyond its version, that sequence: the stream brings
   * it again, and what was before it.
   */
  readonly #known = new Map<string, number>()
  /** Activities whose first sight was left out for a later one: that one adds them. */
  readonly #unadded = new Set<string>()
  readonly #superseded: (message: FeedMessage) => boolean
  readonly #predicate: ActivityPredicate
  readonly #printer: Printer<ServedActivity>
  readonly #apiVersion: string

  /**
   * @param superseded a list before this watch may have had the later sight: the earlier one would take it back
   */
  constructor(
    predicate: ActivityPredicate,
    printer: Printer<ServedActivity>,
    apiVersion: string,
    superseded: (message: FeedMessage) => boolean = () => false
  ) {
    this.#superseded = superseded
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
    return batch.messages.map((message) => this.#frameOf(message)).join("")
  }

  #frameOf(message: FeedMessage): string {
    const { activity, key, sequence } = message
    if (this.#wasSent(activity, sequence) || !this.#predicate.concerns(activity)) return ""
    if (this.#superseded(message)) {
      if (message.mark === "added") this.#unadded.add(key)
      return ""
    }
    const isAdded = this.#unadded.delete(key) || message.mark === "added"
    if (message.mark === "deleted") return this.#frame("DELETED", activity, sequence)
    if (this.#predicate.shows(activity)) return this.#frame(isAdded ? "ADDED" : "MODIFIED", activity, sequence)
    // A list may have shown what was left out.
    return message.mark === "modified" ? this.#frame("DELETED", activity, sequence) : ""
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
