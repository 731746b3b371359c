/**
 * The sample policies over what a real cluster recorded. `test/data/golden-activities.tsv` holds every activity's name,
 * rule and sentence; each was read by a person. After a deliberate change: `UPDATE_GOLDEN=1 npx vitest run
 * test/process/recordedData.test.ts`, and read the difference.
 */
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { readFileSync, writeFileSync } from "node:fs"
import type { AuditRecord, JsonObject } from "../../src/domain/AuditRecord.ts"
import { auditRecordFrom } from "../../src/normalise/auditRecordFrom.ts"
import { kubernetesEventFrom } from "../../src/normalise/kubernetesEventFrom.ts"
import type { Failed, Matched } from "../../src/process/PolicySet.ts"
import { policySet, recordedLines, samplePolicies, seedPolicy } from "./scenarios.ts"

const cluster = "recorded"
const tenant = { type: "Platform", name: "" }
const golden = new URL("../data/golden-activities.tsv", import.meta.url)

const policies = policySet(samplePolicies())
const covered = new Set(policies.policies.map((policy) => `${policy.apiGroup}/${policy.plural}`))

const records = recordedLines("audit-events.jsonl.gz").map((line) =>
  Result.getOrThrow(auditRecordFrom(line, { cluster, defaultTenant: tenant }))
)
const audits = records.map((record) => ({ record, evaluation: policies.evaluateAudit(record) }))

const events = recordedLines("kube-events.jsonl.gz").map((line) => {
  const source: JsonObject = JSON.parse(line)
  const event = Result.getOrThrow(kubernetesEventFrom(source, { cluster, tenant }))
  return { event, evaluation: policies.evaluateEvent(event, "added") }
})

const evaluations = [...audits, ...events].map(({ evaluation }) => evaluation)
const matched = evaluations.filter((evaluation): evaluation is Matched => evaluation._tag === "Matched")
const failed = evaluations.filter((evaluation): evaluation is Failed => evaluation._tag === "Failed")

const isPerson = ({ user }: AuditRecord): boolean => user.username !== "" && !user.username.startsWith("system:")
const describeRecord = ({ verb, requestURI, statusCode }: AuditRecord): string => `${verb} ${requestURI} ${statusCode}`

describe("the sample policies over the recorded data", () => {
  it("fail for nothing", () => {
    assert.deepStrictEqual(failed, [])
    assert.isAbove(matched.length, 1_000)
  })

  it("tell every successful write of a covered kind by a person", () => {
    const writes = new Set(["create", "update", "patch", "delete", "deletecollection"])
    const untold = audits.filter(
      ({ record, evaluation }) =>
        isPerson(record) &&
        writes.has(record.verb) &&
        record.stage === "ResponseComplete" &&
        !record.dryRun &&
        record.statusCode >= 200 &&
        record.statusCode < 300 &&
        ["", "scale"].includes(record.objectRef.subresource) &&
        covered.has(`${record.objectRef.apiGroup}/${record.objectRef.resource}`) &&
        evaluation._tag !== "Matched"
    )
    assert.deepStrictEqual(
      untold.map(({ record }) => describeRecord(record)),
      []
    )
  })

  it("tell no dry run, no binding, no token request and no status update", () => {
    const told = audits.filter(
      ({ record, evaluation }) =>
        evaluation._tag === "Matched" &&
        (/dryRun=All/.test(record.requestURI) || ["binding", "token", "status"].includes(record.objectRef.subresource))
    )
    assert.deepStrictEqual(
      told.map(({ record }) => describeRecord(record)),
      []
    )
    assert.isTrue(audits.some(({ record }) => record.dryRun))
  })

  it("tell no refused request as if it had happened", () => {
    for (const { record, evaluation } of audits) {
      if (evaluation._tag !== "Matched" || record.statusCode < 400) continue
      assert.include(evaluation.activity.spec.summary, " could not ")
      assert.strictEqual(evaluation.activity.spec.outcome, "Failure")
    }
  })

  it("give one activity for each Event, whatever version it was read in", () => {
    assert.isTrue(events.every(({ evaluation }) => evaluation._tag === "Matched"))
    const names = new Map<string, string>()
    for (const { event, evaluation } of events) {
      if (evaluation._tag !== "Matched") continue
      const known = names.get(event.version)
      if (known !== undefined) assert.strictEqual(evaluation.json, known)
      names.set(event.version, evaluation.json)
    }
    const uids = new Set(events.map(({ event }) => event.uid))
    const activities = new Set(
      events.flatMap(({ evaluation }) => (evaluation._tag === "Matched" ? [evaluation.key] : []))
    )
    assert.strictEqual(activities.size, uids.size)
  })

  it("give sentences without holes", () => {
    for (const { activity } of matched) {
      const { summary, resource, links, outcome, verb } = activity.spec
      for (const hole of ["{{", "}}", "undefined", "null", "[object", "NaN", "  ", " ,", " :"]) {
        assert.notInclude(summary, hole)
      }
      assert.strictEqual(summary, summary.trim())
      // A create that is forbidden is refused before its body, with the name, is read.
      const named = outcome === "Success" && verb !== "deletecollection"
      if (named) assert.notStrictEqual(resource.name, "", summary)
      for (const { marker, start, end } of links ?? []) assert.strictEqual(summary.slice(start, end), marker)
    }
  })

  it("give each activity its own name", () => {
    const ofAudits = audits.flatMap(({ evaluation }) => (evaluation._tag === "Matched" ? [evaluation.key] : []))
    assert.strictEqual(new Set(ofAudits).size, ofAudits.length)
  })

  it("tell what the golden list says", () => {
    const lines = matched.map(({ activity: { metadata, spec } }) =>
      [metadata.name, `${spec.policy.name}/${spec.policy.rule}`, spec.summary].join("\t")
    )
    const text = [...new Set(lines)].map((line) => `${line}\n`).join("")
    if (process.env["UPDATE_GOLDEN"] !== undefined) writeFileSync(golden, text)
    assert.deepStrictEqual(text.split("\n"), readFileSync(golden, "utf8").split("\n"))
  })
})

describe("the seed's policy over the recorded HTTPProxies", () => {
  it("tells each write, and fails for none", () => {
    const seed = policySet([seedPolicy])
    const verbs: Record<string, number> = {}
    for (const record of records) {
      const evaluation = seed.evaluateAudit(record)
      assert.notStrictEqual(evaluation._tag, "Failed")
      if (evaluation._tag !== "Matched") continue
      verbs[record.verb] = (verbs[record.verb] ?? 0) + 1
      assert.match(evaluation.activity.spec.summary, /^alice@example\.com (created|updated|deleted) HTTP Proxy edge$/)
    }
    // 8 of the patches were of the subresource status, which the rules do not mention.
    assert.deepStrictEqual(verbs, { create: 6, delete: 7, patch: 9 })
  })
})
