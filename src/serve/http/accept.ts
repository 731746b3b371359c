/** Which form of an answer a client wants, by its Accept header: the first that we have, in the client's order. */

export type Form =
  | { readonly _tag: "Object" }
  | { readonly _tag: "Table"; readonly version: "v1" | "v1beta1" }
  | { readonly _tag: "Metadata"; readonly list: boolean }
  | { readonly _tag: "Discovery"; readonly version: "v2" | "v2beta1" }
  /** OpenAPI's version 2 as protobuf. */
  | { readonly _tag: "OpenApi" }
  /** All that a query finds, in lines. */
  | { readonly _tag: "Export"; readonly type: ExportType }

/** Lines of JSON, under either of their names, or CSV. */
const exportTypes = ["application/jsonl", "application/x-ndjson", "text/csv"] as const
export type ExportType = (typeof exportTypes)[number]

export interface Accepted {
  readonly form: Form
  readonly encoding: "json" | "yaml"
}

const plain: Accepted = { form: { _tag: "Object" }, encoding: "json" }

/**
 * Undefined: there is nothing that the client would take.
 *
 * @param exported what is asked for can be exported
 */
export const acceptedForm = (header: string, exported = false): Accepted | undefined => {
  if (header.trim() === "") return plain
  for (const range of header.split(",")) {
    const [type = "", ...parameters] = range.split(";").map((part) => part.trim())
    const exportType = exportTypes.find((known) => exported && known === type.toLowerCase())
    if (exportType !== undefined) return { form: { _tag: "Export", type: exportType }, encoding: "json" }
    const found = formOf(
      type.toLowerCase(),
      new Map(
        parameters.map((parameter) => {
          const [name = "", value = ""] = parameter.split("=")
          return [name, value] as const
        })
      )
    )
    if (found !== undefined) return found
  }
  return undefined
}

const encodings: Readonly<Record<string, "json" | "yaml">> = {
  "application/json": "json",
  "application/*": "json",
  "*/*": "json",
  "application/yaml": "yaml",
  "application/x-yaml": "yaml",
  "text/yaml": "yaml"
}

const openApiType = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"

const formOf = (type: string, parameters: ReadonlyMap<string, string>): Accepted | undefined => {
  if (type === openApiType) return { form: { _tag: "OpenApi" }, encoding: "json" }
  const encoding = encodings[type]
  if (encoding === undefined) return undefined
  const group = parameters.get("g")
  const version = parameters.get("v")
  switch (parameters.get("as")) {
    case undefined:
      return { form: { _tag: "Object" }, encoding }
    case "Table":
      return group === "meta.k8s.io" && (version === "v1" || version === "v1beta1")
        ? { form: { _tag: "Table", version }, encoding }
        : undefined
    case "PartialObjectMetadata":
      return group === "meta.k8s.io" && version === "v1"
        ? { form: { _tag: "Metadata", list: false }, encoding }
        : undefined
    case "PartialObjectMetadataList":
      return group === "meta.k8s.io" && version === "v1"
        ? { form: { _tag: "Metadata", list: true }, encoding }
        : undefined
    case "APIGroupDiscoveryList":
      return group === "apidiscovery.k8s.io" && (version === "v2" || version === "v2beta1") && encoding === "json"
        ? { form: { _tag: "Discovery", version }, encoding }
        : undefined
    default:
      return undefined
  }
}
