/** The body of a write: JSON or YAML, its fields checked against the schema as `fieldValidation` asks. */
import { Effect, Result } from "effect"
import { isScalar, LineCounter, parseDocument, visit } from "yaml"
import { activityPolicySpecSchema, activityPolicyStatusSchema } from "../../contracts/activityPolicySchema.ts"
import type { JsonSchema } from "../../contracts/JsonSchema.ts"
import { metaReference } from "../../contracts/metaSchemas.ts"
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
    metadata: metaReference("ObjectMeta"),
    spec: activityPolicySpecSchema,
    status: activityPolicyStatusSchema
  }
}

/** @fails ApiFailure UnsupportedMediaType, RequestEntityTooLarge, BadRequest */
export const policyBody = (call: Call, request: ResourceRequest): Effect.Effect<PolicyBody, ApiFailure> =>
  Effect.gen(function* () {
    const type = mediaType(call)
    if (type !== "" && !/^(application\/(json|yaml|x-yaml|octet-stream)|text\/(yaml|plain))$/.test(type)) {
      return yield* unsupported(type, ["application/json", "application/yaml"])
    }
    const body = yield* jsonBody(call)
    return yield* checkedPolicy(call, request, body)
  })

/** Of YAML, whose parser takes seconds for what JSON.parse reads in milliseconds. */
const yamlSizeBytesMax = 64 * 1024

/** Times that aliases are resolved, those in aliased nodes counted. */
const yamlAliasesMax = 50

/** Objects and lists inside one another; a policy has six. */
const depthMax = 64

/**
 * Of the body, whatever else its type says: YAML holds JSON.
 *
 * @fails ApiFailure UnsupportedMediaType, RequestEntityTooLarge, BadRequest
 */
export const jsonBody = (call: Call): Effect.Effect<Json, ApiFailure> => {
  const type = mediaType(call)
  if (binaryTypes.test(type)) return Effect.fail(unsupported(type, ["application/json", "application/yaml"]))
  return Effect.flatMap(call.body, (bytes) => {
    const text = bytes.toString("utf8")
    const isJson = /^\s*[[{]/.test(text)
    if (!isJson && bytes.length > yamlSizeBytesMax) {
      return Effect.fail(
        failure(
          "RequestEntityTooLarge",
          `a YAML body may have at most ${yamlSizeBytesMax} bytes, it has ${bytes.length}: send JSON, which may be larger`
        )
      )
    }
    return Effect.flatMap(
      Effect.try({
        // Both parsers give JSON, or a date or a number that the schema refuses.
        try: () => (isJson ? JSON.parse(text) : fromYaml(text)) as Json,
        catch: (cause) =>
          badRequest(
            `the body is neither JSON nor YAML: ${String(cause instanceof Error ? cause.message : cause).split("\n", 1)[0]}`
          )
      }),
      (body) => (isTooDeep(body) ? Effect.fail(tooDeep()) : Effect.succeed(body))
    )
  })
}

/** Other forms of Kubernetes, which its clients send only when they are told to. */
const binaryTypes = /^application\/(vnd\.kubernetes\.protobuf|(apply-patch\+)?cbor)$/

const tooDeep = (): ApiFailure =>
  badRequest(`the body is nested too deeply: objects and lists may stand ${depthMax} deep inside one another`)

/** Level by level, because what is too deep would end a recursion. */
const isTooDeep = (value: Json | undefined): boolean => {
  let level: ReadonlyArray<unknown> = [value]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > depthMax) return true
    level = level.flatMap((inner) => (typeof inner === "object" && inner !== null ? Object.values(inner) : []))
  }
  return false
}

/**
 * The library's own check for keys that are given twice compares each with each, and its pretty errors search the text
 * anew for each error: 250 KB took 33 s.
 *
 * @throws with a sentence and its place
 */
const fromYaml = (text: string): unknown => {
  const lines = new LineCounter()
  const document = parseDocument(text, { uniqueKeys: false, prettyErrors: false, lineCounter: lines })
  const fail = (message: string, offset: number): never => {
    const { line, col } = lines.linePos(offset)
    throw new Error(`${message} at line ${line}, column ${col}`)
  }
  const [error] = document.errors
  if (error !== undefined) fail(error.message, error.pos[0])
  visit(document, {
    Map: (_, map) => {
      const keys = new Set<unknown>()
      for (const { key } of map.items) {
        if (!isScalar(key)) continue
        if (keys.has(key.value)) fail(`Map keys must be unique; ${String(key.value)} is repeated`, key.range?.[0] ?? 0)
        keys.add(key.value)
      }
    }
  })
  return document.toJS({ maxAliasCount: yamlAliasesMax })
}

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
  Effect.map(checkedFields(call, request, body), ({ policy, warnings }) => ({
    policy: {
      ...policy,
      apiVersion: `${groupName}/${request.version}`,
      kind: "ActivityPolicy",
      metadata: { ...policy.metadata, name: policy.metadata?.name ?? "" },
      spec: policy.spec ?? { resource: { apiGroup: "", kind: "" } }
    },
    warnings
  }))

export interface PartialPolicyBody {
  readonly policy: Partial<ActivityPolicy>
  readonly warnings: ReadonlyArray<string>
}

/** The same of a part of a policy, which stays a part. */
export const checkedFields = (
  call: Call,
  request: ResourceRequest,
  body: Json | undefined
): Effect.Effect<PartialPolicyBody, ApiFailure> =>
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
    // Again, because a patch may have made it so.
    if (isTooDeep(body)) return Effect.fail(tooDeep())
    const named = typeFrom(body, request)
    if (Result.isFailure(named)) return Effect.fail(badRequest(named.failure))
    const { kept, mismatches, unknown } = fieldProblems(schema, body)
    if (mismatches[0] !== undefined) return refused(mismatches[0])
    if (unknown.length > 0 && validation === "Strict") {
      return refused(`strict decoding error: ${unknown.map((path) => `unknown field "${path}"`).join(", ")}`)
    }
    return Effect.succeed({
      // The schema says the shapes; what it does not say (required, compiles) admission checks.
      policy: kept as unknown as Partial<ActivityPolicy>,
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
