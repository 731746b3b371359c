/**
 * The CustomResourceDefinition of the ActivityPolicyRecord: with rules' names required, which are the keys of their lists,
 * and with the fields that never change.
 */
import { policyRecords } from "../domain/policyRecord.ts"
import { activityPolicySpecSchema, activityPolicyStatusSchema } from "./activityPolicySchema.ts"
import { recordDefinition, structural, type StructuralSchema, type Validation } from "./recordDefinition.ts"

const message = "field is immutable"

const immutable = (schema: StructuralSchema | undefined): StructuralSchema => ({
  ...schema,
  "x-kubernetes-validations": [{ rule: "self == oldSelf", message }]
})

/** A field that comes or goes is looked at by nobody but its object; an absent group is the core group, as "" is. */
const groupStays: Validation = {
  rule: "has(self.apiGroup) == has(oldSelf.apiGroup) || (has(self.apiGroup) ? self.apiGroup : oldSelf.apiGroup) == ''",
  message,
  fieldPath: ".apiGroup"
}

const spec = structural(activityPolicySpecSchema)
const resource = spec.properties?.["resource"]

export const policyRecordDefinition = recordDefinition(policyRecords, {
  description:
    "ActivityPolicyRecord is what a cluster keeps of an ActivityPolicy. Change activitypolicies.activity.miloapis.com, which checks every expression; what is written here is only reported.",
  columns: [
    { name: "API Group", type: "string", jsonPath: ".spec.resource.apiGroup" },
    { name: "Kind", type: "string", jsonPath: ".spec.resource.kind" },
    { name: "Ready", type: "string", jsonPath: '.status.conditions[?(@.type=="Ready")].status' }
  ],
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
})
