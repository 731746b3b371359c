/** OpenAPI v3: `/openapi/v3` and one document per version, made from the table of resources. */
import { createHash } from "node:crypto"
import type { JsonSchema } from "../contracts/JsonSchema.ts"
import { metaReference, metaSchemas } from "../contracts/metaSchemas.ts"
import { groupName, type Resource, resources, type Version, versions } from "../contracts/resources.ts"
import { type Answer, type Call, value } from "./http/Call.ts"

/** A document under its hash never changes. */
const immutableSeconds = 31_536_000

/** Undefined when the path is none of OpenAPI's. */
export const openApi = (call: Call): Answer | undefined => {
  if (call.path === "/openapi/v3") return index(call)
  const version = versions.find((known) => call.path === `/openapi/v3/apis/${groupName}/${known}`)
  return version === undefined ? undefined : documentOf(call, version)
}

interface Document {
  readonly text: string
  readonly hash: string
}

const made = new Map<Version, Document>()

const documentFor = (version: Version): Document => {
  const known = made.get(version)
  if (known !== undefined) return known
  const text = JSON.stringify(document(version))
  const created = { text, hash: createHash("sha256").update(text).digest("hex").toUpperCase() }
  made.set(version, created)
  return created
}

const location = (version: Version): string =>
  `/openapi/v3/apis/${groupName}/${version}?hash=${documentFor(version).hash}`

const index = (call: Call): Answer => {
  const paths = Object.fromEntries(
    versions.map((version) => [`apis/${groupName}/${version}`, { serverRelativeURL: location(version) }])
  )
  const tag = `"${createHash("sha256").update(JSON.stringify(paths)).digest("hex").toUpperCase()}"`
  return call.header("if-none-match") === tag
    ? { _tag: "Text", status: 304, contentType: "application/json", text: "", headers: { etag: tag } }
    : { _tag: "Value", status: 200, value: { paths }, headers: { etag: tag } }
}

const documentOf = (call: Call, version: Version): Answer => {
  const { hash, text } = documentFor(version)
  const asked = call.query.get("hash")
  if (asked !== null && asked !== hash) {
    return { _tag: "Text", status: 301, contentType: "text/plain", text: "", headers: { location: location(version) } }
  }
  const headers = {
    etag: `"${hash}"`,
    vary: "Accept",
    ...(asked === null ? {} : { "cache-control": `public, immutable, max-age=${immutableSeconds}` })
  }
  return call.header("if-none-match") === `"${hash}"`
    ? { _tag: "Text", status: 304, contentType: "application/json", text: "", headers }
    : { _tag: "Text", status: 200, contentType: "application/json", text, headers }
}

const document = (version: Version) => ({
  openapi: "3.0.0",
  info: { title: "Activity", version },
  paths: Object.fromEntries(resources.flatMap((resource) => Object.entries(pathsOf(resource, version)))),
  components: {
    schemas: Object.fromEntries([
      ...resources.flatMap((resource) => Object.entries(schemasOf(resource, version))),
      ...Object.entries(metaSchemas)
    ])
  }
})

const schemaName = (version: Version, kind: string): string => `com.miloapis.activity.${version}.${kind}`

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

const reference = (version: Version, kind: string): JsonSchema => ({
  $ref: `#/components/schemas/${schemaName(version, kind)}`
})

interface Parameter {
  readonly name: string
  readonly in: "query" | "path"
  readonly required?: boolean
  readonly description: string
  readonly schema: JsonSchema
}

const queryText = (name: string, description: string): Parameter => ({
  name,
  in: "query",
  description,
  schema: { type: "string" }
})

const pathText = (name: string, description: string): Parameter => ({
  ...queryText(name, description),
  in: "path",
  required: true
})

const writeParameters: ReadonlyArray<Parameter> = [
  queryText("dryRun", "`All` processes everything and persists nothing."),
  queryText("fieldManager", "The name of the actor that makes these changes."),
  queryText("fieldValidation", "Ignore, Warn or Strict: what happens with fields that are unknown or come twice.")
]

const listParameters: ReadonlyArray<Parameter> = [
  queryText("continue", "Token of the page before."),
  queryText("fieldSelector", "Restricts the list by fields: field=value, field!=value."),
  queryText("labelSelector", "Restricts the list by labels."),
  { ...queryText("limit", "The largest number of objects in the answer."), schema: { type: "integer" } },
  queryText("resourceVersion", "The version that the answer must not be older than."),
  queryText("resourceVersionMatch", "NotOlderThan, where resourceVersion is given."),
  { ...queryText("timeoutSeconds", "Ends the watch after so many seconds."), schema: { type: "integer" } },
  { ...queryText("watch", "Watch for changes in place of a list."), schema: { type: "boolean" } },
  { ...queryText("allowWatchBookmarks", "Send bookmarks."), schema: { type: "boolean" } }
]

