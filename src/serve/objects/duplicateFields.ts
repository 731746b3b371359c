/**
 * Fields that a JSON text gives twice: their paths, such as `spec.auditRules[0].name`. JSON.parse takes the last of them
 * without a word, where whoever wrote the text may have meant the first.
 *
 * @param json what JSON.parse has read
 */
export const duplicateFields = (json: string): ReadonlyArray<string> => {
  const duplicates = new Set<string>()
  const open: Array<Place> = []
  let isName = false
  for (const [token] of json.matchAll(tokens)) {
    const place = open.at(-1)
    switch (token) {
      case "{":
      case "[":
        open.push({ path: pathIn(place), names: token === "{" ? new Set() : undefined, name: "", index: 0 })
        isName = token === "{"
        break
      case "}":
      case "]":
        open.pop()
        break
      case ",":
        if (place === undefined) break
        isName = place.names !== undefined
        place.index++
        break
      default:
        if (!isName || place?.names === undefined) break
        isName = false
        place.name = JSON.parse(token)
        if (place.names.has(place.name) && duplicates.size < duplicatesMax) duplicates.add(pathIn(place))
        place.names.add(place.name)
    }
  }
  return [...duplicates]
}

/** As many as a reader can use. */
const duplicatesMax = 20

/** Texts, and what opens, closes and parts objects and lists. What is between them names nothing. */
const tokens = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],]/g

/** An object or a list that is being read. */
interface Place {
  readonly path: string
  /** Undefined of a list. */
  readonly names: Set<string> | undefined
  /** Of the field that was read last. */
  name: string
  /** Of the item that is read; of an object it says nothing. */
  index: number
}

const pathIn = (place: Place | undefined): string =>
  place === undefined
    ? ""
    : place.names === undefined
      ? `${place.path}[${place.index}]`
      : `${place.path}${place.path === "" ? "" : "."}${place.name}`
