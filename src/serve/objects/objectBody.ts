/** The body of a write: JSON or YAML, its fields checked against a schema as `fieldValidation` asks. */
import { Effect, Result } from "effect"
import { isScalar, LineCounter, parseDocument, visit } from "yaml"
import type { JsonSchema } from "../../contracts/JsonSchema.ts"
import { metaReference } from "../../contracts/metaSchemas.ts"
import { isJsonObject, type Json, type JsonObject } from "../../domain/AuditRecord.ts"
import { type ApiFailure, badRequest, failure, invalid } from "../ApiFailure.ts"
import { duplicateFields } from "./duplicateFields.ts"
import { fieldProblems } from "./fieldProblems.ts"
import type { Call } from "../http/Call.ts"
import { apiVersionOf, type ResourceRequest } from "../http/RequestInfo.ts"

/** What a write's body is to be. */
export interface BodyKind {
  readonly kind: string
  /** Besides apiVersion, kind and metadata. What else their schemas say (required, enum) is not checked. */
  readonly properties: Readonly<Record<string, JsonSchema>>
}

/** What every object has. */
const commonProperties: BodyKind["properties"] = {
  apiVersion: { type: "string" },
  kind: { type: "string" },
  metadata: metaReference("ObjectMeta")
}

export interface CheckedBody {
  readonly object: JsonObject
  /** For Warning headers. */
  readonly warnings: ReadonlyArray<string>
}

/** @fails ApiFailure UnsupportedMediaType, RequestEntityTooLarge, BadRequest */
export const objectBody = (
  call: Call,
  request: ResourceRequest,
  kind: BodyKind
): Effect.Effect<CheckedBody, ApiFailure> =>
  Effect.gen(function* () {
    const type = mediaType(call)
    if (type !== "" && !/^(application\/(json|yaml|x-yaml|octet-stream)|text\/(yaml|plain))$/.test(type)) {
      return yield* unsupported(type, ["application/json", "application/yaml"])
    }
    const body = yield* jsonBody(call)
    const text = (yield* call.body).toString("utf8")
    return yield* checkedObject(call, request, body, kind, isJson(text) ? duplicateFields(text) : [])
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
    if (!isJson(text) && bytes.length > yamlSizeBytesMax) {
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
        try: () => (isJson(text) ? JSON.parse(text) : fromYaml(text)) as Json,
        catch: (cause) =>
          badRequest(
            `the body is neither JSON nor YAML: ${String(cause instanceof Error ? cause.message : cause).split("\n", 1)[0]}`
          )
      }),
      (body) => (isTooDeep(body) ? Effect.fail(tooDeep()) : Effect.succeed(body))
    )
  })
}

/** Else it is YAML, which refuses fields that are given twice. */
const isJson = (text: string): boolean => /^\s*[[{]/.test(text)

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

/**
 * Unknown fields, and those that were given twice, are refused, told or dropped, as the client asked; a field of the wrong
 * type is refused. A body without kind or apiVersion is of those that its path says, as for Kubernetes' own kinds.
 *
 * @param duplicates what {@link duplicateFields} found in its text
 * @fails ApiFailure BadRequest, also when it is an object of another kind or version
 */
export const checkedObject = (
  call: Call,
  request: ResourceRequest,
  body: Json | undefined,
  { kind, properties }: BodyKind,
  duplicates: ReadonlyArray<string> = []
): Effect.Effect<CheckedBody, ApiFailure> =>
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
        badRequest(`${kind} in version ${JSON.stringify(request.version)} cannot be handled as a ${kind}: ${why}`)
      )
    if (!isJsonObject(body)) return refused("it is no object")
    // Again, because a patch may have made it so.
    if (isTooDeep(body)) return Effect.fail(tooDeep())
    const named = typeFrom(body, request, kind)
    if (Result.isFailure(named)) return Effect.fail(badRequest(named.failure))
    const schema: JsonSchema = { type: "object", properties: { ...commonProperties, ...properties } }
    const { kept, mismatches, unknown } = fieldProblems(schema, body)
    if (mismatches[0] !== undefined) return refused(mismatches[0])
    const slips = [
      ...duplicates.map((path) => `duplicate field "${path}"`),
      ...unknown.map((path) => `unknown field "${path}"`)
    ]
    if (slips.length > 0 && validation === "Strict") {
      return refused(`strict decoding error: ${slips.join(", ")}`)
    }
    return Effect.succeed({
      // An object without some of its fields.
      object: kept as JsonObject,
      warnings: validation === "Ignore" ? [] : slips
    })
  })

const typeFrom = (body: JsonObject, request: ResourceRequest, kind: string): Result.Result<void, string> => {
  const expected = apiVersionOf(request)
  const [sentKind, sentVersion] = [body["kind"] ?? "", body["apiVersion"] ?? ""]
  if (sentKind !== "" && sentKind !== kind)
    return Result.fail(`the kind in the data (${String(sentKind)}) is not ${kind}`)
  return sentVersion === "" || sentVersion === expected
    ? Result.succeed(undefined)
    : Result.fail(
        `the API version in the data (${String(sentVersion)}) does not match the expected API version (${expected})`
      )
}
