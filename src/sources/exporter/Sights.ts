/**
 * The Events that are alive in the cluster: at which resourceVersion each was seen last, and whose it is since it was
 * seen first. By it a new list repeats nothing, and a relabelled namespace moves nothing.
 *
 * What was seen counts as settled once the bus has it; only that is saved.
 */
import type { Tenant } from "../../domain/Tenant.ts"

export interface Sight {
  readonly uid: string
  readonly resourceVersion: string
  readonly tenant: Tenant
}

/** Of one step, in order: an Event that is gone has only its uid. */
export type SightChange = Sight | { readonly uid: string; readonly resourceVersion: undefined }

export class Sights {
  readonly #settled: Map<string, Sight>
  /** Seen and not settled yet; bounded by what is in flight. */
  readonly #pending = new Map<string, { readonly change: SightChange; steps: number }>()
  /** Since the present list began. */
  #listed: Set<string> | undefined = undefined

  /** Versions that the bus has behind the checkpoint, and that will be seen again. */
  readonly #published = new Set<string>()

  /** @param published what the bus has besides `settled`, in its order */
  constructor(settled: Iterable<Sight>, published: ReadonlyArray<Sight> = []) {
    this.#settled = new Map()
    for (const sight of settled) this.#settled.set(sight.uid, sight)
    for (const sight of published) {
      // Whose an Event is was decided at its first sight.
      const { tenant } = this.#settled.get(sight.uid) ?? sight
      this.#settled.set(sight.uid, { ...sight, tenant })
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

  note(change: SightChange): void {
    const before = this.#pending.get(change.uid)
    this.#pending.set(change.uid, { change, steps: (before?.steps ?? 0) + 1 })
  }

  /** The changes are in the bus. */
  settle(changes: ReadonlyArray<SightChange>): void {
    for (const change of changes) {
      const pending = this.#pending.get(change.uid)
      if (pending !== undefined && --pending.steps === 0) this.#pending.delete(change.uid)
      if (change.resourceVersion === undefined) this.#settled.delete(change.uid)
      else this.#settled.set(change.uid, change)
    }
  }

  listing(): void {
    this.#listed = new Set()
  }

  isListed(uid: string): void {
    this.#listed?.add(uid)
  }

  /** The list is complete. @returns the Events that it does not hold, noted as gone */
  listedAll(): ReadonlyArray<SightChange> {
    const listed = this.#listed
    this.#listed = undefined
    // Older versions do not come any more.
    this.#published.clear()
    if (listed === undefined) return []
    const gone: Array<SightChange> = []
    for (const uid of new Set([...this.#settled.keys(), ...this.#pending.keys()])) {
      if (listed.has(uid) || this.last(uid) === undefined) continue
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
