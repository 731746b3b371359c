import { assert, describe, it } from "@effect/vitest"
import { type Batch, batchFrom } from "../../../src/programs/collector/batch.ts"
import { platformTenant } from "../../../src/domain/Tenant.ts"
import { auditRecordLines } from "../../support/recordedData.ts"

const options = {
  cluster: "local",
  defaultTenant: platformTenant,
  stages: new Set(["ResponseComplete", "Panic"]),
  messageSizeBytesMax: 1024 * 1024
}

const record = (change: Readonly<Record<string, unknown>> = {}): string =>
  JSON.stringify({
    kind: "Event",
    apiVersion: "audit.k8s.io/v1",
    level: "RequestResponse",
    auditID: "7c0a9f6e-3a1c-4a55-9a7e-0f7a1d7b5b1e",
    stage: "ResponseComplete",
    requestURI: "/api/v1/namespaces/team/configmaps",
    verb: "create",
    user: { username: "alice@example.com" },
    objectRef: { resource: "configmaps", namespace: "team", name: "a", apiVersion: "v1" },
    responseStatus: { code: 201 },
    requestReceivedTimestamp: "2026-11-20T15:01:30.931206Z",
    stageTimestamp: "2026-11-20T15:01:30.935206Z",
    ...change
  })

const batch = (...items: ReadonlyArray<string>): Batch => batchFrom(items, options)

const idsOf = (read: Batch): ReadonlyArray<string> => read.messages.map((message) => message.id)

