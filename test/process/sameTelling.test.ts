/** What need not be asked twice: every answer that is taken over is the one that would have been given. */
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import type { ActivityPolicy, ActivityPolicySpec, PolicyRule } from "../../src/domain/ActivityPolicy.ts"
import type { JsonObject } from "../../src/domain/AuditRecord.ts"
import { auditRecordFrom } from "../../src/normalise/auditRecordFrom.ts"
import { kubernetesEventFrom } from "../../src/normalise/kubernetesEventFrom.ts"
import { sameTelling } from "../../src/process/sameTelling.ts"
import { policySet, recordedLines, samplePolicies } from "./scenarios.ts"

const cluster = "recorded"
const tenant = { type: "Platform", name: "" }

const records = recordedLines("audit-events.jsonl.gz").map((line) =>
  Result.getOrThrow(auditRecordFrom(line, { cluster, defaultTenant: tenant }))
)
const events = recordedLines("kube-events.jsonl.gz").map((line) => {
  const source: JsonObject = JSON.parse(line)
  return Result.getOrThrow(kubernetesEventFrom(source, { cluster, tenant }))
})

type Change = (spec: ActivityPolicySpec) => ActivityPolicySpec

const rules =
  (change: (rules: ReadonlyArray<PolicyRule>) => ReadonlyArray<PolicyRule>): Change =>
  (spec) => ({ ...spec, auditRules: change(spec.auditRules ?? []), eventRules: change(spec.eventRules ?? []) })

const at = (index: number, change: (rule: PolicyRule) => PolicyRule) =>
  rules((all) => all.map((rule, place) => (place === index ? change(rule) : rule)))

const changes: Readonly<Record<string, Change>> = {
  nothing: (spec) => spec,
  "the first summary": at(0, (rule) => ({ ...rule, summary: `${rule.summary}!` })),
  "the second match": at(1, (rule) => ({ ...rule, match: `(${rule.match})` })),
  "a rule that fails": at(1, (rule) => ({ ...rule, match: `size(actor) / 0 == 1 || ${rule.match}` })),
  "an outcome": (spec) => ({
    ...spec,
    auditRules: spec.auditRules?.map((rule, index) => (index === 1 ? { ...rule, outcome: "Failure" } : rule)) ?? []
  }),
  "one rule less": rules((all) => all.slice(1)),
  "the last rule less": rules((all) => all.slice(0, -1)),
  "one more at the end": rules((all) => [...all, { name: "rest", match: "true", summary: "{{ actor }} did it" }]),
  "another order": rules((all) => all.toReversed()),
  "another name": at(0, (rule) => ({ ...rule, name: "renamed" }))
}

describe("what two sets of policies say alike", () => {
  // Of each kind there is another policy before and one behind, which tells what is left.
  const neighbours = (policy: ActivityPolicy, name: string, rule: PolicyRule): ActivityPolicy => ({
    ...policy,
    metadata: { ...policy.metadata, name },
    spec: { resource: policy.spec.resource, auditRules: [rule], eventRules: [{ ...rule, match: "false" }] }
  })
  const scale: PolicyRule = { match: "audit.objectRef.subresource == 'scale'", summary: "{{ actor }} scaled" }
  const rest: PolicyRule = { match: "audit.verb == 'get'", summary: "{{ actor }} looked" }

  it.each(Object.entries(changes))("%s", (_, change) => {
    let taken = 0
    for (const policy of samplePolicies()) {
      const others = [neighbours(policy, "0-before", scale), neighbours(policy, "zz-behind", rest)]
      const before = policySet([...others, policy])
      const after = policySet([...others, { ...policy, spec: change(policy.spec) }])
      const isSame = sameTelling(policy.metadata.name, before, after)
      for (const record of records) {
        const said = after.evaluateAudit(record)
        if (!isSame("audit", said)) continue
        assert.deepStrictEqual(said, before.evaluateAudit(record))
        if (said._tag === "Matched") taken += 1
      }
      for (const event of events) {
        const said = after.evaluateEvent(event, "added")
        if (isSame("event", said)) assert.deepStrictEqual(said, before.evaluateEvent(event, "added"))
      }
    }
    assert.isAbove(taken, 0)
  })

  it("of a policy that is new, or calls its kind otherwise, nothing is taken over", () => {
    for (const policy of samplePolicies()) {
      const called = { ...policy, spec: { ...policy.spec, kindLabel: "thing" } }
      for (const before of [[], [called]]) {
        const after = policySet([policy])
        const isSame = sameTelling(policy.metadata.name, policySet(before), after)
        assert.isFalse(records.some((record) => isSame("audit", after.evaluateAudit(record))))
      }
    }
  })
})
