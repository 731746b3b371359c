import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import type { AuditRecord, JsonObject } from "../../src/domain/AuditRecord.ts"
import { platformTenant } from "../../src/domain/Tenant.ts"
import { auditRecordFrom } from "../../src/normalise/auditRecordFrom.ts"
import type { Evaluation, Matched } from "../../src/process/PolicySet.ts"
import { policyProblems } from "../../src/process/Preview.ts"
import {
  deploymentCreated,
  deploymentPolicy,
  deploymentScaledEvent,
  eventOf,
  policySet,
  recordOf
} from "./scenarios.ts"

const causeOf = (evaluation: Evaluation): string => (evaluation._tag === "Failed" ? evaluation.cause : evaluation._tag)

describe("keys that mean something to JavaScript", () => {
  const keys = ["constructor", "__proto__", "prototype", "toString", "hasOwnProperty", "valueOf"]
  /** A record whose object has `key` at its root, in its metadata and as a label. */
  const recordWith = (key: string): AuditRecord => {
    const body = JSON.stringify({
      ...deploymentCreated,
      MARK: "hide-me",
      responseObject: {
        kind: "Deployment",
        apiVersion: "apps/v1",
        MARK: "hide-me",
        metadata: { name: "other", uid: "dep-2", MARK: { a: "b" }, labels: { MARK: "hide-me", x: "1" } },
        spec: { template: [{ MARK: 1 }, { MARK: 2 }] }
      }
    })
    return recordOf(JSON.parse(body.replaceAll("MARK", key)))
  }

  for (const key of keys) {
    it(`${key} is a key like any other`, () => {
      const at = "audit.responseObject"
      for (const match of [
        `audit.verb == 'create' && audit.${key} == 'hide-me'`,
        `${at}.${key} == 'hide-me' && ${at}['${key}'] == 'hide-me'`,
        `has(${at}.${key}) && has(${at}.metadata.labels.${key}) && has(${at}.metadata.labels.x)`,
        `!has(audit.requestObject.${key}) && !('${key}' in audit.requestObject)`,
        `'${key}' in ${at}.metadata.labels && 'x' in ${at}.metadata.labels && !('y' in ${at}.metadata.labels)`,
        `${at}.metadata.labels.${key} == 'hide-me' && ${at}.metadata.labels.x == '1' && size(${at}.metadata.labels) == 2`,
        `${at}.metadata.labels.exists(name, ${at}.metadata.labels[name] == 'hide-me')`,
        `${at}.metadata.${key}.a == 'b' && ${at}.metadata.labels == ${at}.metadata.labels`,
        `${at}.spec.template[1].${key} == 2 && ${at}.spec.template.indexOf(${at}.spec.template[1]) == 1`
      ]) {
        const evaluation = policySet([deploymentPolicy([{ match, summary: "x" }])]).evaluateAudit(recordWith(key))
        assert.strictEqual(evaluation._tag, "Matched", `${match}: ${causeOf(evaluation)}`)
      }
    })

    it(`${key} is shown, and does not hide what a link means`, () => {
      const rule = {
        match: "true",
        summary:
          "{{ link(audit.objectRef.name, audit.responseObject) }} {{ audit.responseObject.metadata.labels }} {{ '%s'.format([audit.responseObject.spec.template]) }}"
      }
      const evaluation = policySet([deploymentPolicy([rule])]).evaluateAudit(recordWith(key))
      assert.strictEqual(evaluation._tag, "Matched", causeOf(evaluation))
      const { spec } = (evaluation as Matched).activity
      assert.strictEqual(spec.summary, `web {"${key}":"hide-me","x":"1"} {"${key}":1}, {"${key}":2}`)
      assert.deepStrictEqual(spec.links?.[0]?.resource, {
        apiGroup: "apps",
        apiVersion: "v1",
        kind: "Deployment",
        name: "other",
        uid: "dep-2"
      })
    })

    it(`${key} of an Event is a key like any other`, () => {
      const body = JSON.stringify({
        ...deploymentScaledEvent,
        metadata: { ...(deploymentScaledEvent["metadata"] as JsonObject), labels: { MARK: "hide-me" } }
      })
      const rule = { match: `event.metadata.labels.${key} == 'hide-me'`, summary: "{{ event.metadata.labels }}" }
      const evaluation = policySet([deploymentPolicy([], [rule])]).evaluateEvent(
        eventOf(JSON.parse(body.replaceAll("MARK", key))),
        "added"
      )
      assert.strictEqual(evaluation._tag, "Matched", causeOf(evaluation))
      assert.strictEqual((evaluation as Matched).activity.spec.summary, `{"${key}":"hide-me"}`)
    })
  }

  it("may be written with escapes", () => {
    const json = JSON.stringify(recordWith("constructor").body).replaceAll("constructor", "\\u0063onstructor")
    const escaped = Result.getOrThrow(auditRecordFrom(json, { cluster: "dev", defaultTenant: platformTenant }))
    const rule = { match: "audit.responseObject.metadata.labels.x == '1'", summary: "x" }
    assert.strictEqual(policySet([deploymentPolicy([rule])]).evaluateAudit(escaped)._tag, "Matched")
  })

  it("that a map of a rule's own would lose are refused", () => {
    for (const key of ["constructor", "__proto__", "prototype"]) {
      const [problem] = policyProblems(deploymentPolicy([{ match: `{'${key}': 1}.size() == 1`, summary: "x" }]))
      assert.match(problem?.message ?? "accepted", new RegExp(`key ${key}`))
    }
  })
})
