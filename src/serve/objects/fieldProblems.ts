/** A value against a schema: which fields are unknown, which have the wrong type, and the value without the unknown. */
import type { JsonSchema } from "../../contracts/JsonSchema.ts"
import { resolvedSchema } from "../../contracts/metaSchemas.ts"
import { isJsonObject, type Json } from "../../domain/AuditRecord.ts"

export interface FieldProblems {
  /** Paths such as `spec.auditRules[0].sumary`. */
  readonly unknown: ReadonlyArray<string>
  /** Sentences. */
  readonly mismatches: ReadonlyArray<string>
  readonly kept: Json
}

/** As many as a reader can use. */
const problemsMax = 20

export const fieldProblems = (schema: JsonSchema, value: Json): FieldProblems => {
  const unknown: Array<string> = []
  const mismatches: Array<string> = []
  const note = (list: Array<string>, text: string): void => void (list.length < problemsMax && list.push(text))

  const keep = (reference: JsonSchema, found: Json, path: string): Json => {
    const rule = resolvedSchema(reference)
    if (rule["x-kubernetes-preserve-unknown-fields"] === true) return found
    switch (rule.type) {
      case "object": {
        if (!isJsonObject(found)) break
        // An object without a word about its fields may have any, as fieldsV1 has.
        if (rule.properties === undefined && rule.additionalProperties === undefined) return found
        const known: Array<[string, Json]> = []
        for (const [name, inner] of Object.entries(found)) {
          const below = path === "" ? name : `${path}.${name}`
          const property =
            rule.properties !== undefined && Object.hasOwn(rule.properties, name)
              ? rule.properties[name]
              : rule.additionalProperties
          if (property === undefined) note(unknown, below)
          // Null is absent, as everywhere in Kubernetes.
          else if (inner !== null && inner !== undefined) known.push([name, keep(property, inner, below)])
        }
        return Object.fromEntries(known)
      }
      case "array":
        if (!Array.isArray(found)) break
        return found.map((inner: Json, index) => keep(rule.items ?? {}, inner, `${path}[${index}]`))
      case "string":
        if (typeof found !== "string") break
        return found
      case "integer":
        if (typeof found !== "number" || !Number.isSafeInteger(found)) break
        // With a larger one in it, no client written in Go can read a list.
        if (rule.format === "int32" && found !== (found | 0)) break
        return found
      case "boolean":
        if (typeof found !== "boolean") break
        return found
      default:
        return found
    }
    note(
      mismatches,
      `${path === "" ? "the body" : path} must be ${rule.format === "int32" ? "a whole number of 32 bits" : articles[rule.type ?? "object"]}, not ${nameOf(found)}`
    )
    return found
  }
  const kept = keep(schema, value, "")
  return { unknown, mismatches, kept }
}

const articles: Readonly<Record<NonNullable<JsonSchema["type"]>, string>> = {
  object: "an object",
  array: "a list",
  string: "a string",
  integer: "a whole number",
  boolean: "true or false"
}

const nameOf = (value: Json): string =>
  value === null
    ? "null"
    : Array.isArray(value)
      ? "a list"
      : typeof value === "object"
        ? "an object"
        : typeof value === "number"
          ? String(value)
          : `a ${typeof value}`
