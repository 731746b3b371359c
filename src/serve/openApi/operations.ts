/** Paths and operations of a resource, as Kubernetes' own documents have them. */
import type { GroupVersionKind, JsonSchema } from "../../contracts/JsonSchema.ts"
import { metaReference } from "../../contracts/metaSchemas.ts"
import { eventsResource } from "../../contracts/eventsApis.ts"
import type { Resource } from "../../contracts/resources.ts"

export interface Parameter {
  readonly name: string
  readonly in: "query" | "path"
  readonly required?: boolean
  readonly description: string
  readonly schema: JsonSchema
}

type Content = Readonly<Record<string, { readonly schema: JsonSchema }>>

export interface Operation {
  readonly tags: ReadonlyArray<string>
  readonly description: string
  readonly operationId: string
  readonly parameters: ReadonlyArray<Parameter>
  readonly requestBody?: { readonly required: boolean; readonly content: Content }
  readonly responses: Readonly<Record<string, { readonly description: string; readonly content?: Content }>>
  /** With these two clients find the operation of a kind. */
  readonly "x-kubernetes-action": string
  readonly "x-kubernetes-group-version-kind": GroupVersionKind
}

export type Method = "get" | "post" | "put" | "patch" | "delete"

export interface PathItem extends Partial<Readonly<Record<Method, Operation>>> {
  readonly parameters: ReadonlyArray<Parameter>
}

/** A version of a group, whose documents are one. */
export interface GroupVersion {
  /** "" is the core group. */
  readonly group: string
  readonly version: string
  /** How operationIds call the group: unique among all documents that a reader may merge. */
  readonly word: string
}

/** The schema of objects of a kind. */
export type SchemaOf = (kind: string) => JsonSchema

const parameter = (
  name: string,
  description: string,
  type: "string" | "boolean" | "integer" = "string"
): Parameter => ({
  name,
  in: "query",
  description,
  schema: { type, uniqueItems: true }
})

const pathParameter = (name: string, description: string): Parameter => ({
  ...parameter(name, description),
  in: "path",
  required: true
})

const dryRun = parameter("dryRun", "`All` processes everything and persists nothing.")

const writeParameters: ReadonlyArray<Parameter> = [
  dryRun,
  parameter("fieldManager", "The name of the actor that makes these changes."),
  // kubectl looks for it at PATCH before it leaves validation to the server.
  parameter("fieldValidation", "Ignore, Warn or Strict: what happens with fields that are unknown or come twice.")
]

const patchParameters: ReadonlyArray<Parameter> = [
  ...writeParameters,
  parameter("force", "Takes fields over from other managers. For server-side apply only.", "boolean")
]

const deleteParameters: ReadonlyArray<Parameter> = [
  dryRun,
  parameter("gracePeriodSeconds", "Accepted and ignored: objects are deleted at once.", "integer"),
  parameter("propagationPolicy", "Orphan, Background or Foreground: what becomes of objects that depend on this one.")
]

const listParameters: ReadonlyArray<Parameter> = [
  parameter("allowWatchBookmarks", "Send bookmarks, about one a minute.", "boolean"),
  parameter("continue", "Token of the page before."),
  parameter("fieldSelector", "Restricts the list by fields: field=value, field!=value."),
  parameter("labelSelector", "Restricts the list by labels."),
  parameter("limit", "The largest number of objects in the answer.", "integer"),
  parameter("resourceVersion", "The version that the answer must not be older than."),
  parameter("resourceVersionMatch", "NotOlderThan, where resourceVersion or sendInitialEvents is given."),
  parameter(
    "sendInitialEvents",
    "A watch begins with what there is, and a bookmark annotated k8s.io/initial-events-end tells where that ends.",
    "boolean"
  ),
  parameter("timeoutSeconds", "Ends the watch after so many seconds.", "integer"),
  parameter("watch", "Watch for changes in place of a list.", "boolean")
]

