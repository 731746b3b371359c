/** What a request changed, as far as its record and those before it tell for certain. */
import { type AuditRecord, isJsonObject, type Json, type JsonObject } from "../../domain/AuditRecord.ts"
import { changedFields, type FieldChange, type FieldChanges, memberOf, nameAt } from "../../domain/fieldChanges.ts"
import type { FieldPath } from "../../domain/fieldPath.ts"
import { redactedText } from "../../normalise/secretText.ts"
import {
  answeredObject,
  type EarlierState,
  generationOf,
  isScale,
  replicasOf,
  sentObject,
  stateBefore,
  versionOf
} from "./objectStates.ts"
import { isWhole, namedBy, requestedFields } from "./requestedFields.ts"

/** Whether the request is one whose changes are told: it changed an object that was there. */
export const hasChanges = ({ statusCode, verb }: Pick<AuditRecord, "statusCode" | "verb">): boolean =>
  // 201: an update or an apply that created it.
  (verb === "update" || verb === "patch") && statusCode >= 200 && statusCode < 300 && statusCode !== 201

/** More differences than that are only counted. */
const comparedMax = 10_000

/**
 * The object as the request left it beside how it was before, as far as the request can be what changed it; where that is
 * not known, what a patch or a scale asked for: new values without old ones.
 *
 * @param earlier records of the same object, newest first; taken as far as they are needed
 * @returns undefined where nothing is known; without changes where it is known that there are none
 * @decision 0028-changes
 */
export const recordedChanges = (record: AuditRecord, earlier: Iterable<AuditRecord>): FieldChanges | undefined => {
  if (!hasChanges(record) || record.objectRef.subresource === "status") return undefined
  const answered = answeredObject(record)
  const after = answered ?? sentObject(record)
  const before = after === undefined ? undefined : stateBefore(after, earlier)
  const compared =
    after === undefined || before === undefined ? undefined : comparedTo(before, after, record, answered !== undefined)
  return compared ?? requestedBy(record, answered)
}

const comparedTo = (
  before: EarlierState,
  after: JsonObject,
  record: AuditRecord,
  isAnswered: boolean
): FieldChanges | undefined => {
  const judge = judgeOf(before, after, record, isAnswered)
  if (judge === undefined) return undefined
  const now = isScale(after) ? replicasOf(after) : after
  const found = changedFields(before.object, now, { isLeftOut: isBookkeeping, changesMax: comparedMax })
  const judged = found.changes.map((change) => ({ change, verdict: judge(change) }))
  const own = judged.flatMap(({ change, verdict }) => (verdict === "own" ? [change] : []))
  const uncertain = judged.filter(({ verdict }) => verdict === "uncertain").length
  return {
    changes: [...own, ...hiddenFields(record, before.object, now)],
    leftOut: found.leftOut + uncertain
  }
}

/** Whether a difference is the request's doing, somebody else's, or either's. */
type Verdict = "own" | "other" | "uncertain"
type Judge = (change: FieldChange) => Verdict

/**
 * Not all that happens to an object is recorded, or this tenant's to see: between the state before and the request there
 * may have been others.
 *
 * @returns undefined where the object itself says that there were
 */
const judgeOf = (
  before: EarlierState,
  after: JsonObject,
  record: AuditRecord,
  isAnswered: boolean
): Judge | undefined => {
  const sent = sentObject(record)
  const base = versionOf(sent)
  if (base !== 0n) {
    // The update was made from exactly this state.
    if (base === before.version) return () => "own"
    // From a later one, in which no more was wanted of the object; its labels and annotations may have been others.
    return isAnswered && isRaised(before, generationOf(sent), 0)
      ? ({ path }) => (path[0] === "metadata" ? "uncertain" : "own")
      : undefined
  }
  if (!isAnswered || isRaised(before, generationOf(after), 1) === false) return undefined
  if (isScale(after)) return () => "own"
  const request = record.body["requestObject"]
  const isNamed = namedBy(request)
  return ({ new: now, path }) => (isNamed(path) || (isWhole(request) && now === undefined) ? "own" : "other")
}

/**
 * Whether the generation is higher by no more than what is known to have raised it, and `more`; undefined where the kind
 * has none.
 */
const isRaised = (before: EarlierState, generation: number | undefined, more: number): boolean | undefined =>
  before.generation === undefined || generation === undefined
    ? undefined
    : generation >= before.generation && generation - before.generation <= before.scales + more

/** Without a state before. A whole object names what is to be, most of which was so before. */
const requestedBy = (record: AuditRecord, answered: JsonObject | undefined): FieldChanges | undefined => {
  const request = answered !== undefined && isScale(answered) ? replicasOf(answered) : record.body["requestObject"]
  if (request === undefined || isWhole(request) || (record.verb === "update" && !isScale(answered ?? {}))) {
    return undefined
  }
  const changes = requestedFields(request).filter(({ path }) => !isBookkeepingWithin(path))
  return { changes, leftOut: 0 }
}

/** What the API server and controllers keep in the object for themselves. */
const ownMetadata: ReadonlySet<string> = new Set([
  "creationTimestamp",
  "deletionGracePeriodSeconds",
  "deletionTimestamp",
  "generation",
  "managedFields",
  "resourceVersion",
  "selfLink",
  "uid"
])

const isBookkeeping = ([first, second, third, ...deeper]: FieldPath): boolean => {
  if (first === "status" || first === "apiVersion" || first === "kind") return second === undefined
  if (first !== "metadata" || typeof second !== "string" || deeper.length > 0) return false
  return third === undefined
    ? ownMetadata.has(second)
    : second === "annotations" && third === "kubectl.kubernetes.io/last-applied-configuration"
}

const isBookkeepingWithin = (path: FieldPath): boolean =>
  path.some((_, index) => isBookkeeping(path.slice(0, index + 1)))

/** Fields that a patch named, whose values are redacted before and after: nothing else tells that they were set. */
const hiddenFields = (record: AuditRecord, before: JsonObject, after: JsonObject): ReadonlyArray<FieldChange> => {
  const request = record.body["requestObject"]
  if (record.verb !== "patch" || isWhole(request)) return []
  return requestedFields(request).flatMap(({ path, new: asked }) => {
    if (typeof asked !== "string" || !asked.includes(redactedText) || isBookkeepingWithin(path)) return []
    const [old, now] = [valueAt(before, path), valueAt(after, path)]
    return typeof now === "string" && now.includes(redactedText) && old === now ? [{ path, old, new: now }] : []
  })
}

const valueAt = (object: JsonObject, path: FieldPath): Json | undefined => {
  let value: Json | undefined = object
  for (const step of path) {
    if (typeof step === "string") value = isJsonObject(value) ? memberOf(value, step) : undefined
    else if (!Array.isArray(value)) return undefined
    else if (typeof step === "number") value = value[step]
    else value = value.find((element) => isJsonObject(element) && nameAt(element, step.key) === step.value)
  }
  return value
}
