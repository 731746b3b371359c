/** Where a value stands in an object, as far as it decides whether it is secret. */
import { type Json, textAt } from "../domain/AuditRecord.ts"
import { isSecretKey } from "./secretText.ts"

export type Path = ReadonlyArray<string>

/** What is known of a value from where it stands. */
export interface Place {
  /** All of it is secret. */
  readonly whole: boolean
  /** It belongs to a Secret. */
  readonly secret: boolean
  /** It stands beneath a key such as `password`. */
  readonly named: boolean
  readonly within: "object" | "metadata" | "annotations"
  /** What is left of the configured paths from here on. */
  readonly paths: ReadonlyArray<Path>
}

/** Of no object, and of no interest. */
export const outside: Place = { whole: false, secret: false, named: false, within: "object", paths: [] }

/** What a Secret says besides its data; a key that is none of these is data, or was meant to be. */
const openKeys = new Set(["apiVersion", "kind", "metadata", "type", "immutable"])

/** The place of `key` in an object that stands at `place`. */
export const placeOf = (place: Place, key: string): Place => {
  if (place.whole) return place
  const within =
    place.within === "object" && key === "metadata"
      ? "metadata"
      : place.within === "metadata" && key === "annotations"
        ? "annotations"
        : place.within
  const isData = place.secret && place.within === "object" && !openKeys.has(key)
  if (!isData && within === place.within && place.paths.length === 0) return place
  const paths = place.paths.flatMap((path) => (path[0] === key || path[0] === "*" ? [path.slice(1)] : []))
  return {
    whole: isData || paths.some((path) => path.length === 0),
    secret: place.secret,
    named: place.named,
    within,
    paths
  }
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
  return isSecretObject(value) && !place.whole ? { ...place, secret: true, within: "object" } : place
}

/** Of the core group, or of one that it does not name. */
export const isSecretObject = (value: Json | undefined): boolean =>
  /^Secret(?:List)?$/.test(textAt(value, "kind")) && /^(?:v1)?$/.test(textAt(value, "apiVersion"))

/** What else is answered or sent where a Secret is meant, and what it says of itself. */
const openKeysByKind = new Map([
  ["Status", new Set(["status", "message", "reason", "details", "code"])],
  ["Table", new Set(["columnDefinitions"])],
  ["DeleteOptions", new Set(["gracePeriodSeconds", "preconditions", "orphanDependents", "propagationPolicy", "dryRun"])]
])

/** The place of `key` in a whole object of the API. */
export const placeInObject = (place: Place, value: Json | undefined, key: string): Place =>
  placeOf(openKeysByKind.get(textAt(value, "kind"))?.has(key) ? { ...place, secret: false } : place, key)

/** The place of what an object or a list at `key` holds. */
export const placeBeneath = (place: Place, key: string): Place => {
  if (key === "") return place
  if (isSecretCollection(key)) return { ...place, named: true }
  return place.named && isReference(key) ? { ...place, named: false } : place
}

/** `passwords: […]`, `token: {value: …}`. What projects a pod's own token holds none. */
const isSecretCollection = (key: string): boolean =>
  (isSecretKey(key) || isSecretKey(key.replace(/s$/, ""))) &&
  !/(?:^|:)serviceAccountToken$|^authentication\.k8s\.io\//.test(key)

/** Says where a secret is kept, or, in a schema, what it is like. */
export const isReference = (key: string): boolean =>
  /(?:Ref|From|Selector|Secret|Name|Path|File)$|^(?:from|x-kubernetes-)|^(?:type|format|description|required|kind|apiVersion)$/.test(
    key
  )
