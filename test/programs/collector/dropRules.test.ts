import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { batchFrom } from "../../../src/programs/collector/batch.ts"
import { dropRulesFrom, namedRules } from "../../../src/programs/collector/dropRules.ts"
import { platformTenant } from "../../../src/domain/Tenant.ts"
import { auditRecordLines } from "../../support/recordedData.ts"

const rules = (text: string) => Result.getOrThrow(dropRulesFrom(text))

const batchWith = (drop: string, items: ReadonlyArray<string>) =>
  batchFrom(items, {
    cluster: "local",
    defaultTenant: platformTenant,
    stages: new Set(["ResponseComplete"]),
    messageSizeBytesMax: 1024 * 1024,
    drop: rules(drop)
  })

const record = (change: object): string =>
  JSON.stringify({
    auditID: "a",
    stage: "ResponseComplete",
    verb: "get",
    requestURI: "/api/v1/nodes/n1",
    user: { username: "system:node:n1" },
    objectRef: { resource: "nodes", name: "n1" },
    requestReceivedTimestamp: "2026-11-20T15:01:30.931206Z",
    ...change
  })

const lease = record({ verb: "update", objectRef: { resource: "leases", apiGroup: "coordination.k8s.io" } })
const otherLease = record({ verb: "update", objectRef: { resource: "leases", apiGroup: "hotel.example.com" } })
const kubeletRead = record({})
const kubeletWrite = record({ verb: "patch" })
const exec = record({ verb: "create", user: { username: "bob" }, objectRef: { resource: "pods", subresource: "exec" } })

describe("drop rules", () => {
  const all = [lease, otherLease, kubeletRead, kubeletWrite, exec]
  const cases: ReadonlyArray<{ readonly drop: string; readonly dropped: ReadonlyArray<readonly [string, number]> }> = [
    { drop: "", dropped: [] },
    { drop: "leases", dropped: [["leases", 1]] },
    {
      drop: "leases; kubelet-reads",
      dropped: [
        ["leases", 1],
        ["kubelet-reads", 1]
      ]
    },
    { drop: "resource=leases.*", dropped: [["resource=leases.*", 2]] },
    { drop: "user=system:node:* verb=patch|update", dropped: [["user=system:node:* verb=patch|update", 3]] },
    { drop: "resource=pods/exec", dropped: [["resource=pods/exec", 1]] },
    { drop: "resource=pods", dropped: [] },
    { drop: "uri=/api/v1/nodes/*", dropped: [["uri=/api/v1/nodes/*", 5]] },
    { drop: "resource=pod.", dropped: [] }
  ]
  for (const { drop, dropped } of cases) {
    it(`"${drop}" drops ${JSON.stringify(dropped)}, and the rest goes on`, () => {
      const batch = batchWith(drop, all)
      const count = dropped.reduce((sum, [, times]) => sum + times, 0)
      assert.deepStrictEqual([...batch.dropped], [...dropped])
      assert.strictEqual(batch.filtered, count)
      assert.strictEqual(batch.messages.length, all.length - count)
    })
  }

  it("of the recorded records, the names drop what they say", () => {
    const batch = batchWith(Object.keys(namedRules).join(";"), auditRecordLines())
    for (const message of batch.messages) {
      const { objectRef, verb } = JSON.parse(Buffer.from(message.body).toString())
      assert.notInclude(["get", "list", "watch"], verb)
      assert.notInclude(["leases", "endpoints", "endpointslices", "events"], objectRef?.resource)
    }
    assert.isAbove(batch.messages.length, 0)
  })

  it("that name no field, or nothing to compare with, are refused", () => {
    for (const text of ["lease", "verb", "verb=", "=get", "colour=red", "verb=get;nonsense"]) {
      assert.isTrue(Result.isFailure(dropRulesFrom(text)), text)
    }
  })
})
