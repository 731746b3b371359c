import { assert, describe, it } from "@effect/vitest"
import { Result, Stream } from "effect"
import type { ActivityPolicy } from "../../src/domain/ActivityPolicy.ts"
import type { Discovery } from "../../src/process/PolicyCache.ts"
import { mainResourcesOnly, policySetOf, previewOf, verbsOf } from "../../src/process/Preview.ts"
import { deploymentPolicy, event, policySet, record } from "./scenarios.ts"

const discovery: Discovery = { kindOf: () => undefined, annotationsOf: () => undefined, changes: Stream.empty }

const previewed = (policy: ActivityPolicy, known = discovery) => Result.getOrThrow(previewOf(policy, known))

describe("a preview", () => {
  it("tells what the evaluator tells, and of each rule what became of it", () => {
    const policy = deploymentPolicy([
      { name: "any", outcome: "Failure", match: "true", summary: "x" },
      { name: "sub", match: "audit.verb == 'delete'", summary: "x" },
      { name: "created", match: "audit.verb == 'create'", summary: "{{ kind }}" },
      { name: "late", match: "true", summary: "x" }
    ])
    const { evaluation, rules } = previewed(policy).ofAudit(record())
    assert.deepStrictEqual(evaluation, policySet([policy]).evaluateAudit(record()))
    assert.deepStrictEqual(
      rules.map(({ name, reason, result }) => [name, result, reason ?? ""]),
      [
        ["any", "NotAsked", "the rule is for the outcome Failure, the request ended in Success"],
        ["sub", "NotMatched", ""],
        ["created", "Matched", ""],
        ["late", "NotAsked", "rule created won before it"]
      ]
    )
  })

  it("a failure has its place; rules that do not mention a subresource are not asked about it", () => {
    const policy = deploymentPolicy([
      { name: "plain", match: "true", summary: "x" },
      { name: "bad", match: "audit.objectRef.subresource == audit.nothing", summary: "x" },
      { name: "late", match: "true", summary: "x" }
    ])
    const status = record({
      objectRef: { resource: "deployments", apiGroup: "apps", subresource: "status", name: "web" }
    })
    const { rules } = previewed(policy).ofAudit(status)
    assert.deepStrictEqual(
      rules.map(({ position, reason, result }) => [result, position ?? reason]),
      [
        ["NotAsked", "the record is about the subresource status, which the rule does not mention"],
        ["Failed", { expression: "match", line: 1, column: 38 }],
        ["NotAsked", "rule bad failed before it"]
      ]
    )
  })

  it("nothing is asked about another kind", () => {
    const policy = deploymentPolicy([], [{ name: "all", match: "true", summary: "x" }])
    const node = event({ regarding: { kind: "Node", apiVersion: "v1", name: "n" } })
    assert.deepStrictEqual(previewed(policy).ofEvent(node).rules, [
      { type: "event", index: 0, name: "all", result: "NotAsked", reason: "it is about another kind than the policy" }
    ])
  })

  it("labels are the policy's, else the kind's own", () => {
    const policy = deploymentPolicy([])
    const annotated: Discovery = {
      ...discovery,
      annotationsOf: () => ({
        "activity.miloapis.com/kind-label": "App",
        "activity.miloapis.com/kind-label-plural": "Apps!"
      })
    }
    assert.deepStrictEqual(previewed(policy, annotated).label, { label: "App", plural: "Apps!" })
    const named = { ...policy, spec: { ...policy.spec, kindLabel: "service" } }
    assert.deepStrictEqual(previewed(named, annotated).label, { label: "service", plural: "services" })
  })
})

describe("what the store may leave out", () => {
  const policiesOf = (...matches: ReadonlyArray<string>) =>
    policySetOf([deploymentPolicy(matches.map((match) => ({ match, summary: "x" })))], discovery)

  it("verbs that no rule can match, as far as all rules name theirs", () => {
    assert.deepStrictEqual(
      verbsOf(policiesOf("audit.verb == 'create'", "audit.verb in ['update', 'create']"))?.toSorted(),
      ["create", "update"]
    )
    assert.isUndefined(verbsOf(policiesOf("audit.verb == 'create'", "true")))
  })

  it("subresources, where no rule but scale's mentions them", () => {
    assert.isTrue(mainResourcesOnly(policiesOf("true", "audit.objectRef.subresource == 'scale'")))
    assert.isFalse(mainResourcesOnly(policiesOf("audit.objectRef.subresource == 'status'")))
    assert.isFalse(mainResourcesOnly(policiesOf("audit.objectRef.subresource != ''")))
  })
})
