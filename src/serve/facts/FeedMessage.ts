/** A message of a stream of facts, as watches see it. */
import type { StoredMessage } from "../../clients/nats/Nats.ts"
import { headerNames, type Mark } from "../../domain/streams.ts"

export interface FeedMessage<A> {
  readonly sequence: number
  /** The fact's key. */
  readonly key: string
  readonly mark: Mark
  /** At its source; 0 where it has none. */
  readonly order: bigint
  readonly fact: A
  readonly sizeBytes: number
}

/** A stream whose messages are sights of facts. */
export interface FeedSource<A> {
  readonly stream: string
  /** The fact's key, told by the headers alone; "" where they do not. */
  readonly keyOf: (stored: StoredMessage) => string
  /** Undefined: it is nothing that a watch could show. Never throws. */
  readonly factFrom: (stored: StoredMessage) => A | undefined
  /** Whether it was written through an API: whoever wrote it reads it at once. Absent: none is. */
  readonly isWritten?: (stored: StoredMessage) => boolean
}

interface Sight {
  readonly order: bigint
  readonly sequence: number
}

/**
 * The highest order at the source of every fact that has one (Kubernetes Events, and activities of them): some 150
 * bytes each, for as many as the stream holds.
 */
export class SourceOrders<A> {
  readonly #source: FeedSource<A>
  readonly #sights = new Map<string, Sight>()
  readonly #known: ReadonlyMap<string, Sight>

  /** @param known what others have seen: a message before it in the stream is judged by it too */
  constructor(source: FeedSource<A>, known?: SourceOrders<A>) {
    this.#source = source
    this.#known = known === undefined ? new Map() : known.#sights
  }

  /** Undefined when a later sight came before it, or it is no fact of the source. */
  messageFrom(stored: StoredMessage): FeedMessage<A> | undefined {
    if (this.isStale(stored)) return undefined
    const fact = this.#source.factFrom(stored)
    if (fact === undefined) return undefined
    const mark = stored.header(headerNames.mark)
    return {
      sequence: stored.sequence,
      key: this.#source.keyOf(stored),
      mark: mark === "modified" || mark === "deleted" ? mark : "added",
      order: orderFrom(stored.header(headerNames.order)),
      fact,
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

  /** True when a message before this one was a later sight of the same fact. Remembers this one. */
  isStale(stored: StoredMessage): boolean {
    const order = orderFrom(stored.header(headerNames.order))
    if (order === 0n) return false
    const key = this.#source.keyOf(stored)
    if (key === "") return false
    const own = this.#sights.get(key)
    const known = this.#known.get(key)
    if (known !== undefined && known.sequence < stored.sequence && known.order > order) return true
    if (own !== undefined && own.order > order) return true
    this.#sights.set(key, { order, sequence: stored.sequence })
    return false
  }
}

const orderFrom = (text: string): bigint => (/^\d{1,20}$/.test(text) ? BigInt(text) : 0n)
