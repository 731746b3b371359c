import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import type { ActivityPolicy, PolicyRule } from "../../src/domain/ActivityPolicy.ts"
import { compilePolicy } from "../../src/process/compilePolicy.ts"
import { policyProblems } from "../../src/process/Preview.ts"
import { deploymentPolicy, policyOf, samplePolicies, seedPolicy } from "./scenarios.ts"

const rule = (changes: { readonly [name: string]: unknown } = {}): PolicyRule =>
  // Clients send what they like.
  ({ name: "create", match: "audit.verb == 'create'", summary: "{{ actor }} created it", ...changes }) as PolicyRule

const problems = (...rules: ReadonlyArray<PolicyRule>) => policyProblems(deploymentPolicy(rules))

const fields = (...rules: ReadonlyArray<PolicyRule>) => problems(...rules).map(({ field }) => field)

describe("a policy", () => {
  it("with patterns that repeat too much, one or all together, is refused", () => {
    const matching = (pattern: string, count: number) =>
      rule({ match: Array.from({ length: count }, () => `audit.verb.matches('${pattern}')`).join(" || ") })
    assert.deepStrictEqual(fields(matching("(((a{9}){9}){9})", 20)), [])
    assert.match(problems(matching("((a{99}){10}){2}", 1))[0]?.message ?? "accepted", /repeats too much/)
    assert.match(problems(matching("(((a{10}){10}){10})", 20))[0]?.message ?? "accepted", /more than 20000 steps/)
  })

  it("of the seed and all samples may be admitted", () => {
    for (const policy of [seedPolicy, ...samplePolicies()]) {
      assert.deepStrictEqual(policyProblems(policy), [], policy.metadata.name)
    }
  })

  it("without rules may be admitted", () => {
    assert.deepStrictEqual(problems(), [])
    assert.deepStrictEqual(policyProblems(policyOf("x", { resource: { apiGroup: "", kind: "Pod" } })), [])
  })

  it("becomes rules with names, outcomes and what they look at", () => {
    const compiled = Result.getOrThrow(
      compilePolicy(
        deploymentPolicy(
          [
            { match: "true", summary: "x" },
            rule({ outcome: "Any" }),
            { match: "has(audit.objectRef.subresource)", summary: "x" }
          ],
          [{ match: "true", summary: "x" }]
        )
      )
    )
    assert.deepStrictEqual(
      [...compiled.auditRules, ...compiled.eventRules].map(({ name, outcome, mentionsSubresource }) => [
        name,
        outcome,
        mentionsSubresource
      ]),
      [
        ["audit-0", "Success", false],
        ["create", "Any", false],
        ["audit-2", "Success", true],
        ["event-0", "Success", false]
      ]
    )
    assert.strictEqual(compiled.plural, "deployments")
    assert.deepStrictEqual(compiled.label, { label: "Deployment", plural: "Deployments" })
  })

  it("needs a kind", () => {
    assert.deepStrictEqual(
      policyProblems(policyOf("x", { resource: { apiGroup: "apps", kind: "" } })).map(({ field }) => field),
      ["spec.resource.kind"]
    )
  })

  it("names its rules as DNS subdomains", () => {
    for (const name of ["a", "0", "a.b", "a-b.c-1", "a".repeat(253)])
      assert.deepStrictEqual(fields(rule({ name })), [], name)
    for (const name of ["A", "a_b", "-a", "a-", ".a", "a.", "a..b", "a b", "a".repeat(254)]) {
      assert.deepStrictEqual(fields(rule({ name })), ["spec.auditRules[0].name"], name)
    }
  })

  it("has each name once in a list", () => {
    const [problem] = problems(rule(), rule())
    assert.strictEqual(problem?.field, "spec.auditRules[1].name")
    assert.include(problem?.message, "spec.auditRules[0]")
    assert.deepStrictEqual(fields(rule(), rule({ name: "audit-0" }), rule({ name: undefined })), [])
    assert.deepStrictEqual(fields(rule({ name: "audit-1" }), rule({ name: undefined })), ["spec.auditRules[1].name"])
    assert.deepStrictEqual(
      policyProblems(deploymentPolicy([rule()], [{ name: "create", match: "true", summary: "x" }])),
      []
    )
  })

  it("points at the text that is wrong", () => {
    assert.deepStrictEqual(problems(rule(), rule({ name: "second", match: "audit.verb ==\n  verb" })), [
      {
        field: "spec.auditRules[1].match",
        message: "Unknown variable: verb",
        line: 2,
        column: 3,
        rule: "second"
      }
    ])
    assert.deepStrictEqual(problems(rule({ match: "audit.verb" })), [
      { field: "spec.auditRules[0].match", message: "it must be a bool, it is dyn", line: 1, column: 1, rule: "create" }
    ])
    assert.deepStrictEqual(fields(rule({ match: "" }), rule({ name: "b", match: "x(", summary: "{{" })), [
      "spec.auditRules[0].match",
      "spec.auditRules[1].match",
      "spec.auditRules[1].summary"
    ])
  })

  it("checks each list in its own environment", () => {
    const inEvents = policyProblems(deploymentPolicy([], [{ match: "audit.verb == 'x'", summary: "{{ audit.verb }}" }]))
    assert.deepStrictEqual(
      inEvents.map(({ field }) => field),
      ["spec.eventRules[0].match", "spec.eventRules[0].summary"]
    )
    assert.deepStrictEqual(
      policyProblems(deploymentPolicy([], [{ match: "event.reason == 'x'", summary: "{{ kind }} {{ kindPlural }}" }])),
      []
    )
  })

  it("knows three outcomes, for audit rules", () => {
    for (const outcome of ["Success", "Failure", "Any"]) assert.deepStrictEqual(fields(rule({ outcome })), [])
    assert.deepStrictEqual(fields(rule({ outcome: "success" })), ["spec.auditRules[0].outcome"])
    assert.deepStrictEqual(
      policyProblems(deploymentPolicy([], [{ match: "true", summary: "x", outcome: "Any" }])).map(({ field }) => field),
      ["spec.eventRules[0].outcome"]
    )
  })

  it("of any shape gets an answer", () => {
    for (const spec of [
      undefined,
      null,
      5,
      {},
      { resource: "x" },
      { resource: { apiGroup: 1, kind: [] } },
      { resource: { kind: "X" }, auditRules: {} },
      { resource: { kind: "X" }, auditRules: [null, 5, "x", [], {}] },
      { resource: { kind: "X" }, auditRules: [{ name: 1, match: 1, summary: {}, outcome: 5, description: [] }] },
      { resource: { kind: "X" }, auditRules: Array.from({ length: 1_000 }, () => ({ match: "true", summary: "x" })) }
    ])
      assert.isNotEmpty(policyProblems({ metadata: { name: "x" }, spec } as unknown as ActivityPolicy))
    assert.isNotEmpty(policyProblems({} as unknown as ActivityPolicy))
  })
})
