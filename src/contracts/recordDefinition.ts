/**
 * The CustomResourceDefinition of records, in which a cluster keeps the objects of one kind of ours.
 *
 * Its schema is that of the kind, without the defaults, which here would be written into every record, and with the keys of
 * lists required.
 *
 * @decision 0010-policy-records
 */
import type { KeptObject } from "../domain/KeptObject.ts"
import type { RecordKind } from "../domain/keptRecord.ts"
import type { JsonSchema } from "./JsonSchema.ts"

/** What must hold of every value, or of every change. */
export interface Validation {
  readonly rule: string
  readonly message: string
  readonly reason?: "FieldValueForbidden"
  readonly fieldPath?: string
}

export interface StructuralSchema extends Omit<JsonSchema, "properties" | "items" | "additionalProperties"> {
  readonly properties?: Readonly<Record<string, StructuralSchema>>
  readonly items?: StructuralSchema
  readonly additionalProperties?: StructuralSchema
  readonly minimum?: number
  readonly maximum?: number
  readonly "x-kubernetes-validations"?: ReadonlyArray<Validation>
}

/** Without defaults. The keys of a list's items are required: two items without one could not be told apart. */
export const structural = ({ default: _, ...schema }: JsonSchema): StructuralSchema => {
  const { additionalProperties, items, properties, ...rest } = schema
  const keys = schema["x-kubernetes-list-map-keys"] ?? []
  return {
    ...rest,
    ...(properties === undefined
      ? {}
      : {
          properties: Object.fromEntries(
            Object.entries(properties).map(([name, property]) => [name, structural(property)])
          )
        }),
    ...(items === undefined
      ? {}
      : {
          items: structural(
            keys.length === 0 ? items : { ...items, required: [...new Set([...keys, ...(items.required ?? [])])] }
          )
        }),
    ...(additionalProperties === undefined ? {} : { additionalProperties: structural(additionalProperties) })
  }
}

interface DefinitionParts {
  readonly spec: StructuralSchema
  readonly status: StructuralSchema
  /** Of the whole record. */
  readonly validations?: ReadonlyArray<Validation>
  readonly description: string
  readonly columns: ReadonlyArray<{ readonly name: string; readonly type: string; readonly jsonPath: string }>
}

export const recordDefinition = <A extends KeptObject>(
  records: RecordKind<A>,
  { columns, description, spec, status, validations }: DefinitionParts
) =>
  ({
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: records.definitionName },
    spec: {
      group: records.group,
      scope: "Cluster",
      names: {
        kind: records.kind,
        listKind: `${records.kind}List`,
        plural: records.plural,
        singular: records.singular
      },
      versions: [
        {
          name: records.version,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: [
            ...columns,
            { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" }
          ],
          schema: {
            openAPIV3Schema: {
              type: "object",
              description,
              required: ["spec"],
              properties: {
                apiVersion: { type: "string" },
                kind: { type: "string" },
                metadata: { type: "object" },
                spec,
                status
              },
              ...(validations === undefined ? {} : { "x-kubernetes-validations": validations })
            }
          }
        }
      ]
    }
  }) as const
