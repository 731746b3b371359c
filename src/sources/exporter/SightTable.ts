/**
 * Sights by uid, for as many Events as a cluster has: 32 bytes for each, in an array that the garbage collector need not
 * look into. As objects they take some 200 bytes, and a large cluster has hundreds of thousands.
 *
 * What every API server gives, UUIDs and decimal resourceVersions, stands in the array; anything else in a map beside.
 *
 * @decision 0016-exporter-memory
 */
import type { Tenant } from "../../domain/Tenant.ts"
import type { Sight } from "./Sights.ts"

/** Rows, a power of two. */
const sizeMin = 1024
/** So full it may be: above, the next free row is far. */
const loadMax = 0.75

/** A row's numbers of 32 bits: the uid's four, the resourceVersion's two, whose it is, and a mark. */
const rowWords = 8
const uidWords = 4
const versionAt = 4
/** A position among the tenants, from 1; 0 where the row is free. */
const ownerAt = 6
const markAt = 7

const twoTo32 = 2 ** 32

export class SightTable {
  /** Open addressing: a sight stands in the row that its uid names, or in the next one that was free. */
  #rows = new Uint32Array(sizeMin * rowWords)
  #count = 0
  readonly #others = new Map<string, { readonly sight: Sight; mark: number }>()
  readonly #tenants: Array<Tenant> = []
  readonly #owners = new Map<string, number>()
  /** The row that is looked for, or put. */
  readonly #row = new Uint32Array(rowWords)

  get size(): number {
    return this.#count + this.#others.size
  }

  get(uid: string): Sight | undefined {
    const at = this.#placeOf(uid)
    return at === undefined ? this.#others.get(uid)?.sight : this.#sightIn(this.#rows, at, uid)
  }

  /** @param mark see {@link mark} */
  set(sight: Sight, mark: number): void {
    const { resourceVersion, tenant, uid } = sight
    if (!isNumber(resourceVersion) || !readUid(uid, this.#row)) {
      this.delete(uid)
      this.#others.set(uid, { sight, mark })
      return
    }
    this.#others.delete(uid)
    const version = Number(resourceVersion)
    this.#row[versionAt] = version % twoTo32
    this.#row[versionAt + 1] = version / twoTo32
    this.#row[ownerAt] = this.#ownerOf(tenant)
    this.#row[markAt] = mark
    const at = this.#find(this.#rows, this.#row)
    if (this.#rows[at + ownerAt] === 0) this.#count++
    this.#rows.set(this.#row, at)
    if (this.#count * rowWords > this.#rows.length * loadMax) this.#grow()
  }

  delete(uid: string): void {
    this.#others.delete(uid)
    const at = this.#placeOf(uid)
    if (at === undefined) return
    const rows = this.#rows
    rows[at + ownerAt] = 0
    this.#count--
    // What stands behind it without a gap may have passed this row by, and has to be found all the same.
    for (let next = after(rows, at); rows[next + ownerAt] !== 0; next = after(rows, next)) {
      const row = rows.slice(next, next + rowWords)
      rows[next + ownerAt] = 0
      rows.set(row, this.#find(rows, row))
    }
  }

  /** A number that is kept with a sight, where there is one. */
  mark(uid: string, mark: number): void {
    const at = this.#placeOf(uid)
    if (at !== undefined) this.#rows[at + markAt] = mark
    const other = this.#others.get(uid)
    if (other !== undefined) other.mark = mark
  }

  /** Uids of the sights that have another mark. */
  uidsWithout(mark: number): ReadonlyArray<string> {
    const uids: Array<string> = []
    const rows = this.#rows
    for (let at = 0; at < rows.length; at += rowWords) {
      if (rows[at + ownerAt] !== 0 && rows[at + markAt] !== mark) uids.push(uidIn(rows, at))
    }
    for (const [uid, other] of this.#others) if (other.mark !== mark) uids.push(uid)
    return uids
  }

  /** As they are when the first is asked for, whatever changes meanwhile. */
  *values(): Generator<Sight> {
    const rows = this.#rows.slice()
    const others = [...this.#others.values()]
    for (let at = 0; at < rows.length; at += rowWords) {
      if (rows[at + ownerAt] !== 0) yield this.#sightIn(rows, at, uidIn(rows, at))
    }
    for (const { sight } of others) yield sight
  }

  #sightIn(rows: Uint32Array, at: number, uid: string): Sight {
    const version = rows[at + versionAt]! + rows[at + versionAt + 1]! * twoTo32
    return { uid, resourceVersion: String(version), tenant: this.#tenants[rows[at + ownerAt]! - 1]! }
  }

  #placeOf(uid: string): number | undefined {
    if (!readUid(uid, this.#row)) return undefined
    const at = this.#find(this.#rows, this.#row)
    return this.#rows[at + ownerAt] === 0 ? undefined : at
  }

  /** Where the row's uid stands, or could. */
  #find(rows: Uint32Array, row: Uint32Array): number {
    const [first, second, third, fourth] = row
    let at = homeOf(rows, row)
    while (
      rows[at + ownerAt] !== 0 &&
      (rows[at] !== first || rows[at + 1] !== second || rows[at + 2] !== third || rows[at + 3] !== fourth)
    ) {
      at = after(rows, at)
    }
    return at
  }

  #grow(): void {
    const grown = new Uint32Array(this.#rows.length * 2)
    for (let at = 0; at < this.#rows.length; at += rowWords) {
      if (this.#rows[at + ownerAt] === 0) continue
      const row = this.#rows.subarray(at, at + rowWords)
      grown.set(row, this.#find(grown, row))
    }
    this.#rows = grown
  }

  #ownerOf(tenant: Tenant): number {
    const { name, type } = tenant
    const key = `${type.length} ${type}${name}`
    const known = this.#owners.get(key)
    if (known !== undefined) return known
    const owner = this.#tenants.push(tenant)
    this.#owners.set(key, owner)
    return owner
  }
}

/** UUIDs are random, but those of one source may differ in a few digits only. */
const homeOf = (rows: Uint32Array, row: Uint32Array): number => {
  let mixed = 0
  for (let word = 0; word < uidWords; word++) {
    mixed = Math.imul(mixed ^ row[word]!, 0x9e3779b1)
    mixed ^= mixed >>> 15
  }
  return (mixed * rowWords) & (rows.length - 1)
}

const after = (rows: Uint32Array, at: number): number => (at + rowWords) & (rows.length - 1)

/** Those that a number holds exactly, as String() writes them. */
const isNumber = (text: string): boolean => /^[1-9]\d{0,14}$/.test(text)

/** Reads a UUID as it is printed: 32 digits in lower case, in groups of 8, 4, 4, 4 and 12. @returns whether it is one */
const readUid = (text: string, into: Uint32Array): boolean => {
  if (text.length !== 36) return false
  let digits = 0
  let word = 0
  for (let at = 0; at < 36; at++) {
    const code = text.charCodeAt(at)
    if (at === 8 || at === 13 || at === 18 || at === 23) {
      if (code !== 0x2d) return false
      continue
    }
    const digit = code >= 0x61 && code <= 0x66 ? code - 0x57 : code >= 0x30 && code <= 0x39 ? code - 0x30 : -1
    if (digit < 0) return false
    word = (word << 4) | digit
    digits++
    if (digits % 8 === 0) into[digits / 8 - 1] = word
  }
  return true
}

const uidIn = (rows: Uint32Array, at: number): string => {
  let hex = ""
  for (let word = 0; word < uidWords; word++) hex += rows[at + word]!.toString(16).padStart(8, "0")
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
