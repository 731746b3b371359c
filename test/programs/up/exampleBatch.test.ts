import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { platformTenant } from "../../../src/domain/Tenant.ts"
import { batchFrom } from "../../../src/programs/collector/batch.ts"
import { exampleBatchText } from "../../../src/programs/up/exampleBatch.ts"
import { splitItems } from "../../../src/sources/collector/splitItems.ts"
import { auditRecordFrom } from "../../../src/normalise/auditRecordFrom.ts"
import { policySet, samplePolicies } from "../../process/scenarios.ts"

const now = Date.UTC(2031, 4, 6, 7, 8, 9, 10)

describe("the example batch", () => {
  it("is a list that the webhook takes, of now", () => {
    const split = splitItems(exampleBatchText(now))
    assert(Result.isSuccess(split))
    const batch = batchFrom(split.success.items, {
      cluster: "local",
      defaultTenant: platformTenant,
      stages: new Set(["ResponseComplete"]),
      messageSizeBytesMax: 1024 * 1024
    })
    assert.deepStrictEqual([batch.messages.length, batch.unreadable], [2, []])
    assert(
      split.success.items.every((item) => JSON.parse(item).requestReceivedTimestamp === "2031-05-06T07:08:09.010000Z")
    )
  })

  it("its HTTPProxy is told by the samples, its Widget by nobody yet", () => {
    const split = Result.getOrThrow(splitItems(exampleBatchText(now)))
    const policies = policySet(samplePolicies())
    const told = split.items.map((item) => {
      const record = Result.getOrThrow(auditRecordFrom(item, { cluster: "local", defaultTenant: platformTenant }))
      const evaluation = policies.evaluateAudit(record)
      return evaluation._tag === "Matched" ? evaluation.activity.spec.summary : evaluation._tag
    })
    assert.deepStrictEqual(told, ["dana@example.com created HTTP proxy api-gateway in default", "NotMatched"])
  })

  it("two of them are different facts", () => {
    const ids = (text: string) => JSON.parse(text).items.map((item: { auditID: string }) => item.auditID)
    assert.notDeepEqual(ids(exampleBatchText(now)), ids(exampleBatchText(now)))
  })
})
