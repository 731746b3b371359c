/** Makes the frames of one watch of facts. */
import type { ObjectLike, Printer } from "../Table.ts"
import { frameText } from "../watchFrames.ts"
import type { FeedMessage } from "./FeedMessage.ts"
import type { FeedBatch } from "./HeldFacts.ts"

type FactFrameType = "ADDED" | "MODIFIED" | "DELETED"

/** A fact as clients get it. */
export interface ServedFact extends ObjectLike {
  readonly metadata: {
    readonly uid: string
    /** The sequence that wrote it. */
    readonly resourceVersion: string
  }
}

export interface FramesOptions<A, O extends ServedFact> {
  /** False: as it is now it is not shown. */
  readonly shows: (fact: A) => boolean
  readonly served: (fact: A, sequence: number) => O
  readonly printer: Printer<O>
  /** True: a list before this watch may have had a later sight of it, which the earlier one would take back. */
  readonly superseded?: (message: FeedMessage<A>) => boolean
}

export class FactFrames<A, O extends ServedFact> {
  /** The highest sequence that was sent. */
  highest = 0
  /**
   * Of facts that were sent in the initial state as they were beyond its version, that sequence: the stream brings it
   * again, and what was before it.
   */
  readonly #known = new Map<string, number>()
  /** Facts whose first sight was left out for a later one: that one adds them. */
  readonly #unadded = new Set<string>()
  readonly #options: FramesOptions<A, O>

  constructor(options: FramesOptions<A, O>) {
    this.#options = options
  }

  /** @param floor the version of the initial state: the stream goes on behind it */
  initial(objects: ReadonlyArray<O>, floor: number): string {
    return objects
      .map((object) => {
        const sequence = Number(object.metadata.resourceVersion)
        if (sequence > floor) this.#known.set(object.metadata.uid, sequence)
        return this.#frame("ADDED", object, sequence)
      })
      .join("")
  }

  of({ messages, printed }: FeedBatch<A>): string {
    return messages
      .map((message) => {
        const type = this.#typeOf(message)
        return type === undefined ? "" : this.#shared(type, message, printed)
      })
      .join("")
  }

  /** Undefined: nothing is told of it. */
  #typeOf(message: FeedMessage<A>): FactFrameType | undefined {
    const { fact, key, mark } = message
    if (this.#wasSent(message)) return undefined
    if (this.#options.superseded?.(message) === true) {
      if (mark === "added") this.#unadded.add(key)
      return undefined
    }
    const isAdded = this.#unadded.delete(key) || mark === "added"
    if (mark === "deleted") return "DELETED"
    if (this.#options.shows(fact)) return isAdded ? "ADDED" : "MODIFIED"
    // A list may have shown what was left out.
    return mark === "modified" ? "DELETED" : undefined
  }

  #shared(type: FactFrameType, { fact, sequence }: FeedMessage<A>, printed: Map<string, string>): string {
    const { printer, served } = this.#options
    if (printer.framesName === undefined) return this.#frame(type, served(fact, sequence), sequence)
    const name = `${sequence} ${type} ${printer.framesName}`
    const text = printed.get(name) ?? this.#frame(type, served(fact, sequence), sequence)
    printed.set(name, text)
    this.highest = Math.max(this.highest, sequence)
    return text
  }

  #wasSent({ fact, sequence }: FeedMessage<A>): boolean {
    if (this.#known.size === 0) return false
    const { uid } = this.#options.served(fact, sequence).metadata
    const sent = this.#known.get(uid)
    if (sent === undefined) return false
    if (sequence >= sent) this.#known.delete(uid)
    return sequence <= sent
  }

  #frame(type: FactFrameType, object: O, sequence: number): string {
    this.highest = Math.max(this.highest, sequence)
    return frameText(type, this.#options.printer.frame(object))
  }
}
