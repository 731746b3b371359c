import { gunzipSync } from "node:zlib"
import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import type { AuditRecord } from "../../src/domain/AuditRecord.ts"
import { activityLine, auditLogLine, insertToken, versionOf } from "../../src/store/rows.ts"
import { activityRow } from "./storeLayer.ts"

describe("versionOf", () => {
  it("puts the source's order above the stream's sequence", () => {
    assert.strictEqual(versionOf(0n, 7), "7")
    // 2^64 = 18446744073709551616
    assert.strictEqual(versionOf(1n, 0), "18446744073709551616")
    assert.strictEqual(versionOf(1n, 5), "18446744073709551621")
    assert.strictEqual(
      versionOf(2n ** 64n - 1n, Number.MAX_SAFE_INTEGER),
      String(2n ** 128n - 2n ** 64n + 2n ** 53n - 1n)
    )
    assert.strictEqual(versionOf(-1n, 5), "5")
  })
})

describe("insertToken", () => {
  const [one, two] = [activityRow({ origin: "1", sequence: 1 }), activityRow({ origin: "2", sequence: 2 })]
  it("is the same for the same rows, another for others", () => {
    assert.strictEqual(insertToken([one, two]), insertToken([activityRow({ origin: "1", sequence: 1 }), two]))
    const tokens = [[one, two], [one], [two], [two, one], [activityRow({ origin: "1", sequence: 3 }), two]].map(
      insertToken
    )
    assert.strictEqual(new Set(tokens).size, 5)
  })
})

describe("auditLogLine", () => {
  it("keeps the record's bytes and times as they were sent", () => {
    const json = gunzipSync(readFileSync(new URL("../data/audit-events.jsonl.gz", import.meta.url)))
      .toString()
      .split("\n")[0]!
    const record: AuditRecord = {
      key: "e8c8a41c-b3db-5888-8f30-5852bc956004",
      cluster: "c1",
      tenant: { type: "Project", name: "p" },
      auditID: "a",
      stage: "ResponseComplete",
      level: "Metadata",
      verb: "create",
      requestURI: "/api",
      requestReceivedTimestamp: "2026-11-21T10:00:00.123456Z",
      user: { username: "alice", uid: "u1" },
      userAgent: "kubectl",
      sourceIP: "10.0.0.1",
      objectRef: {
        apiGroup: "",
        apiVersion: "v1",
        resource: "pods",
        subresource: "",
        namespace: "n",
        name: "web",
        uid: "o1"
      },
      hasObjectRef: true,
      statusCode: 201,
      dryRun: true,
      json,
      body: {}
    }
    const line = auditLogLine(record, 42)
    assert.strictEqual(line.ver, "42")
    assert.isTrue(line.line.endsWith(`,"json":${json}}`))
    assert.deepStrictEqual(JSON.parse(line.line), {
      id: "e8c8a41c-b3db-5888-8f30-5852bc956004",
      ver: "42",
      seq: "42",
      ts: "2026-11-21T10:00:00.123456Z",
      cluster: "c1",
      tenant_type: "Project",
      tenant_name: "p",
      audit_id: "a",
      stage: "ResponseComplete",
      level: "Metadata",
      user: "alice",
      user_uid: "u1",
      verb: "create",
      api_group: "",
      resource: "pods",
      subresource: "",
      namespace: "n",
      resource_name: "web",
      object_uid: "o1",
      status_code: 201,
      dry_run: 1,
      user_agent: "kubectl",
      source_ip: "10.0.0.1",
      json: JSON.parse(json)
    })
    // As an object they would be lost.
    const withBlanks = ` ${json}\n`
    assert.strictEqual(JSON.parse(auditLogLine({ ...record, json: withBlanks }, 42).line).json, withBlanks)
  })
})

describe("activityLine", () => {
  const message = {
    cluster: "c",
    tenant: { type: "Project", name: "p" },
    mark: "added",
    order: 0n,
    sequence: 1
  } as const
  it("a body that is no activity is a failure with a sentence, not an exception", () => {
    for (const json of [
      "",
      "{",
      "null",
      "[]",
      '{"metadata":{"uid":"x"},"spec":{}}',
      '{"metadata":{"uid":"e8c8a41c-b3db-5888-8f30-5852bc956004"}}'
    ]) {
      assert.isTrue(Result.isFailure(activityLine({ ...message, json })), json)
    }
  })

  it("the last sight is the time itself where the activity names none", () => {
    const line = JSON.parse(activityRow({ origin: "1", sequence: 1, timestamp: "2026-11-21T10:00:00.123456Z" }).line)
    assert.strictEqual(line.last_ts, "2026-11-21T10:00:00.123456Z")
  })
})