// An unescaped semicolon does not pass kube-apiserver: Go takes the whole parameter out of the query.
const activityParameters: ReadonlyArray<Parameter> = [
  parameter(
    "filter",
    "CEL over the fields of an activity, such as spec.actor.name == 'alice'. A semicolon in it must be sent as %3B."
  ),
  parameter("search", "Words that the summary has, all of them, whole, in any case."),
  parameter("start", "RFC 3339, now, or now-7d: activities last seen at or after it. Default now-1h."),
  parameter("end", "RFC 3339, now, or now-7d: activities before it. Default now.")
]

const eventParameters: ReadonlyArray<Parameter> = [
  parameter(
    "filter",
    "CEL over the fields of an Event of events.k8s.io/v1, such as regarding.kind == 'Pod'. A semicolon in it must be sent as %3B."
  ),
  parameter("search", "Words that the note has, all of them, whole, in any case."),
  parameter("start", "RFC 3339, now, or now-7d: Events last seen at or after it. Default now-24h."),
  parameter("end", "RFC 3339, now, or now-7d: Events first seen before it. Default now.")
]

/** What lists of a resource take besides what every list takes. */
const ownListParameters: Readonly<Record<string, ReadonlyArray<Parameter>>> = {
  activities: activityParameters,
  eventrecords: eventParameters,
  events: eventParameters
}

const exportParameters: ReadonlyArray<Parameter> = [
  parameter("columns", "With Accept: text/csv, the columns: fields that a filter may name, joined by commas."),
  parameter(
    "timeoutSeconds",
    "With Accept: application/jsonl or text/csv, ends the answer after so many seconds.",
    "integer"
  )
]

/** What creating one takes besides what every creation takes. */
const ownCreateParameters: Readonly<Record<string, ReadonlyArray<Parameter>>> = {
  activityqueries: exportParameters,
  auditlogqueries: exportParameters,
  eventqueries: exportParameters
}

/** By verb: the method, the name in `x-kubernetes-action`, and the one in operationIds. */
const actions: Readonly<Record<string, readonly [method: Method, action: string, word: string]>> = {
  get: ["get", "get", "read"],
  list: ["get", "list", "list"],
  create: ["post", "post", "create"],
  update: ["put", "put", "replace"],
  patch: ["patch", "patch", "patch"],
  delete: ["delete", "delete", "delete"],
  deletecollection: ["delete", "deletecollection", "deleteCollection"]
}

interface Place {
  readonly resource: Resource
  readonly of: GroupVersion
  readonly schemaOf: SchemaOf
  /** Which of the resource's paths, in operationIds: "Namespaced" or "". */
  readonly prefix: string
  readonly subresource: string
  /** Of what is sent and answered there. */
  readonly kind: string
}

export const pathOf = ({ group, version }: Omit<GroupVersion, "word">): string =>
  group === "" ? `api/${version}` : `apis/${group}/${version}`

export const pathsOf = (
  resource: Resource,
  of: GroupVersion,
  schemaOf: SchemaOf
): Readonly<Record<string, PathItem>> => {
  const base = `/${pathOf(of)}`
  const everywhere = [`${base}/${resource.plural}`, [], ""] as const
  const inNamespace = [
    `${base}/namespaces/{namespace}/${resource.plural}`,
    [pathParameter("namespace", "Namespace of the object.")],
    "Namespaced"
  ] as const
  const named = [pathParameter("name", `Name of the ${resource.kind}.`)]
  return Object.fromEntries(
    (resource.namespaced ? [everywhere, inNamespace] : [everywhere]).flatMap(([path, parameters, prefix]) => {
      const place: Place = { resource, of, schemaOf, prefix, subresource: "", kind: resource.kind }
      // Over all namespaces one only reads.
      const isReadOnly = resource.namespaced && prefix === ""
      const ofCollection = isReadOnly ? ["list"] : ["list", "create", "deletecollection"]
      const ofObject = isReadOnly ? ["get"] : ["get", "update", "patch", "delete"]
      return [
        [
          path,
          pathItem(
            place,
            [...ofCollection, ...promised(resource)],
            [...resource.verbs, ...promised(resource)],
            parameters
          )
        ],
        [`${path}/{name}`, pathItem(place, ofObject, resource.verbs, [...parameters, ...named])],
        ...Object.entries(resource.subresources).map(([name, { body = resource, verbs }]) => [
          `${path}/{name}/${name}`,
          pathItem({ ...place, subresource: name, kind: body.kind }, ["get", "create", "update", "patch"], verbs, [
            ...parameters,
            ...named
          ])
        ])
      ]
    })
  )
}

