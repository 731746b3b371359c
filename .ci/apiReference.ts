/** `docs/api.md`: the resources of the API and their fields, printed from the schemas that clients are served. */
import type { JsonSchema } from "../src/contracts/JsonSchema.ts"
import { eventsApis, eventsResource } from "../src/contracts/eventsApis.ts"
import { groupName, type Resource, resources, versions } from "../src/contracts/resources.ts"

export const apiReference = (): string =>
  [
    "# API",
    "",
    "Printed by `npm run generate` from `src/contracts`; `kubectl explain RESOURCE --recursive` says the same.",
    "",
    `Group \`${groupName}\`, versions ${versions.map((version) => `\`${version}\``).join(" and ")}, which serve the same ` +
      "objects; every object has `apiVersion`, `kind` and `metadata` besides what stands here.",
    "",
    "| resource | kind | short | scope | verbs | subresources |",
    "|---|---|---|---|---|---|",
    ...resources.map(overviewOf),
    "",
    `Kubernetes' own Events are beside it: \`${eventsResource.plural}\` at ` +
      `${eventsApis.map(({ group, version }) => `\`${group === "" ? "/api" : `/apis/${group}`}/${version}\``).join(" and ")} ` +
      `(${eventsResource.verbs.join(", ")}), with the fields that Kubernetes gives them.`,
    "",
    ...resources.flatMap(chapterOf)
  ].join("\n")

const overviewOf = (resource: Resource): string => {
  const { kind, namespaced, plural, shortNames, subresources, verbs } = resource
  const below = Object.entries(subresources).map(([name, own]) => `${name}: ${own.verbs.join(", ")}`)
  const scope = namespaced ? "namespace" : "cluster"
  return row([`[${plural}](#${plural})`, kind, shortNames.join(", "), scope, verbs.join(", "), below.join("; ")])
}

const chapterOf = ({ description, plural, properties, subresources }: Resource): ReadonlyArray<string> => [
  `## ${plural}`,
  "",
  description,
  "",
  ...tableOf(properties),
  ...Object.entries(subresources).flatMap(([name, { body }]) =>
    body === undefined
      ? []
      : [`### ${plural}/${name}`, "", `The body is a ${body.kind}.`, "", ...tableOf(body.properties)]
  )
]

const tableOf = (properties: Resource["properties"]): ReadonlyArray<string> => [
  "| field | type | |",
  "|---|---|---|",
  ...Object.entries(properties).flatMap(([name, schema]) => fieldsOf(name, schema)),
  ""
]

/** A row for the field, and one for each below it. */
const fieldsOf = (path: string, schema: JsonSchema): ReadonlyArray<string> => {
  const items = schema.items
  const below = items?.type === "object" ? items.properties : schema.properties
  const prefix = items === undefined ? path : `${path}[]`
  return [
    row([`\`${path}\``, typeOf(schema), schema.description ?? items?.description ?? ""]),
    ...Object.entries(below ?? {}).flatMap(([name, field]) => fieldsOf(`${prefix}.${name}`, field))
  ]
}

const typeOf = (schema: JsonSchema): string => {
  if (schema.enum !== undefined) return schema.enum.map((value) => (value === "" ? "empty" : `\`${value}\``)).join(", ")
  if (schema.items !== undefined) return `list of ${typeOf(schema.items)}`
  if (schema.additionalProperties !== undefined) return `map of ${typeOf(schema.additionalProperties)}`
  const reference = schema.$ref ?? schema.allOf?.find(({ $ref }) => $ref !== undefined)?.$ref
  if (reference !== undefined) return reference.split(".").at(-1) ?? reference
  return schema.format ?? schema.type ?? "anything"
}

const row = (cells: ReadonlyArray<string>): string =>
  `| ${cells.map((cell) => cell.replaceAll("|", "\\|").replaceAll("\n", " ")).join(" | ")} |`
