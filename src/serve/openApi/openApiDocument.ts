/** The OpenAPI 3 document of one version of the API. */
import { eventsGroup, eventsResource } from "../../contracts/eventsApis.ts"
import { eventProperties } from "../../contracts/eventsSchema.ts"
import type { JsonSchema } from "../../contracts/JsonSchema.ts"
import { metaDefinitions } from "../../contracts/metaDefinitions.ts"
import { metaReference } from "../../contracts/metaSchemas.ts"
import { groupName, type Resource, resources, type Version } from "../../contracts/resources.ts"
import { type GroupVersion, type PathItem, pathsOf } from "./operations.ts"

export interface OpenApiDocument {
  readonly openapi: string
  readonly info: { readonly title: string; readonly version: string }
  readonly paths: Readonly<Record<string, PathItem>>
  readonly components: { readonly schemas: Readonly<Record<string, JsonSchema>> }
}

/** Of a version of this product's group. */
export const openApiDocument = (version: Version): OpenApiDocument =>
  documentOf("Activity", { group: groupName, version, word: "ActivityMiloapisCom" }, "com.miloapis.activity", resources)

/** Of Kubernetes' own Events, in one of their API versions: for clients of a server that stands alone. */
export const eventsDocument = (group: string, version: string): OpenApiDocument =>
  documentOf(
    "Kubernetes Events",
    { group, version, word: group === eventsGroup ? "Events" : "Core" },
    group === eventsGroup ? "io.k8s.api.events" : "io.k8s.api.core",
    [{ ...eventsResource, properties: eventProperties(group) }]
  )

/** @param prefix of the names of its schemas */
const documentOf = (
  title: string,
  of: GroupVersion,
  prefix: string,
  described: ReadonlyArray<Resource>
): OpenApiDocument => {
  const names: SchemaNames = { of, name: (kind) => `${prefix}.${of.version}.${kind}` }
  return {
    openapi: "3.0.0",
    info: { title, version: of.version },
    paths: Object.fromEntries(
      described.flatMap((resource) => Object.entries(pathsOf(resource, of, (kind) => reference(names, kind))))
    ),
    components: {
      schemas: Object.fromEntries([
        ...described.flatMap((resource) => schemasOf(resource, names)),
        ...Object.entries(metaDefinitions)
      ])
    }
  }
}

interface SchemaNames {
  readonly of: GroupVersion
  readonly name: (kind: string) => string
}

const reference = ({ name }: SchemaNames, kind: string): JsonSchema => ({
  $ref: `#/components/schemas/${name(kind)}`
})

const kindOf = ({ of: { group, version } }: SchemaNames, kind: string) => ({ group, version, kind })

const typeTexts: Readonly<Record<string, JsonSchema>> = {
  apiVersion: {
    type: "string",
    description: "APIVersion defines the versioned schema of this representation of an object."
  },
  kind: { type: "string", description: "Kind is the REST resource that this object represents." }
}

type NamedSchema = readonly [name: string, schema: JsonSchema]

const schemasOf = (resource: Resource, names: SchemaNames): ReadonlyArray<NamedSchema> => [
  objectSchema(resource, resource.description, names),
  ...(resource.verbs.includes("list") ? [listSchema(resource, names)] : []),
  ...Object.entries(resource.subresources).flatMap(([name, { body }]) =>
    body === undefined ? [] : [objectSchema(body, `${body.kind} is sent to ${resource.plural}/${name}.`, names)]
  )
]

const objectSchema = (
  { kind, properties }: Pick<Resource, "kind" | "properties">,
  description: string,
  names: SchemaNames
): NamedSchema => [
  names.name(kind),
  {
    type: "object",
    description,
    properties: {
      ...typeTexts,
      metadata: { allOf: [metaReference("ObjectMeta")], description: "Standard object's metadata." },
      ...properties
    },
    "x-kubernetes-group-version-kind": [kindOf(names, kind)]
  }
]

const listSchema = (resource: Resource, names: SchemaNames): NamedSchema => [
  names.name(`${resource.kind}List`),
  {
    type: "object",
    description: `${resource.kind}List is a list of ${resource.kind} objects.`,
    properties: {
      ...typeTexts,
      metadata: { allOf: [metaReference("ListMeta")], description: "Standard list metadata." },
      items: { type: "array", description: "The objects.", items: reference(names, resource.kind) }
    },
    required: ["items"],
    "x-kubernetes-group-version-kind": [kindOf(names, `${resource.kind}List`)]
  }
]
