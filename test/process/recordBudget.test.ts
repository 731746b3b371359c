import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { recordWorkMax, workDone } from "../../src/cel/budget.ts"
import type { PolicyRule } from "../../src/domain/ActivityPolicy.ts"
import { platformTenant } from "../../src/domain/Tenant.ts"
import { auditRecordFrom } from "../../src/normalise/auditRecordFrom.ts"
import type { Failed } from "../../src/process/PolicySet.ts"
import { deploymentPolicy, event, eventOf, policySet, record, recordedLines, samplePolicies } from "./scenarios.ts"

describe("the budget of a record", () => {
  /** Each is within its own budget, and none matches. */
  const costly = (variable: string): ReadonlyArray<PolicyRule> =>
    Array.from({ length: 128 }, (_, index) => ({
      match: `audit.list.exists(a, audit.list.exists(b, a + b == -${index + 1}.0))`.replaceAll(
        "audit.",
        `${variable}.`
      ),
      summary: "x"
    }))
  const list = Array.from({ length: 60 }, (_, index) => index)

  it("is one for all rules of all policies", () => {
    const rules = costly("audit").slice(0, 1)
    const one = policySet([deploymentPolicy(rules)])
    assert.strictEqual(one.evaluateAudit(record({ list }))._tag, "NotMatched")
    const policies = Array.from({ length: 20 }, (_, index) => deploymentPolicy(rules, [], `p-${index + 10}`))
    const many = policySet(policies).evaluateAudit(record({ list }))
    assert.strictEqual(many._tag, "Failed")
    assert.match((many as Failed).cause, /^evaluation budget exceeded: more than 200000 units of work for one record/)
    // It starts anew with the next record.
    for (let turn = 0; turn < 3; turn++) {
      assert.strictEqual(one.evaluateAudit(record({ list }))._tag, "NotMatched")
    }
  })

  it("counts failures that rules swallow, more than values", () => {
    const swallowing = `(${"audit.nosuch == 1 || ".repeat(150)}true) && false`
    const rules = Array.from({ length: 128 }, () => ({ match: swallowing, summary: "x" }))
    const evaluation = policySet([deploymentPolicy(rules)]).evaluateAudit(record())
    assert.strictEqual(evaluation._tag, "Failed")
    assert.match((evaluation as Failed).cause, /^evaluation budget exceeded/)
  })

  it("holds for Events too", () => {
    const policies = policySet([deploymentPolicy([], costly("event.deprecatedSource"))])
    const evaluation = policies.evaluateEvent(event({ deprecatedSource: { component: "x", list } }), "added")
    assert.strictEqual(evaluation._tag, "Failed")
    assert.match((evaluation as Failed).cause, /^evaluation budget exceeded/)
  })

  it("is a hundred times what the sample policies need for the recorded data", () => {
    const policies = policySet(samplePolicies())
    const work = [
      ...recordedLines("audit-events.jsonl.gz").map((line) => {
        policies.evaluateAudit(
          Result.getOrThrow(auditRecordFrom(line, { cluster: "dev", defaultTenant: platformTenant }))
        )
        return workDone()
      }),
      ...recordedLines("kube-events.jsonl.gz").map((line) => {
        policies.evaluateEvent(eventOf(JSON.parse(line)), "added")
        return workDone()
      })
    ]
    assert.isAbove(Math.max(...work), 10)
    assert.isBelow(Math.max(...work), recordWorkMax / 100)
  })
})
