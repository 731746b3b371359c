/** The body of a write of a policy. */
import { Effect } from "effect"
import { activityPolicySpecSchema, activityPolicyStatusSchema } from "../../contracts/activityPolicySchema.ts"
import { metaReference } from "../../contracts/metaSchemas.ts"
import { groupName } from "../../contracts/resources.ts"
import type { ActivityPolicy } from "../../domain/ActivityPolicy.ts"
import type { Json } from "../../domain/AuditRecord.ts"
import type { ApiFailure } from "../ApiFailure.ts"
import type { Call } from "../http/Call.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"
import { type BodyKind, type CheckedBody, checkedObject, objectBody } from "../objectBody.ts"

export const policyKind = { group: groupName, plural: "activitypolicies", kind: "ActivityPolicy" }

export interface PolicyBody {
  readonly policy: ActivityPolicy
  /** For Warning headers. */
  readonly warnings: ReadonlyArray<string>
}

const bodyKind: BodyKind = {
  kind: policyKind.kind,
  schema: {
    type: "object",
    properties: {
      apiVersion: { type: "string" },
      kind: { type: "string" },
      metadata: metaReference("ObjectMeta"),
      spec: activityPolicySpecSchema,
      status: activityPolicyStatusSchema
    }
  }
}

/** @fails ApiFailure UnsupportedMediaType, RequestEntityTooLarge, BadRequest */
export const policyBody = (call: Call, request: ResourceRequest): Effect.Effect<PolicyBody, ApiFailure> =>
  Effect.map(objectBody(call, request, bodyKind), (body) => policyFrom(body, request))

/** Unknown fields are refused, told or dropped, as the client asked; then the rest is an ActivityPolicy in shape. */
export const checkedPolicy = (
  call: Call,
  request: ResourceRequest,
  body: Json | undefined
): Effect.Effect<PolicyBody, ApiFailure> =>
  Effect.map(checkedObject(call, request, body, bodyKind), (checked) => policyFrom(checked, request))

const policyFrom = (body: CheckedBody, request: ResourceRequest): PolicyBody => {
  const { policy, warnings } = partialPolicyFrom(body)
  return {
    policy: {
      ...policy,
      apiVersion: `${groupName}/${request.version}`,
      kind: "ActivityPolicy",
      metadata: { ...policy.metadata, name: policy.metadata?.name ?? "" },
      spec: policy.spec ?? { resource: { apiGroup: "", kind: "" } }
    },
    warnings
  }
}

export interface PartialPolicyBody {
  readonly policy: Partial<ActivityPolicy>
  readonly warnings: ReadonlyArray<string>
}

/** The same of a part of a policy, which stays a part. */
export const checkedFields = (
  call: Call,
  request: ResourceRequest,
  body: Json | undefined
): Effect.Effect<PartialPolicyBody, ApiFailure> =>
  Effect.map(checkedObject(call, request, body, bodyKind), partialPolicyFrom)

const partialPolicyFrom = ({ object, warnings }: CheckedBody): PartialPolicyBody => ({
  // The schema says the shapes; what it does not say (required, compiles) admission checks.
  policy: object as unknown as Partial<ActivityPolicy>,
  warnings
})