const activityParameters: ReadonlyArray<Parameter> = [
  queryText("filter", "CEL over the fields of an activity, such as spec.actor.name == 'alice'."),
  queryText("search", "Words that the summary has, all of them, whole, in any case."),
  queryText("start", "RFC 3339, now, or now-7d: activities last seen at or after it. Default now-1h."),
  queryText("end", "RFC 3339, now, or now-7d: activities before it. Default now.")
]

/** The action names of Kubernetes' own documents. */
const actions: Readonly<Record<string, readonly [method: string, action: string]>> = {
  get: ["get", "get"],
  list: ["get", "list"],
  create: ["post", "post"],
  update: ["put", "put"],
  patch: ["patch", "patch"],
  delete: ["delete", "delete"],
  deletecollection: ["delete", "deletecollection"]
}

const pathsOf = (resource: Resource, version: Version): Readonly<Record<string, unknown>> => {
  const base = `/apis/${groupName}/${version}`
  const inNamespace = `${base}/namespaces/{namespace}/${resource.plural}`
  const namespaced = [pathText("namespace", "Namespace of the object.")]
  const prefixes: ReadonlyArray<readonly [string, ReadonlyArray<Parameter>]> = resource.namespaced
    ? [
        [`${base}/${resource.plural}`, []],
        [inNamespace, namespaced]
      ]
    : [[`${base}/${resource.plural}`, []]]
  const named = [pathText("name", `Name of the ${resource.kind}.`)]
  return Object.fromEntries(
    prefixes.flatMap(([path, parameters]) => [
      [path, pathItem(resource, version, ["list", "create", "deletecollection"], resource.verbs, parameters)],
      [
        `${path}/{name}`,
        pathItem(resource, version, ["get", "update", "patch", "delete"], resource.verbs, [...parameters, ...named])
      ],
      ...Object.entries(resource.subresources).map(([name, verbs]) => [
        `${path}/{name}/${name}`,
        pathItem(resource, version, ["get", "update", "patch"], verbs, [...parameters, ...named])
      ])
    ])
  )
}

const pathItem = (
  resource: Resource,
  version: Version,
  candidates: ReadonlyArray<string>,
  verbs: ReadonlyArray<string>,
  parameters: ReadonlyArray<Parameter>
) => ({
  parameters,
  ...Object.fromEntries(
    candidates
      .filter((verb) => verbs.includes(verb))
      .flatMap((verb) => {
        const found = actions[verb]
        return found === undefined ? [] : [[found[0], operation(resource, version, verb, found[1])]]
      })
  )
})

const operation = (resource: Resource, version: Version, verb: string, action: string) => {
  const kind = verb === "list" ? `${resource.kind}List` : resource.kind
  const isList = verb === "list" || verb === "deletecollection"
  const parameters = isList
    ? [...listParameters, ...(resource.plural === "activities" ? activityParameters : [])]
    : verb === "get"
      ? []
      : verb === "patch"
        ? [
            ...writeParameters,
            {
              ...queryText("force", "For server-side apply only, which this server does not have."),
              schema: { type: "boolean" }
            }
          ]
        : verb === "delete"
          ? [queryText("dryRun", "`All` processes everything and persists nothing.")]
          : writeParameters
  const schema = verb === "delete" || verb === "deletecollection" ? metaReference("Status") : reference(version, kind)
  const bodyTypes =
    verb === "patch"
      ? ["application/json-patch+json", "application/merge-patch+json"]
      : ["application/json", "application/yaml"]
  const bodySchema: JsonSchema = verb === "patch" ? { type: "object" } : reference(version, resource.kind)
  return {
    tags: [`activityMiloapisCom_${version}`],
    description: `${verb} ${resource.kind}`,
    operationId: `${verb}ActivityMiloapisCom${version}${resource.kind}`,
    parameters,
    ...(["create", "update", "patch"].includes(verb)
      ? {
          requestBody: {
            required: true,
            content: Object.fromEntries(bodyTypes.map((type) => [type, { schema: bodySchema }]))
          }
        }
      : {}),
    responses: {
      "200": { description: "OK", content: { "application/json": { schema }, "application/yaml": { schema } } },
      "401": { description: "Unauthorized" }
    },
    "x-kubernetes-action": action,
    "x-kubernetes-group-version-kind": { group: groupName, version, kind: resource.kind }
  }
}

/** `/version`: what kubectl prints as the server's. */
export const versionAnswer = (): Answer =>
  value({
    major: "1",
    minor: "34",
    gitVersion: "v1.34.0-activity.0.1.0",
    gitCommit: "",
    gitTreeState: "clean",
    buildDate: "1970-01-01T00:00:00Z",
    goVersion: "none",
    compiler: "node",
    platform: "any"
  })
