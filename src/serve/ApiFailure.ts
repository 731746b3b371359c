/**
 * Every refusal of the API, as the Kubernetes Status that clients know how to print.
 *
 * {@link reasonCodes} is the only place where a reason meets an HTTP status.
 */
import { Effect, Schema } from "effect"

/** In order of precedence: what is checked first stands first. */
export const reasonCodes = {
  Unauthorized: 401,
  Forbidden: 403,
  NotFound: 404,
  MethodNotAllowed: 405,
  NotAcceptable: 406,
  UnsupportedMediaType: 415,
  RequestEntityTooLarge: 413,
  BadRequest: 400,
  Expired: 410,
  AlreadyExists: 409,
  Conflict: 409,
  Invalid: 422,
  TooManyRequests: 429,
  Timeout: 504,
  ServiceUnavailable: 503,
  InternalError: 500
} as const

export type Reason = keyof typeof reasonCodes

export const StatusDetails = Schema.Struct({
  name: Schema.optionalKey(Schema.String),
  group: Schema.optionalKey(Schema.String),
  kind: Schema.optionalKey(Schema.String),
  uid: Schema.optionalKey(Schema.String),
  causes: Schema.optionalKey(
    Schema.Array(
      Schema.Struct({ reason: Schema.String, message: Schema.String, field: Schema.optionalKey(Schema.String) })
    )
  ),
  retryAfterSeconds: Schema.optionalKey(Schema.Number)
})

export type StatusDetails = typeof StatusDetails.Type

export class ApiFailure extends Schema.TaggedError<ApiFailure>()("ApiFailure", {
  // The literals are the keys of the table above.
  reason: Schema.Literals(Object.keys(reasonCodes) as ReadonlyArray<Reason>),
  text: Schema.String,
  details: Schema.optionalKey(StatusDetails)
}) {
  override get message(): string {
    return this.text
  }
  get code(): number {
    return reasonCodes[this.reason]
  }
}

export const failure = (reason: Reason, text: string, details?: StatusDetails): ApiFailure =>
  new ApiFailure({ reason, text, ...(details === undefined ? {} : { details }) })

/** The body of the answer, and the object of a watch's ERROR. */
export const statusObject = (error: ApiFailure) => ({
  kind: "Status",
  apiVersion: "v1",
  metadata: {},
  status: "Failure",
  message: error.text,
  reason: error.reason,
  ...(error.details === undefined ? {} : { details: error.details }),
  code: error.code
})

/** What a kind is called. The core group has no name. */
export interface KindNames {
  readonly group: string
  readonly plural: string
  readonly kind: string
}

const resourceOf = ({ group, plural }: KindNames): string => (group === "" ? plural : `${plural}.${group}`)

const details = (of: KindNames, name: string): StatusDetails => ({ name, group: of.group, kind: of.plural })

export const pathUnknown = (): ApiFailure => failure("NotFound", "the server could not find the requested resource", {})

/** Namespaces are the cluster's: whether one exists is not known here. */
export const namespaceUnknown = (name: string): ApiFailure =>
  failure("Forbidden", `namespaces "${name}" is forbidden: this server has no namespaces, only what happened in them`, {
    name,
    kind: "namespaces"
  })

export const methodNotAllowed = (): ApiFailure =>
  failure("MethodNotAllowed", "the server does not allow this method on the requested resource", {})

export const badRequest = (text: string): ApiFailure => failure("BadRequest", text)

export const notFound = (of: KindNames, name: string): ApiFailure =>
  failure("NotFound", `${resourceOf(of)} "${name}" not found`, details(of, name))

export const alreadyExists = (of: KindNames, name: string): ApiFailure =>
  failure("AlreadyExists", `${resourceOf(of)} "${name}" already exists`, details(of, name))

export const conflict = (of: KindNames, name: string, why: string): ApiFailure =>
  failure("Conflict", `Operation cannot be fulfilled on ${resourceOf(of)} "${name}": ${why}`, details(of, name))

export const expired = (text: string): ApiFailure => failure("Expired", text)

export const unavailable = (text: string): ApiFailure => failure("ServiceUnavailable", text, { retryAfterSeconds: 1 })

/** One fault of a field, as Kubernetes words it. */
export interface FieldFault {
  readonly field: string
  readonly reason:
    | "FieldValueInvalid"
    | "FieldValueRequired"
    | "FieldValueDuplicate"
    | "FieldValueNotSupported"
    | "FieldValueForbidden"
    | "FieldValueTooLong"
    | "FieldValueTooMany"
  readonly message: string
}

/** 422. kubectl prints each cause on a line of its own: `* spec.auditRules[0].match: Invalid value: …`. */
export const invalid = (of: KindNames, name: string, faults: ReadonlyArray<FieldFault>): ApiFailure => {
  const sentences = faults.map((fault) => `${fault.field}: ${fault.message}`)
  return failure(
    "Invalid",
    `${of.group === "" ? of.kind : `${of.kind}.${of.group}`} "${name}" is invalid: ${sentences.length === 1 ? sentences[0] : `[${sentences.join(", ")}]`}`,
    {
      name,
      group: of.group,
      kind: of.kind,
      causes: faults.map(({ field, message, reason }) => ({ reason, message, field }))
    }
  )
}

/** @fails ApiFailure Invalid where there is a fault */
export const refusedFor = (
  of: KindNames,
  name: string,
  faults: ReadonlyArray<FieldFault>
): Effect.Effect<void, ApiFailure> => (faults.length === 0 ? Effect.void : Effect.fail(invalid(of, name, faults)))
