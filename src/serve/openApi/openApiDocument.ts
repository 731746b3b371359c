/** The OpenAPI 3 document of one version of the API. */
import type { JsonSchema } from "../../contracts/JsonSchema.ts"
import { metaDefinitions } from "../../contracts/metaDefinitions.ts"
import { metaReference } from "../../contracts/metaSchemas.ts"
import { groupName, type Resource, resources, type Version } from "../../contracts/resources.ts"
import { type PathItem, pathsOf } from "./operations.ts"

export interface OpenApiDocument {
  readonly openapi: string
  readonly info: { readonly title: string; readonly version: string }
  readonly paths: Readonly<Record<string, PathItem>>
  readonly components: { readonly schemas: Readonly<Record<string, JsonSchema>> }
}

export const openApiDocument = (version: Version): OpenApiDocument => ({
  openapi: "3.0.0",
  info: { title: "Activity", version },
  paths: Object.fromEntries(
    resources.flatMap((resource) =>
      Object.entries(
        pathsOf(resource, version, {
          object: reference(version, resource.kind),
          list: reference(version, `${resource.kind}List`)
        })
      )
    )
  ),
  components: {
    schemas: Object.fromEntries([
      ...resources.flatMap((resource) => Object.entries(schemasOf(resource, version))),
      ...Object.entries(metaDefinitions)
    ])
  }
})

const schemaName = (version: Version, kind: string): string => `com.miloapis.activity.${version}.${kind}`

const reference = (version: Version, kind: string): JsonSchema => ({
  $ref: `#/components/schemas/${schemaName(version, kind)}`
})

const typeTexts: Readonly<Record<string, JsonSchema>> = {
  apiVersion: {
    type: "string",
    description: "APIVersion defines the versioned schema of this representation of an object."
  },
  kind: { type: "string", description: "Kind is the REST resource that this object represents." }
}

const schemasOf = (resource: Resource, version: Version): Readonly<Record<string, JsonSchema>> => ({
  [schemaName(version, resource.kind)]: {
    type: "object",
    description: resource.description,
    properties: {
      ...typeTexts,
      metadata: { allOf: [metaReference("ObjectMeta")], description: "Standard object's metadata." },
      ...resource.properties
    },
    "x-kubernetes-group-version-kind": [{ group: groupName, version, kind: resource.kind }]
  },
  ...(resource.verbs.includes("list") ? listSchema(resource, version) : {})
})

const listSchema = (resource: Resource, version: Version): Readonly<Record<string, JsonSchema>> => ({
  [schemaName(version, `${resource.kind}List`)]: {
    type: "object",
    description: `${resource.kind}List is a list of ${resource.kind} objects.`,
    properties: {
      ...typeTexts,
      metadata: { allOf: [metaReference("ListMeta")], description: "Standard list metadata." },
      items: { type: "array", description: "The objects.", items: reference(version, resource.kind) }
    },
    required: ["items"],
    "x-kubernetes-group-version-kind": [{ group: groupName, version, kind: `${resource.kind}List` }]
  }
})
