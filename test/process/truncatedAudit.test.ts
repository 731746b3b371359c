import { assert, describe, it } from "@effect/vitest"
import type { PolicyRule } from "../../src/domain/ActivityPolicy.ts"
import type { Json } from "../../src/domain/AuditRecord.ts"
import { deploymentPolicy, policySet, record } from "./scenarios.ts"

/** Without its bodies, as kube-apiserver's truncation leaves a record. */
const truncated = (changes: { readonly [name: string]: Json | undefined } = {}) =>
  record({
    requestObject: undefined,
    responseObject: undefined,
    annotations: { "audit.k8s.io/truncated": "true" },
    ...changes
  })

const evaluated = (rules: ReadonlyArray<PolicyRule>, of = truncated()) => {
  const evaluation = policySet([deploymentPolicy(rules)]).evaluateAudit(of)
  return evaluation._tag === "Matched" ? evaluation.activity.spec.summary : evaluation._tag
}

const updated: PolicyRule = {
  match: "audit.verb in ['create', 'update', 'patch']",
  summary: "{{ actor }} changed {{ link(kind + ' ' + audit.objectRef.name, audit.responseObject) }}",
  outcome: "Any"
}

describe("a record without its bodies", () => {
  it("is told as any other where no rule asks for them", () => {
    assert.strictEqual(evaluated([updated]), "alice@example.com changed Deployment web")
  })

  const cases: ReadonlyArray<readonly [what: string, rule: PolicyRule]> = [
    [
      "a summary that quotes one",
      { match: "true", summary: "{{ actor }} set {{ audit.requestObject.spec.replicas }}" }
    ],
    [
      "a summary that would tell of what is missing",
      { match: "true", summary: "{{ has(audit.requestObject.spec) ? 'set' : 'cleared' }}" }
    ],
    ["a match that fails for want of one", { match: "audit.requestObject.spec.paused == true", summary: "paused" }],
    [
      "a match that takes the absence for a fact",
      { match: "!has(audit.responseObject.spec)", summary: "{{ actor }} emptied it" }
    ]
  ]
  for (const [what, rule] of cases) {
    it(`is told without details by ${what}`, () => {
      assert.strictEqual(evaluated([rule, updated]), "alice@example.com created Deployment web (details unavailable)")
      assert.notInclude(evaluated([rule, updated], record()), "details unavailable")
    })
  }

  it("goes on to the next rule where one that asks for bodies does not match", () => {
    const rule = { match: "has(audit.requestObject.spec) && audit.requestObject.spec.paused", summary: "paused" }
    assert.strictEqual(evaluated([rule, updated]), "alice@example.com changed Deployment web")
  })

  it("of an object whose name only its body told has no name, and no gap in its text", () => {
    const nameless = truncated({
      objectRef: { apiGroup: "apps", apiVersion: "v1", resource: "deployments", namespace: "team-1" }
    })
    assert.strictEqual(evaluated([updated], nameless), "alice@example.com created Deployment (details unavailable)")
  })

  it("of a refused request says what was tried", () => {
    const refused = truncated({ responseStatus: { code: 403 }, verb: "patch" })
    const rule: PolicyRule = { match: "true", summary: "{{ audit.responseObject.message }}", outcome: "Any" }
    assert.strictEqual(
      evaluated([rule], refused),
      "alice@example.com tried to update Deployment web (details unavailable)"
    )
  })

  it("links to its object", () => {
    const evaluation = policySet([deploymentPolicy([cases[0]![1]])]).evaluateAudit(truncated())
    assert.strictEqual(evaluation._tag, "Matched")
    if (evaluation._tag !== "Matched") return
    const { links, resource } = evaluation.activity.spec
    assert.deepStrictEqual(
      links?.map(({ marker, start }) => [marker, start]),
      [["Deployment web", 26]]
    )
    assert.deepStrictEqual(links?.[0]?.resource, resource)
  })

  it("that fails for another reason is a dead letter as any other", () => {
    assert.strictEqual(evaluated([{ match: "audit.objectRef.colour == 'red'", summary: "red" }]), "Failed")
  })
})
