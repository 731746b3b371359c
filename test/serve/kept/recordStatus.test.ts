/** What kube-apiserver 1.34.4 said of records, as clients of policies are told. */
import { assert, describe, it } from "@effect/vitest"
import type { Json } from "../../../src/domain/AuditRecord.ts"
import { statusObject } from "../../../src/serve/ApiFailure.ts"
import { isRace, recordStatus } from "../../../src/serve/kept/recordStatus.ts"
import { policyKind } from "../../../src/serve/policies/policyKind.ts"

const { failureFrom } = recordStatus(policyKind)

const storage = "storage.activity.miloapis.com"

const told = (code: number, status: Readonly<Record<string, Json>>, version = "v1alpha1") => {
  const error = failureFrom(code, { kind: "Status", apiVersion: "v1", status: "Failure", code, ...status }, version)
  return { ...statusObject(error), race: isRace(error) }
}

describe("a Status of a record", () => {
  it("that something is missing names the policy", () => {
    const answer = told(404, {
      reason: "NotFound",
      message: `activitypolicyrecords.${storage} "x" not found`,
      details: { name: "x", group: storage, kind: "activitypolicyrecords" }
    })
    assert.strictEqual(answer.message, 'activitypolicies.activity.miloapis.com "x" not found')
    assert.deepStrictEqual(answer.details, { name: "x", group: "activity.miloapis.com", kind: "activitypolicies" })
  })

  it("that it is invalid names the policy at its beginning, and leaves what a person wrote", () => {
    const value = `see ActivityPolicyRecord.${storage} "y"`
    const answer = told(422, {
      reason: "Invalid",
      message: `ActivityPolicyRecord.${storage} "x" is invalid: spec.auditRules[0].match: Invalid value: "${value}": no`,
      details: {
        name: "x",
        group: storage,
        kind: "ActivityPolicyRecord",
        causes: [
          { reason: "FieldValueInvalid", field: "spec.auditRules[0].match", message: `Invalid value: "${value}"` }
        ]
      }
    })
    assert.strictEqual(
      answer.message,
      `ActivityPolicy.activity.miloapis.com "x" is invalid: spec.auditRules[0].match: Invalid value: "${value}": no`
    )
    assert.deepStrictEqual(answer.details, {
      name: "x",
      group: "activity.miloapis.com",
      kind: "ActivityPolicy",
      causes: [{ reason: "FieldValueInvalid", field: "spec.auditRules[0].match", message: `Invalid value: "${value}"` }]
    })
  })

  it("that another write came between is a race; that another manager owns a field is none", () => {
    const raced = told(409, {
      reason: "Conflict",
      message: `Operation cannot be fulfilled on activitypolicyrecords.${storage} "x": the object has been modified; please apply your changes to the latest version and try again`,
      details: { name: "x", group: storage, kind: "activitypolicyrecords" }
    })
    assert.isTrue(raced.race)
    assert.match(
      raced.message,
      /^Operation cannot be fulfilled on activitypolicies\.activity\.miloapis\.com "x": the object/
    )
    const owned = told(
      409,
      {
        reason: "Conflict",
        message: `Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using ${storage}/v1alpha1: .spec.auditRules[name="a"].match`,
        details: {
          causes: [
            {
              reason: "FieldManagerConflict",
              message: `conflict with "kubectl-client-side-apply" using ${storage}/v1alpha1`,
              field: '.spec.auditRules[name="a"].match'
            }
          ]
        }
      },
      "v1"
    )
    assert.isFalse(owned.race)
    assert.strictEqual(
      owned.message,
      'Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using activity.miloapis.com/v1: .spec.auditRules[name="a"].match'
    )
    assert.deepStrictEqual(owned.details, {
      causes: [
        {
          reason: "FieldManagerConflict",
          message: 'conflict with "kubectl-client-side-apply" using activity.miloapis.com/v1',
          field: '.spec.auditRules[name="a"].match'
        }
      ]
    })
  })

  it("of several conflicts has each manager's version, and a manager keeps the name it chose", () => {
    const manager = `using ${storage}/v1alpha1`
    const answer = told(409, {
      reason: "Conflict",
      message: `Apply failed with 2 conflicts: conflicts with "${manager}" using ${storage}/v1alpha1 at 2026-11-21T14:00:00Z:\n- .spec.kindLabel\nconflicts with "two" with subresource "status" using ${storage}/v1alpha1:\n- .status`,
      details: { causes: [{ reason: "FieldManagerConflict", message: "", field: ".spec.kindLabel" }] }
    })
    assert.strictEqual(
      answer.message,
      `Apply failed with 2 conflicts: conflicts with "${manager}" using activity.miloapis.com/v1alpha1 at 2026-11-21T14:00:00Z:\n- .spec.kindLabel\nconflicts with "two" with subresource "status" using activity.miloapis.com/v1alpha1:\n- .status`
    )
  })

  it("that this server may not write is no refusal of the client", () => {
    const answer = told(403, {
      reason: "Forbidden",
      message: `activitypolicyrecords.${storage} "x" is forbidden: User "system:serviceaccount:activity-system:activity-apiserver" cannot update resource "activitypolicyrecords" in API group "${storage}" at the cluster scope`,
      details: { name: "x", group: storage, kind: "activitypolicyrecords" }
    })
    assert.strictEqual(answer.code, 500)
    assert.match(answer.message, /^the cluster does not let this server keep activitypolicies: /)
  })

  it("of an admission plugin stays a refusal", () => {
    const answer = told(403, {
      reason: "Forbidden",
      message: `activitypolicyrecords.${storage} "x" is forbidden: not on Fridays`,
      details: { name: "x", group: storage, kind: "activitypolicyrecords" }
    })
    assert.deepStrictEqual(
      [answer.code, answer.message],
      [403, 'activitypolicies.activity.miloapis.com "x" is forbidden: not on Fridays']
    )
  })

  it("without a reason, or that is none, keeps its code", () => {
    assert.deepStrictEqual([told(500, { message: "odd" }).code, told(500, { message: "odd" }).message], [500, "odd"])
    const busy = statusObject(failureFrom(429, undefined, "v1"))
    assert.deepStrictEqual([busy.code, busy.reason], [429, "TooManyRequests"])
  })
})
