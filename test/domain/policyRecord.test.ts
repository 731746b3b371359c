import { assert, describe, it } from "@effect/vitest"
import { policyRecords, withRuleNames } from "../../src/domain/policyRecord.ts"

const resource = { apiGroup: "apps", kind: "Deployment" }
const rule = (name?: string) => ({ ...(name === undefined ? {} : { name }), match: "true", summary: "x" })

describe("an ActivityPolicyRecord", () => {
  it("has a name for each rule: its place, or the next number that no other rule has", () => {
    const { auditRules, eventRules } = withRuleNames({
      resource,
      auditRules: [rule(), rule("audit-2"), rule(), rule(""), rule("create")],
      eventRules: [rule("event-1"), rule()]
    })
    const names = (rules: ReadonlyArray<{ readonly name?: string }> = []) => rules.map(({ name }) => name)
    assert.deepStrictEqual(names(auditRules), ["audit-0", "audit-2", "audit-3", "audit-4", "create"])
    assert.deepStrictEqual(names(eventRules), ["event-1", "event-2"])
  })

  it("is a policy and back again, but for apiVersion and kind, those of managedFields among them", () => {
    const text = "storage.activity.miloapis.com/v1alpha1 ActivityPolicyRecord"
    const managed = { manager: text, operation: "Update", fieldsV1: { "f:spec": {} } }
    const record = {
      apiVersion: "storage.activity.miloapis.com/v1alpha1",
      kind: "ActivityPolicyRecord",
      metadata: {
        name: "one",
        annotations: { note: text },
        managedFields: [{ ...managed, apiVersion: "storage.activity.miloapis.com/v1alpha1" }]
      },
      spec: { resource, auditRules: [rule("create")], kindLabel: text },
      status: { observedGeneration: 1 }
    }
    const policy = policyRecords.objectFrom(record, "activity.miloapis.com/v1")
    assert.deepStrictEqual(policy, {
      apiVersion: "activity.miloapis.com/v1",
      kind: "ActivityPolicy",
      metadata: { ...record.metadata, managedFields: [{ ...managed, apiVersion: "activity.miloapis.com/v1" }] },
      spec: record.spec,
      status: record.status
    })
    assert.deepStrictEqual(policyRecords.recordFrom(policy), record)
  })

  it("tells what kubectl applied as the policy that it was, and takes it back as it was stored", () => {
    const annotation = "kubectl.kubernetes.io/last-applied-configuration"
    const withText = (text: string) => ({ metadata: { name: "one", annotations: { [annotation]: text } } })
    const shown = (text: string) =>
      policyRecords.objectFrom(withText(text), "activity.miloapis.com/v1").metadata.annotations?.[annotation] ?? ""
    const kept = (text: string) => policyRecords.recordFrom(withText(text)).metadata?.annotations?.[annotation]
    // As kube-apiserver 1.34.4 wrote it.
    const rest =
      '"metadata":{"name":"one","resourceVersion":"228","uid":"38f08b22"},"spec":{"kindLabel":"{\\"apiVersion\\":\\"storage.activity.miloapis.com/v1alpha1\\""}}\n'
    const record = `{"apiVersion":"storage.activity.miloapis.com/v1alpha1","kind":"ActivityPolicyRecord",${rest}`
    assert.strictEqual(shown(record), `{"apiVersion":"activity.miloapis.com/v1","kind":"ActivityPolicy",${rest}`)
    assert.strictEqual(kept(shown(record)), record)
    for (const other of ["", "text", '{"apiVersion":"apps/v1","kind":"Deployment","metadata":{}}']) {
      assert.strictEqual(shown(other), other)
      assert.strictEqual(kept(other), other)
    }
  })

  it("of a part of a policy is that part", () => {
    assert.deepStrictEqual(policyRecords.recordFrom({ metadata: { name: "one" } }), {
      apiVersion: "storage.activity.miloapis.com/v1alpha1",
      kind: "ActivityPolicyRecord",
      metadata: { name: "one" }
    })
  })
})