/**
 * An operation that is not served, at the collection of what can only be created: kubectl leaves the validation of a
 * kind to the server only where it finds `fieldValidation` at a PATCH. Else it wants version 2 of the document, as
 * protobuf.
 */
const promised = (resource: Resource): ReadonlyArray<string> => (resource.verbs.join() === "create" ? ["patch"] : [])

const pathItem = (
  place: Place,
  candidates: ReadonlyArray<string>,
  verbs: ReadonlyArray<string>,
  parameters: ReadonlyArray<Parameter>
): PathItem => ({
  parameters,
  ...Object.fromEntries(
    candidates
      .filter((verb) => verbs.includes(verb))
      .flatMap((verb) => {
        const found = actions[verb]
        return found === undefined ? [] : [[found[0], operation(place, verb, found[1], found[2])]]
      })
  )
})

const operation = (place: Place, verb: string, action: string, word: string): Operation => {
  const { kind, of, prefix, resource, schemaOf, subresource } = place
  const { group, version, word: groupWord } = of
  const content = contentOf(
    answerTypes,
    verb === "list" ? schemaOf(`${kind}List`) : verb.startsWith("delete") ? metaReference("Status") : schemaOf(kind)
  )
  const body = requestBody(place, verb)
  return {
    tags: [`${groupWord.slice(0, 1).toLowerCase()}${groupWord.slice(1)}_${version}`],
    description: `${verb} ${resource.kind}${subresource === "" ? "" : ` ${subresource}`}`,
    operationId: `${word}${groupWord}${capitalised(version)}${prefix}${resource.kind}${capitalised(subresource)}`,
    parameters: parametersOf(resource, verb),
    ...(body === undefined ? {} : { requestBody: body }),
    responses: {
      "200": { description: "OK", content },
      ...(verb === "create" ? { "201": { description: "Created", content } } : {}),
      "401": { description: "Unauthorized" }
    },
    "x-kubernetes-action": action,
    "x-kubernetes-group-version-kind": { group, version, kind }
  }
}

const parametersOf = (resource: Resource, verb: string): ReadonlyArray<Parameter> => {
  switch (verb) {
    case "get":
      return []
    case "list":
      return [...listParameters, ...(ownListParameters[resource.plural] ?? [])]
    case "deletecollection":
      return [...deleteParameters, ...listParameters.filter(({ name }) => name.endsWith("Selector"))]
    case "delete":
      return deleteParameters
    case "patch":
      return patchParameters
    case "create":
      return [...writeParameters, ...(ownCreateParameters[resource.plural] ?? [])]
    default:
      return writeParameters
  }
}

const answerTypes = ["application/json", "application/yaml"]

// No strategic merge of our own kinds: kubectl then sends merge patches.
const patchTypes = ["application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"]
const eventPatchTypes = [...patchTypes.slice(0, 2), "application/strategic-merge-patch+json"]

const requestBody = ({ kind, resource, schemaOf }: Place, verb: string): Operation["requestBody"] => {
  switch (verb) {
    case "create":
    case "update":
      return { required: true, content: contentOf(answerTypes, schemaOf(kind)) }
    case "patch":
      return {
        required: true,
        content: contentOf(
          resource.plural === eventsResource.plural ? eventPatchTypes : patchTypes,
          metaReference("Patch")
        )
      }
    case "delete":
    case "deletecollection":
      return { required: false, content: contentOf(answerTypes, metaReference("DeleteOptions")) }
    default:
      return undefined
  }
}

const contentOf = (types: ReadonlyArray<string>, schema: JsonSchema): Content =>
  Object.fromEntries(types.map((type) => [type, { schema }]))

const capitalised = (word: string): string => `${word.slice(0, 1).toUpperCase()}${word.slice(1)}`