describe("batchFrom", () => {
  it("of the recorded records, 2,948 are kept and 92 are of a stage that is not", () => {
    const read = batch(...auditRecordLines())
    assert.strictEqual(read.messages.length, 2_948)
    assert.strictEqual(read.filtered, 92)
    assert.strictEqual(new Set(idsOf(read)).size, 2_948)
    assert.deepStrictEqual(read.unreadable, [])
  })

  it("with every stage kept, all 3,040 recorded records are", () => {
    const stages = new Set(["RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"])
    const read = batchFrom(auditRecordLines(), { ...options, stages })
    assert.strictEqual(new Set(idsOf(read)).size, 3_040)
  })

  it("the body is the record exactly as it was sent", () => {
    const odd = record().replace(`"code":201`, `"code" : 201.0`).replace("{", `{ "big": 12345678901234567890,`)
    assert.strictEqual(Buffer.from(batch(odd).messages[0]!.body).toString(), odd)
  })

  it("a trace is a header of every message, and no other part of one", () => {
    const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    const lines = auditRecordLines().slice(0, 50)
    const untraced = batchFrom(lines, options)
    const traced = batchFrom(lines, { ...options, traceparent })
    assert.isAbove(traced.messages.length, 10)
    assert.deepStrictEqual(
      traced.messages,
      untraced.messages.map((message) => ({ ...message, headers: { ...message.headers, traceparent } }))
    )
    for (const { headers } of untraced.messages) assert.deepStrictEqual(headers, { "Activity-Cluster": "local" })
  })

  it("three requests with one audit ID, and one whose audit ID is no UUID, are four facts", () => {
    const read = batch(
      record({ verb: "create" }),
      record({ verb: "delete" }),
      record({ verb: "create", requestReceivedTimestamp: "2026-11-20T15:01:31.000000Z" }),
      record({ auditID: "my request: 1" })
    )
    assert.strictEqual(new Set(idsOf(read)).size, 4)
  })

  it("the same record again is the same fact", () => {
    assert.deepStrictEqual(idsOf(batch(record())), idsOf(batch(record())))
  })

  it("what cannot be read is named with its place and kept; its neighbours go on", () => {
    const broken = [
      { item: "{", says: /JSON/ },
      { item: "1", says: /object/ },
      { item: record({ auditID: "" }), says: /auditID/ },
      { item: record({ stage: "Later" }), says: /stage/ },
      { item: record({ requestReceivedTimestamp: undefined, stageTimestamp: undefined }), says: /Timestamp/ },
      { item: record({ requestReceivedTimestamp: "yesterday", stageTimestamp: "today" }), says: /Timestamp/ }
    ]
    for (const { item, says } of broken) {
      const read = batch(record(), item, record({ verb: "delete" }))
      assert.strictEqual(read.messages.length, 2)
      assert.strictEqual(read.unreadable.length, 1)
      assert.strictEqual(read.unreadable[0]?.index, 1)
      assert.match(read.unreadable[0]?.reason ?? "", says)
      assert.strictEqual(Buffer.from(read.deadLetters[0]!.body).toString(), item)
      assert.strictEqual(read.deadLetters[0]?.subject, "dead.AUDIT%5FEVENTS.collector.unreadable._")
    }
  })

  it("a time in the future and keys like __proto__ are records like others", () => {
    const future = record({ requestReceivedTimestamp: "2099-01-01T00:00:00.000000Z" })
    const proto = record().replace("{", `{"__proto__":{"verb":"delete"},"constructor":1,`)
    const read = batch(future, proto)
    assert.strictEqual(read.messages.length, 2)
    assert.strictEqual(Buffer.from(read.messages[1]!.body).toString(), proto)
    assert.strictEqual(({} as Record<string, unknown>)["verb"], undefined)
  })

  it("an audit ID of more than 1 KiB is cut and counted; what differs in its first KiB is another fact", () => {
    const read = batch(
      record({ auditID: `a${"x".repeat(5_000)}` }),
      record({ auditID: `b${"x".repeat(5_000)}` }),
      record()
    )
    assert.strictEqual(read.auditIDsCut, 2)
    assert.strictEqual(new Set(idsOf(read)).size, 3)
  })

  it("a record larger than a message loses its bodies and says so", () => {
    const large = record({
      requestObject: { data: "x".repeat(600_000) },
      responseObject: { data: "y".repeat(600_000) }
    })
    const read = batch(large)
    assert.strictEqual(read.truncated, 1)
    const kept = JSON.parse(Buffer.from(read.messages[0]!.body).toString())
    assert.strictEqual(kept.annotations["audit.k8s.io/truncated"], "true")
    assert.strictEqual(kept.requestObject, undefined)
    assert.strictEqual(kept.user.username, "alice@example.com")
    // Its key does not depend on what was cut.
    assert.deepStrictEqual(idsOf(read), idsOf(batch(record())))
  })

  it("one that is too large without its bodies too, or too deep to be cut, is kept apart; its neighbours go on", () => {
    const deep = record({ requestObject: "x".repeat(1_100_000) }).replace(
      "{",
      `{"deep":${"[".repeat(100_000)}${"]".repeat(100_000)},`
    )
    for (const item of [record({ userAgent: "x".repeat(1_100_000) }), deep]) {
      const read = batch(record(), item, record({ verb: "delete" }))
      assert.strictEqual(read.messages.length, 2)
      assert.deepStrictEqual(
        read.unreadable.map(({ index }) => index),
        [1]
      )
      assert.isAtMost(read.deadLetters[0]!.body.length, options.messageSizeBytesMax)
    }
  })

  it("a record that came without its bodies is counted apart from those that lose them here", () => {
    const truncated = record({ annotations: { "audit.k8s.io/truncated": "true" } })
    const read = batch(truncated, record({ annotations: { "audit.k8s.io/truncated": "false" } }))
    assert.strictEqual(read.truncatedBefore, 1)
    assert.strictEqual(read.truncated, 0)
    assert.strictEqual(Buffer.from(read.messages[0]!.body).toString(), truncated)
  })

  it("of 50,000 unreadable records a hundred are named and have a letter each; the others share few, and none is lost", () => {
    const items = Array.from({ length: 50_000 }, (_, index) => record({ auditID: "", n: index }))
    const read = batch(record(), ...items, record({ verb: "delete" }))
    assert.strictEqual(read.messages.length, 2)
    assert.strictEqual(read.unreadableCount, 50_000)
    assert.strictEqual(read.unreadable.length, 100)
    // 49,900 records of some 420 bytes are 21 MB: 80 letters of 256 KiB, and a little.
    assert.isBelow(read.deadLetters.length, 100 + 90)
    const kept = read.deadLetters.flatMap(({ body }) => Buffer.from(body).toString().split("\n"))
    assert.deepStrictEqual(kept, items)
    assert.strictEqual(new Set(read.deadLetters.map(({ id }) => id)).size, read.deadLetters.length)
    assert.match(read.deadLetters[100]?.headers?.["Activity-Cause"] ?? "", /^\d+ records; the first: auditID/)
    assert.deepStrictEqual(read.deadLetters, batch(record(), ...items, record({ verb: "delete" })).deadLetters)
  })

  it("no secret is in a message or in a dead letter, whatever became of its record", () => {
    const canary = "c4nary-hunter2"
    const secrets = {
      objectRef: { resource: "secrets", namespace: "team", name: "a", apiVersion: "v1" },
      requestObject: { kind: "Secret", apiVersion: "v1", stringData: { password: canary } }
    }
    const whole = record(secrets)
    const read = batch(
      whole,
      record({ ...secrets, auditID: "" }),
      record({ ...secrets, userAgent: "x".repeat(1_100_000) }),
      record({ ...secrets, responseObject: { data: { a: canary.repeat(100_000) } } }),
      whole.slice(0, -10),
      whole.slice(whole.indexOf("password")),
      `${whole}${whole}`,
      `["${canary}"]`,
      canary
    )
    assert.strictEqual(read.messages.length, 2)
    assert.strictEqual(read.deadLetters.length, 7)
    assert.strictEqual(read.redacted, 5)
    for (const { body, headers } of [...read.messages, ...read.deadLetters]) {
      assert.notInclude(Buffer.from(body).toString(), canary)
      assert.notInclude(JSON.stringify(headers), canary)
    }
    assert.notInclude(JSON.stringify(read.unreadable), canary)
  })
})
