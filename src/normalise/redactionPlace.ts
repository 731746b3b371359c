/** Where a value stands in an object, as far as it decides whether it is secret. */
import { type Json, textAt } from "../domain/AuditRecord.ts"

export type Path = ReadonlyArray<string>

/** What is known of a value from where it stands. */
export interface Place {
  /** All of it is secret. */
  readonly whole: boolean
  /** It belongs to a Secret. */
  readonly secret: boolean
  readonly within: "object" | "metadata" | "annotations"
  /** What is left of the configured paths from here on. */
  readonly paths: ReadonlyArray<Path>
}

/** Of no object, and of no interest. */
export const outside: Place = { whole: false, secret: false, within: "object", paths: [] }

const dataKeys = new Set(["data", "stringData"])

/** The place of `key` in an object that stands at `place`. */
export const placeOf = (place: Place, key: string): Place => {
  if (place.whole) return place
  const within =
    place.within === "object" && key === "metadata"
      ? "metadata"
      : place.within === "metadata" && key === "annotations"
        ? "annotations"
        : place.within
  const isData = place.secret && place.within === "object" && dataKeys.has(key)
  if (!isData && within === place.within && place.paths.length === 0) return place
  const paths = place.paths.flatMap((path) => (path[0] === key || path[0] === "*" ? [path.slice(1)] : []))
  return { whole: isData || paths.some((path) => path.length === 0), secret: place.secret, within, paths }
}

/** The place of an element: configured paths may name its index, and need not. */
export const elementOf = (place: Place, index: number | string): Place => {
  if (place.whole || place.paths.length === 0) return place
  const named = placeOf(place, String(index))
  const paths = [...place.paths, ...named.paths]
  // Lists in lists would name the same again and again.
  const distinct = new Map(paths.map((path) => [path.join("\n"), path]))
  return { ...place, whole: named.whole, paths: [...distinct.values()] }
}

/** Where the value of a JSON patch's operation goes, from its pointer. */
export const placeOfPointer = (root: Place, pointer: string): Standing => {
  let place = root
  let key = ""
  for (const token of pointer.split("/").slice(1)) {
    key = token.replaceAll("~1", "/").replaceAll("~0", "~")
    // A number may be an index or a name.
    place = /^(?:\d+|-)$/.test(key) ? elementOf(place, key) : placeOf(place, key)
  }
  return { place, key }
}

export interface Standing {
  readonly place: Place
  readonly key: string
}

/** A Secret is one wherever it stands, in a template of another object for one. */
export const placeOfObject = (place: Place, value: Json | undefined): Place => {
  const kind = textAt(value, "kind")
  const isSecret = (kind === "Secret" || kind === "SecretList") && textAt(value, "apiVersion") === "v1"
  return isSecret && !place.whole ? { ...place, secret: true, within: "object" } : place
}
