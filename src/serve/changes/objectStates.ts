/** What records tell of an object: how a request left it, and how it was before. */
import { type AuditRecord, type JsonObject, objectAt, textAt } from "../../domain/AuditRecord.ts"
import { memberOf } from "../../domain/fieldChanges.ts"

/** The object as it was answered; undefined where nothing of its shape was. */
export const answeredObject = ({ body }: AuditRecord): JsonObject | undefined => wholeObject(body, "responseObject")

/** The object as an update sent it: without what the API server fills in. */
export const sentObject = ({ body, objectRef, verb }: AuditRecord): JsonObject | undefined =>
  verb === "update" && objectRef.subresource === "" ? wholeObject(body, "requestObject") : undefined

const wholeObject = (body: JsonObject, name: "requestObject" | "responseObject"): JsonObject | undefined => {
  const object = objectAt(body, name)
  const kind = textAt(object, "kind")
  return objectAt(object, "metadata") === undefined || kind === "" || otherShapes.has(kind) ? undefined : object
}

const otherShapes: ReadonlySet<string> = new Set(["Status", "Table", "PartialObjectMetadata"])

export const isScale = (object: JsonObject): boolean => textAt(object, "kind") === "Scale"

/** As a scale and the object that it scales have it alike, but that a scale to 0 does not say so. */
export const replicasOf = (object: JsonObject): JsonObject => {
  const replicas = memberOf(objectAt(object, "spec") ?? {}, "replicas")
  return { spec: { replicas: replicas ?? (isScale(object) ? 0 : undefined) } }
}

/** The order of the API server's store; 0 where the object does not say. */
export const versionOf = (object: JsonObject | undefined): bigint => {
  const text = textAt(objectAt(object, "metadata"), "resourceVersion")
  return /^\d{1,30}$/.test(text) ? BigInt(text) : 0n
}

/** Each change of what is wanted of an object raises it by one; undefined where its kind has none. */
export const generationOf = (object: JsonObject | undefined): number | undefined => {
  const generation = memberOf(objectAt(object, "metadata") ?? {}, "generation")
  return typeof generation === "number" ? generation : undefined
}

/** As the records tell it. There may have been changes since that none of them tells. */
export interface EarlierState {
  readonly object: JsonObject
  readonly version: bigint
  readonly generation: number | undefined
  /** Scales among the changes that made it so: how often the generation was raised besides at most. */
  readonly scales: number
}

/**
 * The object as it was before it became `after`.
 *
 * Undefined where that is not known: there is no record, it was another object of that name, or a request came after it
 * that changed something and does not tell what.
 *
 * @param earlier records of the same object, newest first
 */
export const stateBefore = (after: JsonObject, earlier: Iterable<AuditRecord>): EarlierState | undefined => {
  const scales: Array<JsonObject> = []
  for (const record of earlier) {
    const state = answeredObject(record)
    if (state === undefined || !isOfOneKind(state, after)) {
      if (isHarmless(record)) continue
      return undefined
    }
    // It was received before, and carried out after.
    if (versionOf(after) !== 0n && versionOf(state) > versionOf(after)) continue
    if (isOther(uidOf(state), uidOf(after))) return undefined
    if (isScale(state) && !isScale(after)) scales.push(state)
    else {
      const object = isScale(after) ? replicasOf(state) : scaledAs(scales[0], state)
      const version = versionOf(scales[0] ?? state)
      return { object, version, generation: generationOf(state), scales: scales.length }
    }
  }
  return undefined
}

/** A scale speaks of one field of any kind. */
const isOfOneKind = (one: JsonObject, other: JsonObject): boolean =>
  isScale(one) ||
  isScale(other) ||
  (textAt(one, "kind") === textAt(other, "kind") && textAt(one, "apiVersion") === textAt(other, "apiVersion"))

/** Whatever it did, it is not told as a change. */
const isHarmless = ({ objectRef, verb }: AuditRecord): boolean => verb === "get" || objectRef.subresource === "status"

const uidOf = (object: JsonObject): string => textAt(objectAt(object, "metadata"), "uid")

const isOther = (one: string, other: string): boolean => one !== "" && other !== "" && one !== other

/** @param scale the last one since, where there was one */
const scaledAs = (scale: JsonObject | undefined, object: JsonObject): JsonObject =>
  scale === undefined
    ? object
    : { ...object, spec: { ...objectAt(object, "spec"), ...objectAt(replicasOf(scale), "spec") } }
