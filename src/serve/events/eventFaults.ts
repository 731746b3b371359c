/**
 * Why an Event may not be stored, as kube-apiserver judges it: what is written as core/v1 may be of an older reporter;
 * of events.k8s.io/v1 everything must be there, and once created only the series may go on.
 *
 * Unlike kube-apiserver, core/v1 may not change what an Event is about either: watches with a selector rely on that. No
 * reporter changes it.
 *
 * @source https://github.com/kubernetes/kubernetes/blob/v1.34.4/pkg/apis/core/validation/events.go
 */
import { isDeepStrictEqual } from "node:util"
import { eventsGroup } from "../../contracts/eventsApis.ts"
import { type Json, type JsonObject, objectAt, textAt } from "../../domain/AuditRecord.ts"
import { microsecondsFrom } from "../../domain/instant.ts"
import { pathSegmentFault } from "../../domain/pathSegment.ts"
import type { FieldFault } from "../ApiFailure.ts"
import { isQualifiedName, metadataFaults } from "../objects/metadata.ts"
import { type EventMetadata, isEmpty } from "./eventBody.ts"

/** An Event with the fields of events.k8s.io/v1, and the API group that it came by. */
export interface JudgedEvent {
  readonly group: string
  readonly metadata: EventMetadata
  readonly namespace: string
  readonly fields: JsonObject
}

const lengthMax = 128
const noteLengthMax = 1_024

export const createFaults = (judged: JudgedEvent): ReadonlyArray<FieldFault> => {
  const { fields, group } = judged
  if (group !== eventsGroup) return [...metaFaults(judged), ...reporterFaults(judged)]
  const type = textAt(fields, "type")
  return [
    ...reporterFaults(judged),
    ...metaFaults(judged),
    ...seriesFaults(fields),
    ...(textAt(fields, "eventTime") === "" ? [required("eventTime")] : []),
    ...(type === "Normal" || type === "Warning" ? [] : [invalidValue("type", "", `has invalid value: ${type}`)]),
    ...deprecatedFields.flatMap(([name, internal]) =>
      isEmpty(fields[name]) ? [] : [invalidValue(internal, "", "needs to be unset")]
    )
  ]
}

/** @param stored the fields that it would replace, as they were normalised */
export const updateFaults = (
  judged: JudgedEvent,
  normalised: JsonObject,
  stored: JsonObject
): ReadonlyArray<FieldFault> => {
  const isNew = judged.group === eventsGroup
  return [
    ...reporterFaults(judged),
    ...metaFaults(judged),
    ...(isNew && !isSame(normalised["series"], stored["series"]) ? seriesFaults(judged.fields) : []),
    ...(isNew ? [...lastingFields, ...passingFields] : lastingFields).flatMap(([name, internal]) =>
      isSame(normalised[name], stored[name])
        ? []
        : [invalidValue(internal, normalised[name] ?? "", "field is immutable")]
    )
  ]
}

/** By their names in events.k8s.io/v1, and in Kubernetes' own type, which its messages use. */
type Named = readonly [name: string, internal: string]

const deprecatedFields: ReadonlyArray<Named> = [
  ["deprecatedFirstTimestamp", "firstTimestamp"],
  ["deprecatedLastTimestamp", "lastTimestamp"],
  ["deprecatedCount", "count"],
  ["deprecatedSource", "source"]
]

const lastingFields: ReadonlyArray<Named> = [
  ["regarding", "involvedObject"],
  ["related", "related"],
  ["reason", "reason"],
  ["type", "type"],
  ["action", "action"],
  ["reportingController", "reportingController"],
  ["reportingInstance", "reportingInstance"]
]

/** A newer reporter never touches them; for an older one they are how it goes on. */
const passingFields: ReadonlyArray<Named> = [["note", "message"], ["eventTime", "eventTime"], ...deprecatedFields]

const reporterFaults = ({ fields, group, namespace }: JudgedEvent): ReadonlyArray<FieldFault> => {
  const regarding = textAt(objectAt(fields, "regarding"), "namespace")
  const astray = invalidValue("involvedObject.namespace", regarding, "does not match event.namespace")
  if (textAt(fields, "eventTime") === "") {
    const agrees = regarding === "" ? namespace === "default" : regarding === namespace
    return agrees ? [] : [astray]
  }
  const controllerField = group === eventsGroup ? "reportingController" : "reportingComponent"
  const controller = textAt(fields, "reportingController")
  return [
    ...(regarding === "" && namespace !== "default" && namespace !== "kube-system" ? [astray] : []),
    ...(controller === "" ? [required(controllerField)] : []),
    ...(isQualifiedName(controller)
      ? []
      : [
          invalidValue(
            controllerField,
            controller,
            "it is a name of at most 63 letters, digits, '-', '_' or '.', with an optional DNS prefix and '/'"
          )
        ]),
    ...(["reportingInstance", "action", "reason"] as const).flatMap((name) => {
      const text = textAt(fields, name)
      if (text === "") return [required(name)]
      return Buffer.byteLength(text) > lengthMax
        ? [invalidValue(name, "", `can have at most ${lengthMax} characters`)]
        : []
    }),
    ...(Buffer.byteLength(textAt(fields, "note")) > noteLengthMax
      ? [invalidValue("message", "", `can have at most ${noteLengthMax} characters`)]
      : [])
  ]
}

const seriesFaults = (fields: JsonObject): ReadonlyArray<FieldFault> => {
  const series = objectAt(fields, "series")
  if (series === undefined) return []
  const count = series["count"]
  return [
    ...(typeof count === "number" && count >= 2 ? [] : [invalidValue("series.count", "", "should be at least 2")]),
    ...(textAt(series, "lastObservedTime") === "" ? [required("series.lastObservedTime")] : [])
  ]
}

/** Older reporters name Events as they like, as far as a path can say it. */
const metaFaults = ({ group, metadata }: JudgedEvent): ReadonlyArray<FieldFault> =>
  metadataFaults(metadata).filter(
    ({ field, reason }) =>
      group === eventsGroup ||
      field !== "metadata.name" ||
      reason !== "FieldValueInvalid" ||
      pathSegmentFault(metadata.name) !== undefined
  )

const isSame = (one: Json | undefined, other: Json | undefined): boolean =>
  (isEmpty(one) && isEmpty(other)) || isDeepStrictEqual(one, other) || isSameInstant(one, other)

/** Its cluster may have written it with fewer digits. */
const isSameInstant = (one: Json | undefined, other: Json | undefined): boolean => {
  const instant = typeof one === "string" ? microsecondsFrom(one) : undefined
  return instant !== undefined && typeof other === "string" && microsecondsFrom(other) === instant
}

const required = (field: string): FieldFault => ({ field, reason: "FieldValueRequired", message: "Required value" })

const invalidValue = (field: string, value: Json, why: string): FieldFault => ({
  field,
  reason: "FieldValueInvalid",
  message: `Invalid value: ${JSON.stringify(value)}: ${why}`
})
