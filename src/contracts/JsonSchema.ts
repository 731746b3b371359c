/** The part of JSON Schema that OpenAPI v3 documents of Kubernetes use, and that fields of bodies are checked against. */
export interface JsonSchema {
  readonly type?: "object" | "array" | "string" | "integer" | "boolean"
  readonly format?: string
  readonly description?: string
  readonly default?: unknown
  readonly enum?: ReadonlyArray<string>
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly additionalProperties?: JsonSchema
  readonly required?: ReadonlyArray<string>
  readonly items?: JsonSchema
  readonly allOf?: ReadonlyArray<JsonSchema>
  readonly $ref?: string
  readonly uniqueItems?: boolean
  readonly "x-kubernetes-list-type"?: "atomic" | "map" | "set"
  readonly "x-kubernetes-list-map-keys"?: ReadonlyArray<string>
  readonly "x-kubernetes-map-type"?: "atomic" | "granular"
  readonly "x-kubernetes-patch-merge-key"?: string
  readonly "x-kubernetes-patch-strategy"?: string
  readonly "x-kubernetes-preserve-unknown-fields"?: true
  readonly "x-kubernetes-group-version-kind"?: ReadonlyArray<GroupVersionKind>
}

export interface GroupVersionKind {
  readonly group: string
  readonly version: string
  readonly kind: string
}

export const text = (description: string): JsonSchema => ({ type: "string", description, default: "" })

export const time = (description: string): JsonSchema => ({ type: "string", format: "date-time", description })

export const whole = (description: string, format: "int32" | "int64" = "int64"): JsonSchema => ({
  type: "integer",
  format,
  description,
  default: 0
})

export const choice = (values: ReadonlyArray<string>, description: string): JsonSchema => ({
  type: "string",
  enum: values,
  description
})

export const object = (
  description: string,
  properties: Readonly<Record<string, JsonSchema>>,
  required: ReadonlyArray<string> = []
): JsonSchema => ({ type: "object", description, properties, ...(required.length === 0 ? {} : { required }) })

export const list = (description: string, items: JsonSchema): JsonSchema => ({
  type: "array",
  description,
  items,
  "x-kubernetes-list-type": "atomic"
})

/** A list whose items are told apart by one field. */
export const listByKey = (description: string, key: string, items: JsonSchema): JsonSchema => ({
  type: "array",
  description,
  items,
  "x-kubernetes-list-type": "map",
  "x-kubernetes-list-map-keys": [key]
})

export const texts = (description: string): JsonSchema => ({
  type: "object",
  description,
  additionalProperties: { type: "string", default: "" }
})
