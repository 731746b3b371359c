/** A message of ACTIVITIES, as watches see it. */
import type { StoredMessage } from "../../clients/nats/Nats.ts"
import type { Activity } from "../../domain/Activity.ts"
import { type Json, objectAt } from "../../domain/AuditRecord.ts"
import { headerNames, type Mark } from "../../domain/streams.ts"

export interface FeedMessage {
  readonly sequence: number
  /** The activity's key. */
  readonly key: string
  readonly mark: Mark
  readonly activity: Activity
  readonly sizeBytes: number
}

const decoder = new TextDecoder()

/** `Nats-Msg-Id` is the activity's version: its key, then a hash. */
const keyLength = 36

interface Sight {
  readonly order: bigint
  readonly sequence: number
}

/**
 * The highest order at the source of every activity that has one (those of Kubernetes Events): some 150 bytes each, for
 * as many as the stream holds.
 */
export class SourceOrders {
  readonly #sights = new Map<string, Sight>()
  readonly #known: ReadonlyMap<string, Sight>

  /** @param known what others have seen: a message before it in the stream is judged by it too */
  constructor(known?: SourceOrders) {
    this.#known = known === undefined ? new Map() : known.#sights
  }

  /** Undefined when a later sight came before it, or it is no activity. */
  messageFrom(stored: StoredMessage): FeedMessage | undefined {
    if (this.isStale(stored)) return undefined
    const activity = activityFrom(stored.body)
    if (activity === undefined) return undefined
    const mark = stored.header(headerNames.mark)
    return {
      sequence: stored.sequence,
      key: keyOf(stored),
      mark: mark === "modified" || mark === "deleted" ? mark : "added",
      activity,
      sizeBytes: stored.body.length
    }
  }

  /** The sequence of the latest sight; 0 for what has no order at its source. */
  latest(key: string): number {
    return this.#sights.get(key)?.sequence ?? 0
  }

  /** Forgets what the stream has forgotten. */
  forgetBefore(sequence: number): void {
    for (const [key, sight] of this.#sights) if (sight.sequence < sequence) this.#sights.delete(key)
  }

  /** True when a message before this one was a later sight of the same activity. Remembers this one. */
  isStale(stored: StoredMessage): boolean {
    const order = orderFrom(stored.header(headerNames.order))
    if (order === 0n) return false
    const key = keyOf(stored)
    const own = this.#sights.get(key)
    const known = this.#known.get(key)
    if (known !== undefined && known.sequence < stored.sequence && known.order > order) return true
    if (own !== undefined && own.order > order) return true
    this.#sights.set(key, { order, sequence: stored.sequence })
    return false
  }
}

const keyOf = (stored: StoredMessage): string => stored.header("Nats-Msg-Id").slice(0, keyLength)

const orderFrom = (text: string): bigint => (/^\d{1,20}$/.test(text) ? BigInt(text) : 0n)

/** What every watch looks at: a message without one of them must not end them all. */
const fieldsLookedAt = ["tenant", "actor", "resource"] as const

const activityFrom = (body: Uint8Array): Activity | undefined => {
  try {
    const parsed: Json = JSON.parse(decoder.decode(body))
    const spec = objectAt(parsed, "spec")
    if (objectAt(parsed, "metadata") === undefined) return undefined
    if (fieldsLookedAt.some((field) => objectAt(spec, field) === undefined)) return undefined
    // Our own message: the processor wrote an Activity, or it is nothing that a watch could show.
    return parsed as unknown as Activity
  } catch {
    return undefined
  }
}
