/** The body of a write: JSON or YAML, its fields checked against the schema as `fieldValidation` asks. */
import { Effect, Result } from "effect"
import { parse } from "yaml"
import { activityPolicySpecSchema, activityPolicyStatusSchema } from "../../contracts/activityPolicySchema.ts"
import type { JsonSchema } from "../../contracts/JsonSchema.ts"
import { objectMeta } from "../../contracts/metaSchemas.ts"
import { groupName } from "../../contracts/resources.ts"
import type { ActivityPolicy } from "../../domain/ActivityPolicy.ts"
import { isJsonObject, type Json, type JsonObject } from "../../domain/AuditRecord.ts"
import { type ApiFailure, badRequest, failure, invalid } from "../ApiFailure.ts"
import type { Call } from "../http/Call.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"
import { fieldProblems } from "./fieldProblems.ts"

export const policyKind = { group: groupName, plural: "activitypolicies", kind: "ActivityPolicy" }

export interface PolicyBody {
  readonly policy: ActivityPolicy
  /** For Warning headers. */
  readonly warnings: ReadonlyArray<string>
}

const schema: JsonSchema = {
  type: "object",
  properties: {
    apiVersion: { type: "string" },
    kind: { type: "string" },
    metadata: objectMeta,
    spec: activityPolicySpecSchema,
    status: activityPolicyStatusSchema
  }
}

/** @fails ApiFailure UnsupportedMediaType, BadRequest */
export const policyBody = (call: Call, request: ResourceRequest): Effect.Effect<PolicyBody, ApiFailure> =>
  Effect.gen(function* () {
    const type = mediaType(call)
    if (type !== "" && !/^(application\/(json|yaml|x-yaml|octet-stream)|text\/(yaml|plain))$/.test(type)) {
      return yield* unsupported(type, ["application/json", "application/yaml"])
    }
    const body = yield* jsonBody(call)
    return yield* checkedPolicy(call, request, body)
  })

/** Of the body, whatever its type says: YAML holds JSON. */
export const jsonBody = (call: Call): Effect.Effect<Json, ApiFailure> =>
  Effect.flatMap(call.body, (bytes) => {
    const text = bytes.toString("utf8")
    return Effect.try({
      // Both parsers give JSON, or a date or a number that the schema refuses.
      try: () => (/^\s*[[{]/.test(text) ? JSON.parse(text) : parse(text, { maxAliasCount: 50 })) as Json,
      catch: (cause) =>
        badRequest(
          `the body is neither JSON nor YAML: ${String(cause instanceof Error ? cause.message : cause).split("\n", 1)[0]}`
        )
    })
  })

export const mediaType = (call: Call): string =>
  (call.header("content-type").split(";", 1)[0] ?? "").trim().toLowerCase()

export const unsupported = (type: string, supported: ReadonlyArray<string>, more = ""): ApiFailure =>
  failure(
    "UnsupportedMediaType",
    `the body of the request was in an unknown format - accepted media types include: ${supported.join(", ")}` +
      (more === "" ? ` (it was ${JSON.stringify(type)})` : `. ${more}`)
  )

/** Unknown fields are refused, told or dropped, as the client asked; then the rest is an ActivityPolicy in shape. */
export const checkedPolicy = (
  call: Call,
  request: ResourceRequest,
  body: Json | undefined
): Effect.Effect<PolicyBody, ApiFailure> =>
  Effect.suspend(() => {
    const validation = call.query.get("fieldValidation") ?? ""
    if (!["", "Ignore", "Warn", "Strict"].includes(validation)) {
      return Effect.fail(
        invalid({ group: "meta.k8s.io", plural: "", kind: "CreateOptions" }, "", [
          {
            field: "fieldValidation",
            reason: "FieldValueNotSupported",
            message: `Unsupported value: ${JSON.stringify(validation)}: supported values: "Ignore", "Strict", "Warn"`
          }
        ])
      )
    }
    const refused = (why: string) =>
      Effect.fail(
        badRequest(
          `ActivityPolicy in version ${JSON.stringify(request.version)} cannot be handled as a ActivityPolicy: ${why}`
        )
      )
    if (!isJsonObject(body)) return refused("it is no object")
    const named = typeFrom(body, request)
    if (Result.isFailure(named)) return Effect.fail(badRequest(named.failure))
    const { kept, mismatches, unknown } = fieldProblems(schema, body)
    if (mismatches[0] !== undefined) return refused(mismatches[0])
    if (unknown.length > 0 && validation === "Strict") {
      return refused(`strict decoding error: ${unknown.map((path) => `unknown field "${path}"`).join(", ")}`)
    }
    // The schema says the shapes; what it does not say (required, compiles) admission checks.
    const policy = kept as unknown as Partial<ActivityPolicy>
    return Effect.succeed({
      policy: {
        ...policy,
        apiVersion: `${groupName}/${request.version}`,
        kind: "ActivityPolicy",
        metadata: { ...policy.metadata, name: policy.metadata?.name ?? "" },
        spec: policy.spec ?? { resource: { apiGroup: "", kind: "" } }
      },
      warnings: validation === "Ignore" ? [] : unknown.map((path) => `unknown field "${path}"`)
    })
  })

const typeFrom = (body: JsonObject, request: ResourceRequest): Result.Result<void, string> => {
  const expected = `${groupName}/${request.version}`
  if (body["kind"] !== "ActivityPolicy")
    return Result.fail(`the kind in the data (${String(body["kind"] ?? "none")}) is not ActivityPolicy`)
  return body["apiVersion"] === expected
    ? Result.succeed(undefined)
    : Result.fail(
        `the API version in the data (${String(body["apiVersion"] ?? "none")}) does not match the expected API version (${expected})`
      )
}
