/**
 * The CustomResourceDefinition of the ActivityPolicyRecord, in which a cluster keeps ActivityPolicies.
 *
 * Its schema is that of the ActivityPolicy, without the defaults, which here would be written into every record; with
 * rules' names required, which are the keys of their lists; and with the fields that never change.
 *
 * @decision 0010-policy-records
 */
import { policyRecords } from "../domain/policyRecord.ts"
import { activityPolicySpecSchema, activityPolicyStatusSchema } from "./activityPolicySchema.ts"
import type { JsonSchema } from "./JsonSchema.ts"

interface StructuralSchema extends Omit<JsonSchema, "properties" | "items" | "additionalProperties"> {
  readonly properties?: Readonly<Record<string, StructuralSchema>>
  readonly items?: StructuralSchema
  readonly additionalProperties?: StructuralSchema
  readonly "x-kubernetes-validations"?: ReadonlyArray<{
    readonly rule: string
    readonly message: string
    readonly fieldPath?: string
  }>
}

/** Without defaults. The keys of a list's items are required: two items without one could not be told apart. */
const structural = ({ default: _, ...schema }: JsonSchema): StructuralSchema => {
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

const message = "field is immutable"

const immutable = (schema: StructuralSchema | undefined): StructuralSchema => ({
  ...schema,
  "x-kubernetes-validations": [{ rule: "self == oldSelf", message }]
})

/** A field that comes or goes is looked at by nobody but its object; an absent group is the core group, as "" is. */
const groupStays = {
  rule: "has(self.apiGroup) == has(oldSelf.apiGroup) || (has(self.apiGroup) ? self.apiGroup : oldSelf.apiGroup) == ''",
  message,
  fieldPath: ".apiGroup"
}

const spec = structural(activityPolicySpecSchema)
const resource = spec.properties?.["resource"]

export const policyRecordDefinition = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: `${policyRecords.plural}.${policyRecords.group}` },
  spec: {
    group: policyRecords.group,
    scope: "Cluster",
    names: {
      kind: policyRecords.kind,
      listKind: `${policyRecords.kind}List`,
      plural: policyRecords.plural,
      singular: policyRecords.singular
    },
    versions: [
      {
        name: policyRecords.version,
        served: true,
        storage: true,
        subresources: { status: {} },
        additionalPrinterColumns: [
          { name: "API Group", type: "string", jsonPath: ".spec.resource.apiGroup" },
          { name: "Kind", type: "string", jsonPath: ".spec.resource.kind" },
          { name: "Ready", type: "string", jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
          { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" }
        ],
        schema: {
          openAPIV3Schema: {
            type: "object",
            description:
              "ActivityPolicyRecord is what a cluster keeps of an ActivityPolicy. Change activitypolicies.activity.miloapis.com, which checks every expression; what is written here is only reported.",
            required: ["spec"],
            properties: {
              apiVersion: { type: "string" },
              kind: { type: "string" },
              metadata: { type: "object" },
              spec: {
                ...spec,
                properties: {
                  ...spec.properties,
                  resource: {
                    ...resource,
                    properties: {
                      ...resource?.properties,
                      apiGroup: immutable(resource?.properties?.["apiGroup"]),
                      kind: immutable(resource?.properties?.["kind"])
                    },
                    "x-kubernetes-validations": [groupStays]
                  }
                }
              },
              status: structural(activityPolicyStatusSchema)
            }
          }
        }
      }
    ]
  }
} as const
