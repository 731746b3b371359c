/**
 * Strategic merge patch, as Kubernetes' own clients send it for Events: a merge patch that also merges two lists of the
 * metadata, by a key or as sets, and takes directives.
 *
 * @source https://github.com/kubernetes/community/blob/main/contributors/devel/sig-api-machinery/strategic-merge-patch.md
 */
import { isJsonObject, type Json, type JsonObject, textAt } from "../../domain/AuditRecord.ts"

/** Lists that are merged, by their place; every other one is replaced. */
const mergedLists: ReadonlyMap<string, string | undefined> = new Map([
  ["metadata.ownerReferences", "uid"],
  // A set of texts.
  ["metadata.finalizers", undefined]
])

const deleteItems = "$deleteFromPrimitiveList/"

export const strategicMerged = (target: Json | undefined, patch: Json, place = ""): Json => {
  if (!isJsonObject(patch)) return patch
  const directive = textAt(patch, "$patch")
  if (directive === "delete") return {}
  const kept: JsonObject = isJsonObject(target) && directive !== "replace" ? target : {}
  const retained = patch["$retainKeys"]
  const merged = new Map<string, Json | undefined>(
    Object.entries(kept).filter(([name]) => !Array.isArray(retained) || retained.includes(name))
  )
  for (const [name, value] of Object.entries(patch)) {
    const below = place === "" ? name : `${place}.${name}`
    if (name.startsWith(deleteItems)) {
      const list = name.slice(deleteItems.length)
      merged.set(list, without(merged.get(list), value))
    } else if (name.startsWith("$")) {
      continue
    } else if (value === null || value === undefined) {
      merged.delete(name)
    } else if (mergedLists.has(below) && Array.isArray(value)) {
      merged.set(name, mergedList(merged.get(name), value, mergedLists.get(below)))
    } else {
      merged.set(name, strategicMerged(merged.get(name), value, below))
    }
  }
  return Object.fromEntries(merged)
}

const without = (list: Json | undefined, gone: Json | undefined): Json => {
  if (!Array.isArray(list) || !Array.isArray(gone)) return list ?? []
  const named = new Set<Json>(gone)
  return list.filter((item: Json) => !named.has(item))
}

const mergedList = (target: Json | undefined, patch: ReadonlyArray<Json>, key: string | undefined): Json => {
  const items: ReadonlyArray<Json> = Array.isArray(target) ? target : []
  if (key === undefined) return [...new Set([...items, ...patch])]
  if (patch.some((item) => textAt(item, "$patch") === "replace")) {
    return patch.filter((item) => textAt(item, "$patch") === "")
  }
  const merged = new Map(items.map((item) => [textAt(item, key), item]))
  for (const item of patch) {
    const name = textAt(item, key)
    if (textAt(item, "$patch") === "delete") merged.delete(name)
    else merged.set(name, strategicMerged(merged.get(name), item))
  }
  return [...merged.values()]
}
