/** Makes the frames of one watch of activities. */
import type { Activity } from "../../domain/Activity.ts"
import type { Printer } from "../Table.ts"
import { frameText } from "../watchFrames.ts"
import type { ServedActivity } from "./activityColumns.ts"
import type { ActivityPredicate } from "./activityPredicate.ts"
import type { FeedMessage } from "./FeedMessage.ts"
import type { FeedBatch } from "./HeldActivities.ts"
import { servedActivity } from "./served.ts"

type ActivityFrameType = "ADDED" | "MODIFIED" | "DELETED"

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
  readonly #shows: ActivityPredicate["shows"]
  readonly #printer: Printer<ServedActivity>
  readonly #apiVersion: string

  /**
   * @param superseded a list before this watch may have had the later sight: the earlier one would take it back
   */
  constructor(
    shows: ActivityPredicate["shows"],
    printer: Printer<ServedActivity>,
    apiVersion: string,
    superseded: (message: FeedMessage) => boolean = () => false
  ) {
    this.#superseded = superseded
    this.#shows = shows
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

  of({ messages, printed }: FeedBatch): string {
    return messages
      .map((message) => {
        const type = this.#typeOf(message)
        return type === undefined ? "" : this.#shared(type, message, printed)
      })
      .join("")
  }

  /** Undefined: nothing is told of it. */
  #typeOf(message: FeedMessage): ActivityFrameType | undefined {
    const { activity, key, mark, sequence } = message
    if (this.#wasSent(activity, sequence)) return undefined
    if (this.#superseded(message)) {
      if (mark === "added") this.#unadded.add(key)
      return undefined
    }
    const isAdded = this.#unadded.delete(key) || mark === "added"
    if (mark === "deleted") return "DELETED"
    if (this.#shows(activity)) return isAdded ? "ADDED" : "MODIFIED"
    // A list may have shown what was left out.
    return mark === "modified" ? "DELETED" : undefined
  }

  #shared(type: ActivityFrameType, { activity, sequence }: FeedMessage, printed: Map<string, string>): string {
    const { framesName } = this.#printer
    if (framesName === undefined) return this.#frame(type, activity, sequence)
    const name = `${sequence} ${type} ${framesName}`
    const text = printed.get(name) ?? this.#frame(type, activity, sequence)
    printed.set(name, text)
    this.highest = Math.max(this.highest, sequence)
    return text
  }

  #wasSent(activity: Activity, sequence: number): boolean {
    if (this.#known.size === 0) return false
    const sent = this.#known.get(activity.metadata.name)
    if (sent === undefined) return false
    if (sequence >= sent) this.#known.delete(activity.metadata.name)
    return sequence <= sent
  }

  #frame(type: ActivityFrameType, activity: Activity, sequence: number): string {
    this.highest = Math.max(this.highest, sequence)
    return frameText(type, this.#printer.frame(servedActivity(activity, sequence, this.#apiVersion)))
  }
}
