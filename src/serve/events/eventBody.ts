/** An Event as a client sends it, in either API version: its fields checked, its times in the form of Kubernetes. */
import { Effect, Result } from "effect"
import { eventsGroup } from "../../contracts/eventsApis.ts"
import { coreFieldNames, eventProperties } from "../../contracts/eventsSchema.ts"
import { isJsonObject, type Json, type JsonObject, objectAt, textAt } from "../../domain/AuditRecord.ts"
import { microsecondsFrom, secondsTimestampText, timestampText } from "../../domain/instant.ts"
import type { ObjectMetadata } from "../../domain/KeptObject.ts"
import { type ApiFailure, badRequest } from "../ApiFailure.ts"
import type { Call } from "../http/Call.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"
import { type BodyKind, type CheckedBody, checkedObject, objectBody } from "../objects/objectBody.ts"

export interface EventMetadata extends ObjectMetadata {
  readonly namespace?: string
  readonly generateName?: string
}

export interface SentEvent {
  readonly metadata: EventMetadata
  /** Of events.k8s.io/v1, whichever version was sent; metadata aside, and nothing that is empty filled in. */
  readonly fields: JsonObject
  /** For Warning headers. */
  readonly warnings: ReadonlyArray<string>
}

/** @fails ApiFailure UnsupportedMediaType, RequestEntityTooLarge, BadRequest */
export const eventBody = (call: Call, request: ResourceRequest): Effect.Effect<SentEvent, ApiFailure> =>
  Effect.flatMap(objectBody(call, request, bodyKind(request)), (body) => sentFrom(body, request))

/** The same of what a patch has made. */
export const checkedEvent = (call: Call, request: ResourceRequest, body: Json): Effect.Effect<SentEvent, ApiFailure> =>
  Effect.flatMap(checkedObject(call, request, body, bodyKind(request)), (checked) => sentFrom(checked, request))

const bodyKind = ({ group }: ResourceRequest): BodyKind => ({ kind: "Event", properties: eventProperties(group) })

const sentFrom = (
  { object, warnings }: CheckedBody,
  { group, version }: ResourceRequest
): Effect.Effect<SentEvent, ApiFailure> => {
  const { apiVersion: _, kind: __, metadata, ...sent } = object
  const renamed = group === eventsGroup ? sent : newNames(sent)
  return Result.match(withTimes(renamed), {
    onFailure: (fault) =>
      Effect.fail(badRequest(`Event in version ${JSON.stringify(version)} cannot be handled as a Event: ${fault}`)),
    onSuccess: (fields) =>
      Effect.succeed({
        // The schema says the shapes.
        metadata: { ...(metadata as unknown as EventMetadata | undefined), name: textAt(metadata, "name") },
        fields,
        warnings
      })
  })
}

const namesOfCore = new Map(Object.entries(coreFieldNames).map(([name, core]) => [core, name]))

const newNames = (fields: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(fields).map(([name, value]) => [namesOfCore.get(name) ?? name, value]))

/** Whole seconds, and microseconds. */
const secondsFields = ["deprecatedFirstTimestamp", "deprecatedLastTimestamp"] as const

const withTimes = (fields: JsonObject): Result.Result<JsonObject, string> =>
  Result.gen(function* () {
    const times: Record<string, Json> = {}
    for (const name of secondsFields) Object.assign(times, yield* timeAt(fields, name, secondsTimestampText))
    Object.assign(times, yield* timeAt(fields, "eventTime", timestampText))
    const series = objectAt(fields, "series")
    if (series !== undefined) {
      const { lastObservedTime: _, ...rest } = series
      times["series"] = { ...rest, ...(yield* timeAt(series, "lastObservedTime", timestampText)) }
    }
    const { deprecatedFirstTimestamp: _, deprecatedLastTimestamp: __, eventTime: ___, series: ____, ...others } = fields
    return { ...others, ...times }
  })

/** Empty where there is none, or Go's zero time. */
const timeAt = (
  object: JsonObject,
  name: string,
  print: (microseconds: bigint) => string
): Result.Result<JsonObject, string> => {
  const text = textAt(object, name)
  if (text === "" || zeroTime.test(text)) return Result.succeed({})
  const microseconds = microsecondsFrom(text)
  return microseconds === undefined
    ? Result.fail(`${name}: ${JSON.stringify(text.slice(0, 100))} is no time of RFC 3339`)
    : Result.succeed({ [name]: print(microseconds) })
}

const zeroTime = /^0001-01-01T00:00:00(\.0+)?Z$/

/** Whether a part of an Event says nothing: null, "", 0, {}. */
export const isEmpty = (value: Json | undefined): boolean =>
  value === undefined ||
  value === null ||
  value === "" ||
  value === 0 ||
  (isJsonObject(value) && Object.values(value).every(isEmpty))
