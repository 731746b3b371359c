/**
 * OpenAPI 2 from documents of OpenAPI 3, as Kubernetes' own two differ: references have another prefix and stand without
 * `allOf`, schemas have no defaults, bodies are parameters, content types stand beside the operation.
 */
import type { JsonSchema } from "../../contracts/JsonSchema.ts"
import type { OpenApiDocument } from "./openApiDocument.ts"
import type { Method, Operation, Parameter, PathItem } from "./operations.ts"

const methods: ReadonlyArray<Method> = ["get", "post", "put", "patch", "delete"]

export const swaggerFrom = (documents: ReadonlyArray<OpenApiDocument>) => ({
  swagger: "2.0",
  info: { title: documents[0]?.info.title ?? "", version: "unversioned" },
  paths: Object.fromEntries(
    documents.flatMap(({ paths }) => Object.entries(paths).map(([path, item]) => [path, pathItem(item)]))
  ),
  definitions: Object.fromEntries(
    documents.flatMap(({ components }) =>
      Object.entries(components.schemas).map(([name, schema]) => [name, definition(schema)])
    )
  )
})

const pathItem = (item: PathItem) => ({
  parameters: item.parameters.map(plainParameter),
  ...Object.fromEntries(
    methods.flatMap((method) => {
      // A collection's PATCH is there for readers of version 3 alone.
      const found = method === "patch" && item.post !== undefined ? undefined : item[method]
      return found === undefined ? [] : [[method, operation(found)]]
    })
  )
})

const operation = ({ parameters, requestBody, responses, ...rest }: Operation) => {
  const [content] = Object.values(requestBody?.content ?? {})
  return {
    ...rest,
    schemes: ["https"],
    consumes: requestBody === undefined ? ["*/*"] : Object.keys(requestBody.content),
    produces: Object.keys(responses["200"]?.content ?? {}),
    parameters: [
      ...(requestBody === undefined || content === undefined
        ? []
        : [
            {
              in: "body",
              name: "body",
              ...(requestBody.required ? { required: true } : {}),
              schema: definition(content.schema)
            }
          ]),
      ...parameters.map(plainParameter)
    ],
    responses: Object.fromEntries(
      Object.entries(responses).map(([status, answer]) => {
        const [answered] = Object.values(answer.content ?? {})
        return [
          status,
          {
            description: answer.description,
            ...(answered === undefined ? {} : { schema: definition(answered.schema) })
          }
        ]
      })
    )
  }
}

const plainParameter = ({ schema, ...parameter }: Parameter) => ({ ...parameter, ...schema })

const definition = ({
  additionalProperties,
  allOf,
  default: _,
  items,
  properties,
  ...rest
}: JsonSchema): JsonSchema => {
  const reference = rest.$ref ?? allOf?.[0]?.$ref
  return {
    ...rest,
    ...(reference === undefined ? {} : { $ref: reference.replace("#/components/schemas/", "#/definitions/") }),
    ...(additionalProperties === undefined ? {} : { additionalProperties: definition(additionalProperties) }),
    ...(items === undefined ? {} : { items: definition(items) }),
    ...(properties === undefined
      ? {}
      : {
          properties: Object.fromEntries(
            Object.entries(properties).map(([name, property]) => [name, definition(property)])
          )
        })
  }
}
