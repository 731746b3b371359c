/** How our documents, and the checks of bodies, refer to the definitions of meta/v1. */
import type { JsonSchema } from "./JsonSchema.ts"
import { metaDefinitions } from "./metaDefinitions.ts"

const prefix = "io.k8s.apimachinery.pkg.apis.meta.v1."
const referencePrefix = "#/components/schemas/"

export const metaReference = (
  name: "ObjectMeta" | "ListMeta" | "Status" | "DeleteOptions" | "WatchEvent" | "Patch"
): JsonSchema => ({
  $ref: `${referencePrefix}${prefix}${name}`
})

/** The schema itself, or what it refers to in meta/v1. */
export const resolvedSchema = (schema: JsonSchema): JsonSchema => {
  const reference = schema.$ref ?? schema.allOf?.[0]?.$ref
  return reference === undefined ? schema : (metaDefinitions[reference.slice(referencePrefix.length)] ?? schema)
}
