/**
 * A map for what only passes through: thousands of values a second, each for a moment.
 *
 * A Map that much is deleted from gets a new table now and then, and the one before it leads to it. Once one of these
 * tables has grown old, all that come after it, and all that was ever in them, are kept until the next major collection.
 * Here the tables hold numbers only, and the places of values are used again.
 *
 * @decision 0031-what-waits-dies-young
 */
export class PassageMap<Key, Value> {
  readonly #places = new Map<Key, number>()
  readonly #values: Array<Value | undefined> = []
  readonly #free: Array<number> = []

  get size(): number {
    return this.#places.size
  }

  get(key: Key): Value | undefined {
    const place = this.#places.get(key)
    return place === undefined ? undefined : this.#values[place]
  }

  set(key: Key, value: Value): void {
    let place = this.#places.get(key)
    if (place === undefined) {
      place = this.#free.pop() ?? this.#values.length
      this.#places.set(key, place)
    }
    this.#values[place] = value
  }

  /** False when there was none. */
  delete(key: Key): boolean {
    const place = this.#places.get(key)
    if (place === undefined) return false
    this.#places.delete(key)
    this.#values[place] = undefined
    this.#free.push(place)
    return true
  }

  /** Those of this moment, in the order in which their keys came; it may be changed meanwhile. */
  values(): ReadonlyArray<Value> {
    // Every place of a key holds a value.
    return Array.from(this.#places.values(), (place) => this.#values[place]!)
  }

  clear(): void {
    this.#places.clear()
    this.#values.length = 0
    this.#free.length = 0
  }
}
