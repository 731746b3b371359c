/**
 * The Events that are alive in the cluster: at which resourceVersion each was seen last, and whose it is since it was
 * seen first. By it a new list repeats nothing, and a relabelled namespace moves nothing.
 *
 * What was seen counts as settled once the bus has it; only that is saved.
 */
import type { Tenant } from "../../domain/Tenant.ts"
import { SightTable } from "./SightTable.ts"

export interface Sight {
  readonly uid: string
  readonly resourceVersion: string
  readonly tenant: Tenant
}

/** Of one step, in order: an Event that is gone has only its uid. */
export type SightChange = Sight | { readonly uid: string; readonly resourceVersion: undefined }

/** No list has it. */
const notListed = 0

export class Sights {
  /** Marked with the last list that held it. */
  readonly #settled = new SightTable()
  /** Seen and not settled yet; bounded by what is in flight. */
  readonly #pending = new Map<string, { readonly change: SightChange; readonly steps: number; readonly list: number }>()
  /** The present list, counted from 1; {@link notListed} between lists. */
  #list = notListed
  #lists = 0

  /** Versions that the bus has behind the checkpoint, and that will be seen again. */
  readonly #published = new Set<string>()

  /** @param published what the bus has besides `settled`, in its order */
  constructor(settled: Iterable<Sight>, published: ReadonlyArray<Sight> = []) {
    for (const sight of settled) this.#settled.set(sight, notListed)
    for (const sight of published) {
      // Whose an Event is was decided at its first sight.
      const { tenant } = this.#settled.get(sight.uid) ?? sight
      this.#settled.set({ ...sight, tenant }, notListed)
      this.#published.add(`${sight.uid} ${sight.resourceVersion}`)
    }
  }

  /** The bus has it already. Each version that it has behind the checkpoint is asked for once. */
  isPublished(uid: string, resourceVersion: string): boolean {
    return (
      (this.#published.size > 0 && this.#published.delete(`${uid} ${resourceVersion}`)) ||
      this.last(uid)?.resourceVersion === resourceVersion
    )
  }

  /** Whatever the bus had behind the checkpoint was seen again: the watch is where the one before us had been. */
  get isCaughtUp(): boolean {
    return this.#published.size === 0
  }

  get size(): number {
    return this.#settled.size
  }

  /** The last sight of an Event, settled or not. */
  last(uid: string): Sight | undefined {
    const pending = this.#pending.get(uid)
    if (pending === undefined) return this.#settled.get(uid)
    return pending.change.resourceVersion === undefined ? undefined : pending.change
  }

  /** What is noted while a list is read is in it. */
  note(change: SightChange): void {
    const steps = (this.#pending.get(change.uid)?.steps ?? 0) + 1
    this.#pending.set(change.uid, { change, steps, list: this.#list })
  }

  /** The changes are in the bus. */
  settle(changes: ReadonlyArray<SightChange>): void {
    for (const change of changes) {
      const pending = this.#pending.get(change.uid)
      if (pending?.steps === 1) this.#pending.delete(change.uid)
      else if (pending !== undefined) this.#pending.set(change.uid, { ...pending, steps: pending.steps - 1 })
      if (change.resourceVersion === undefined) this.#settled.delete(change.uid)
      else this.#settled.set(change, pending?.list ?? notListed)
    }
  }

  listing(): void {
    this.#list = ++this.#lists
  }

  isListed(uid: string): void {
    this.#settled.mark(uid, this.#list)
    const pending = this.#pending.get(uid)
    if (pending !== undefined) this.#pending.set(uid, { ...pending, list: this.#list })
  }

  /** The list is complete. @returns the Events that it does not hold, noted as gone */
  listedAll(): ReadonlyArray<SightChange> {
    const list = this.#list
    this.#list = notListed
    // Older versions do not come any more.
    this.#published.clear()
    if (list === notListed) return []
    const gone: Array<SightChange> = []
    const pending = [...this.#pending.keys()].filter((uid) => this.#settled.get(uid) === undefined)
    for (const uid of [...this.#settled.uidsWithout(list), ...pending]) {
      if (this.#pending.get(uid)?.list === list || this.last(uid) === undefined) continue
      const change = { uid, resourceVersion: undefined }
      this.note(change)
      gone.push(change)
    }
    return gone
  }

  settled(): Iterable<Sight> {
    return this.#settled.values()
  }
}
