/** What the server knows of one kind of objects that it keeps: how they are read, admitted, kept and shown. */
import { Clock, Effect } from "effect"
import type { JsonSchema } from "../../contracts/JsonSchema.ts"
import { groupName } from "../../contracts/resources.ts"
import type { Json } from "../../domain/AuditRecord.ts"
import type { KeptObject } from "../../domain/KeptObject.ts"
import type { RecordKind } from "../../domain/keptRecord.ts"
import type { ApiFailure, FieldFault, KindNames } from "../ApiFailure.ts"
import type { Call } from "../http/Call.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"
import { type BodyKind, type CheckedBody, checkedObject, objectBody } from "../objects/objectBody.ts"
import type { Column } from "../Table.ts"

/** An object that a client sent, whole or in part. */
export interface KeptBody<A> {
  readonly object: A
  /** For Warning headers. */
  readonly warnings: ReadonlyArray<string>
}

type Checked<A> = (
  call: Call,
  request: ResourceRequest,
  body: Json | undefined
) => Effect.Effect<KeptBody<A>, ApiFailure>

interface KindRules<A extends KeptObject> {
  readonly names: KindNames
  /** How a cluster keeps them. */
  readonly records: RecordKind<A>
  /** @param nowMillis asked for each row: a watch is long */
  readonly columns: (nowMillis: () => number) => ReadonlyArray<Column<A>>
  /** With the status that the server gives an object whose spec is new. @param now RFC 3339, whole seconds */
  readonly admitted: (object: A, now: string) => A
  /** What may not change, or not any more. */
  readonly unchangeableFaults: (object: A, stored: A) => ReadonlyArray<FieldFault>
  /** What no API server looks at: whether the spec means something. */
  readonly specFaults: (object: A) => ReadonlyArray<FieldFault>
}

export interface KeptKind<A extends KeptObject> extends KindRules<A> {
  /** In the version that the client asked for: both have the same fields. */
  readonly served: (object: A, apiVersion: string) => A
  /** Of a whole object. @fails ApiFailure UnsupportedMediaType, RequestEntityTooLarge, BadRequest */
  readonly body: (call: Call, request: ResourceRequest) => Effect.Effect<KeptBody<A>, ApiFailure>
  /** Unknown fields are refused, told or dropped, as the client asked; then the rest has the kind's shape. */
  readonly checked: Checked<A>
  /** The same of a part of an object, which stays a part. */
  readonly checkedPart: Checked<Partial<A>>
}

interface KindParts<A extends KeptObject> extends KindRules<A> {
  readonly spec: JsonSchema
  readonly status: JsonSchema
  /** The spec of a whole object, with what the server fills in. */
  readonly wholeSpec: (spec: A["spec"] | undefined) => A["spec"]
  /** What is right, and may not be meant. @param now microseconds since 1970 */
  readonly specWarnings?: (object: A, now: bigint) => ReadonlyArray<string>
}

export const keptKind = <A extends KeptObject>({
  spec,
  specWarnings,
  status,
  wholeSpec,
  ...rules
}: KindParts<A>): KeptKind<A> => {
  const { kind } = rules.names
  const bodyKind: BodyKind = { kind, properties: { spec, status } }
  // The schema says the shapes; what it does not say (required, bounds, compiles) admission checks.
  const partOf = ({ object }: CheckedBody): Partial<A> => object as unknown as Partial<A>
  const wholeFrom = (body: CheckedBody, { version }: ResourceRequest): Effect.Effect<KeptBody<A>> =>
    Effect.map(Clock.currentTimeMillis, (millis) => {
      const sent = partOf(body)
      const whole = {
        ...sent,
        apiVersion: `${groupName}/${version}`,
        kind,
        metadata: { ...sent.metadata, name: sent.metadata?.name ?? "" },
        spec: wholeSpec(sent.spec)
      }
      // Every field of the kind is there now.
      const object = whole as unknown as A
      return { object, warnings: [...body.warnings, ...(specWarnings?.(object, BigInt(millis) * 1_000n) ?? [])] }
    })
  return {
    ...rules,
    served: (object, apiVersion) =>
      object.apiVersion === apiVersion ? object : rules.records.objectFrom(object, apiVersion),
    body: (call, request) => Effect.flatMap(objectBody(call, request, bodyKind), (body) => wholeFrom(body, request)),
    checked: (call, request, body) =>
      Effect.flatMap(checkedObject(call, request, body, bodyKind), (checked) => wholeFrom(checked, request)),
    checkedPart: (call, request, body) =>
      Effect.map(checkedObject(call, request, body, bodyKind), (checked) => ({
        object: partOf(checked),
        warnings: checked.warnings
      }))
  }
}
