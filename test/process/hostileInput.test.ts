/** Whatever a source sends and whatever a policy's author writes, evaluation answers with a value. */
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import fc from "fast-check"
import { activityFilterFields } from "../../src/cel/activityFilterFields.ts"
import { parseFilter, predicateFrom } from "../../src/cel/Filter.ts"
import type { Json, JsonObject } from "../../src/domain/AuditRecord.ts"
import { auditRecordFrom } from "../../src/normalise/auditRecordFrom.ts"
import { kubernetesEventFrom } from "../../src/normalise/kubernetesEventFrom.ts"
import { policyProblems } from "../../src/process/Preview.ts"
import {
  deploymentCreated,
  deploymentPolicy,
  deploymentScaledEvent,
  policySet,
  samplePolicies,
  seedPolicy
} from "./scenarios.ts"

const tenant = { type: "Platform", name: "" }
const policies = policySet([...samplePolicies(), { ...seedPolicy, metadata: { name: "seed", generation: 1 } }])

/** JSON with names that mean something to us, or to JavaScript. */
const json: fc.Arbitrary<Json> = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    fc.constantFrom<Json>(null, true, 0, 1.5, "", "Status", "Deployment", "apps/v1", "{{ x }}", "__proto__"),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(
      fc.constantFrom("name", "kind", "metadata", "uid", "namespace", "apiVersion", "items", "toString", "spec", "x"),
      tie("value"),
      { maxKeys: 4 }
    )
  )
})).value

const changed = (base: JsonObject): fc.Arbitrary<JsonObject> =>
  fc.dictionary(fc.constantFrom(...Object.keys(base)), json, { maxKeys: 4 }).map((changes) => ({ ...base, ...changes }))

describe("hostile input", () => {
  it("no audit record makes reading or evaluating throw", () => {
    fc.assert(
      fc.property(changed(deploymentCreated), (body) => {
        const read = auditRecordFrom(JSON.stringify(body), { cluster: "dev", defaultTenant: tenant })
        if (Result.isFailure(read)) return
        const evaluation = policies.evaluateAudit(read.success)
        if (evaluation._tag === "Matched") assert.strictEqual(evaluation.json, JSON.stringify(evaluation.activity))
      }),
      { numRuns: 2_000 }
    )
  })

  it("no Event makes reading or evaluating throw", () => {
    fc.assert(
      fc.property(changed(deploymentScaledEvent), (body) => {
        const read = kubernetesEventFrom(body, { cluster: "dev", tenant })
        if (Result.isSuccess(read)) policies.evaluateEvent(read.success, "added")
      }),
      { numRuns: 2_000 }
    )
  })

  const celText = fc.string({
    unit: fc.constantFrom(
      ..."audit.verb|event|actor|link(|{{|}}|'|\"|==|&&|||!|(|)|[|]|{|}|,|.|?|:|in|has(|matches(|map(|1|x| |\n|\\|😀".split(
        "|"
      )
    ),
    maxLength: 20
  })

  it("no expression makes admission throw", () => {
    fc.assert(
      fc.property(celText, celText, (match, summary) => {
        policyProblems(deploymentPolicy([{ match, summary }], [{ match, summary }]))
      }),
      { numRuns: 3_000 }
    )
  })

  it("no filter makes parsing or answering throw", () => {
    const filterText = fc.string({
      unit: fc.constantFrom(
        ..."spec.summary|spec.statusCode|spec.timestamp|spec|'a'|1|timestamp('2026-01-01T00:00:00Z')| == | < | in |[|]|(|)|!| && | || |.contains(|true|-".split(
          "|"
        )
      ),
      maxLength: 12
    })
    fc.assert(
      fc.property(filterText, changed(deploymentCreated), (source, resource) => {
        const parsed = parseFilter(source, activityFilterFields)
        if (Result.isSuccess(parsed)) predicateFrom(parsed.success)(resource)
      }),
      { numRuns: 3_000 }
    )
  })
})
