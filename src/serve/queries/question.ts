/** The body of a question, and its answer: the same object, with its status filled in. */
import { Effect, Result } from "effect"
import type { Resource } from "../../contracts/resources.ts"
import { type JsonObject, textAt } from "../../domain/AuditRecord.ts"
import { type ApiFailure, type FieldFault, invalid } from "../ApiFailure.ts"
import { type Answer, type Call, value } from "../http/Call.ts"
import { apiVersionOf, type ResourceRequest } from "../http/RequestInfo.ts"
import { isDryRun } from "../objects/dryRun.ts"
import { objectBody } from "../objects/objectBody.ts"

export interface Question<Spec> {
  readonly apiVersion: string
  readonly kind: string
  /** As it was sent. */
  readonly metadata: JsonObject
  readonly spec: Partial<Spec>
  readonly warnings: ReadonlyArray<string>
  /** @returns the 422 that names these fields */
  readonly refusal: (faults: ReadonlyArray<FieldFault>) => ApiFailure
}

/**
 * @typeParam Spec what the resource's schema says of `spec`; everything in it may be absent
 * @fails ApiFailure UnsupportedMediaType, RequestEntityTooLarge, BadRequest, Invalid
 */
export const questionFrom = <Spec>(
  call: Call,
  request: ResourceRequest,
  resource: Resource
): Effect.Effect<Question<Spec>, ApiFailure> => {
  const { kind, plural } = resource
  // Nothing is stored either way.
  const body = Effect.andThen(isDryRun(call.query.getAll("dryRun")), objectBody(call, request, resource))
  return Effect.map(body, ({ object, warnings }) => {
    // The schema says the shapes.
    const { metadata = {}, spec = {} } = object as { readonly metadata?: JsonObject; readonly spec?: Partial<Spec> }
    return {
      apiVersion: apiVersionOf(request),
      kind,
      metadata,
      spec,
      warnings,
      refusal: (faults) => invalid({ group: request.group, plural, kind }, textAt(metadata, "name"), faults)
    }
  })
}

/**
 * 201. `results` are JSON already: what was stored is given as it is, not a number in it read and written anew.
 */
export const answerTo = <Spec>(
  call: Call,
  question: Question<Spec>,
  status: object,
  results?: ReadonlyArray<string>
): Answer => {
  const { apiVersion, kind, metadata, spec, warnings } = question
  const answer = {
    kind,
    apiVersion,
    metadata,
    spec,
    status: results === undefined ? status : { ...status, results: [] }
  }
  if (results === undefined) return value(answer, 201, warnings)
  // The results are the last field of the last field: what surrounds them is an empty list cut open.
  const text = `${JSON.stringify(answer).slice(0, -"]}}".length)}${results.join(",")}]}}`
  return call.accepted.encoding === "yaml"
    ? value(JSON.parse(text), 201, warnings)
    : { _tag: "Text", status: 201, contentType: "application/json", text: `${text}\n`, warnings }
}

/** All of the parts, or every fault of any of them. */
export const allParts = <Parts extends Readonly<Record<string, Result.Result<unknown, ReadonlyArray<FieldFault>>>>>(
  parts: Parts
) => {
  const faults = Object.values(parts).flatMap((part) => (Result.isFailure(part) ? part.failure : []))
  return faults.length > 0 ? Result.fail<ReadonlyArray<FieldFault>>(faults) : Result.all(parts)
}

/** The times that were searched, where that is exact without a fraction. */
export const effectiveTimes = ({ end, start }: { readonly start: string; readonly end: string }) => ({
  effectiveStartTime: shortTime(start),
  effectiveEndTime: shortTime(end)
})

/** RFC 3339 of six fractional digits, without them where they say nothing. */
export const shortTime = (text: string): string => text.replace(".000000Z", "Z")
