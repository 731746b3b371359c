import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import type { AuditRecord, Json } from "../../src/domain/AuditRecord.ts"
import { auditRecordKey } from "../../src/domain/identity.ts"
import { auditIDBytesMax, auditRecordFrom } from "../../src/normalise/auditRecordFrom.ts"
import { deploymentCreated, recordedLines } from "../process/scenarios.ts"

const origin = { cluster: "dev", defaultTenant: { type: "Platform", name: "" } }

const read = (changes: { readonly [name: string]: Json | undefined } = {}) =>
  auditRecordFrom(JSON.stringify({ ...deploymentCreated, ...changes }), origin)

const record = (changes: { readonly [name: string]: Json | undefined } = {}): AuditRecord =>
  Result.getOrThrow(read(changes))

const unreadableField = (result: ReturnType<typeof read>): string | undefined =>
  Result.isFailure(result) ? result.failure.field : undefined

describe("an audit record", () => {
  it("keeps its envelope, its text and its parsed form", () => {
    const text = JSON.stringify(deploymentCreated)
    assert.deepStrictEqual(Result.getOrThrow(auditRecordFrom(text, origin)), {
      key: auditRecordKey({
        cluster: "dev",
        auditID: "11111111-2222-4333-8444-555555555555",
        stage: "ResponseComplete",
        requestReceivedTimestamp: "2026-11-20T15:07:46.123456Z",
        username: "alice@example.com",
        verb: "create",
        requestURI: "/apis/apps/v1/namespaces/team-1/deployments?fieldManager=kubectl-create"
      }),
      cluster: "dev",
      tenant: { type: "Platform", name: "" },
      auditID: "11111111-2222-4333-8444-555555555555",
      stage: "ResponseComplete",
      level: "RequestResponse",
      verb: "create",
      requestURI: "/apis/apps/v1/namespaces/team-1/deployments?fieldManager=kubectl-create",
      requestReceivedTimestamp: "2026-11-20T15:07:46.123456Z",
      user: { username: "alice@example.com", uid: "user-12345" },
      userAgent: "kubectl/v1.34.4",
      sourceIP: "192.0.2.7",
      objectRef: {
        apiGroup: "apps",
        apiVersion: "v1",
        resource: "deployments",
        subresource: "",
        namespace: "team-1",
        name: "web",
        uid: ""
      },
      hasObjectRef: true,
      statusCode: 201,
      dryRun: false,
      json: text,
      body: deploymentCreated
    })
  })

  it("that lacks what identifies it is unreadable, with the field's name", () => {
    assert.strictEqual(unreadableField(auditRecordFrom("", origin)), "")
    assert.strictEqual(unreadableField(auditRecordFrom("{", origin)), "")
    assert.strictEqual(unreadableField(auditRecordFrom("[]", origin)), "")
    assert.strictEqual(unreadableField(auditRecordFrom("null", origin)), "")
    assert.strictEqual(unreadableField(read({ kind: "Pod" })), "kind")
    assert.strictEqual(unreadableField(read({ apiVersion: "v1" })), "apiVersion")
    for (const name of ["auditID", "stage", "verb", "requestURI"]) {
      assert.strictEqual(unreadableField(read({ [name]: undefined })), name)
      assert.strictEqual(unreadableField(read({ [name]: "" })), name)
      assert.strictEqual(unreadableField(read({ [name]: { toString: "x" } })), name)
    }
    assert.strictEqual(unreadableField(read({ stage: "responsecomplete" })), "stage")
  })

  it("takes stageTimestamp where the received one is missing or no time, and is unreadable without both", () => {
    const wrongTimes: ReadonlyArray<Json | undefined> = [undefined, null, "", "yesterday", "0001-01-01T00:00:00Z", 5]
    for (const wrong of wrongTimes) {
      assert.strictEqual(
        record({ requestReceivedTimestamp: wrong }).requestReceivedTimestamp,
        "2026-11-20T15:07:46.200000Z"
      )
      assert.strictEqual(
        unreadableField(read({ requestReceivedTimestamp: wrong, stageTimestamp: wrong })),
        "requestReceivedTimestamp"
      )
    }
  })

  it("of the future is kept", () => {
    assert.strictEqual(
      record({ requestReceivedTimestamp: "2105-12-31T23:59:59.999999Z" }).requestReceivedTimestamp,
      "2105-12-31T23:59:59.999999Z"
    )
  })

  it("from before 1970 or after 2105 is unreadable, whatever its other time says", () => {
    for (const outside of [
      "1969-12-31T23:59:59.999999Z",
      "2106-01-01T00:00:00Z",
      "2105-12-31T23:59:59-00:01",
      "0000-01-01T00:00:00+14:00",
      "9999-12-31T23:59:59-14:00"
    ]) {
      assert.strictEqual(
        unreadableField(read({ requestReceivedTimestamp: outside })),
        "requestReceivedTimestamp",
        outside
      )
      assert.strictEqual(
        unreadableField(read({ requestReceivedTimestamp: undefined, stageTimestamp: outside })),
        "stageTimestamp",
        outside
      )
    }
  })

  it("has its time in one spelling, and its key from the text that was sent", () => {
    const canonical = "2026-11-20T15:07:46.123456Z"
    const keys = ["2026-11-20t15:07:46.123456z", "2026-11-20T17:07:46.123456789012+02:00", canonical].map((sent) => {
      const { key, requestReceivedTimestamp, auditID, stage, user, verb, requestURI } = record({
        requestReceivedTimestamp: sent
      })
      assert.strictEqual(requestReceivedTimestamp, canonical)
      const identity = { cluster: "dev", auditID, stage, username: user.username, verb, requestURI }
      assert.strictEqual(key, auditRecordKey({ ...identity, requestReceivedTimestamp: sent }))
      return key
    })
    assert.strictEqual(new Set(keys).size, 3)
  })

  it("with a long audit ID keeps its first 1,024 bytes, whole characters", () => {
    const text = "é".repeat(600)
    const { auditID, key } = record({ auditID: text })
    assert.strictEqual(auditID, "é".repeat(512))
    assert.strictEqual(Buffer.byteLength(auditID), auditIDBytesMax)
    assert.strictEqual(key, record({ auditID: `${text}other` }).key)
    assert.strictEqual(Buffer.byteLength(record({ auditID: `x${text}` }).auditID), 1_023)
  })

  it("without reference, code and addresses reads as empty", () => {
    const bare = record({ objectRef: undefined, responseStatus: undefined, sourceIPs: undefined, user: undefined })
    assert.isFalse(bare.hasObjectRef)
    assert.strictEqual(bare.statusCode, 0)
    assert.strictEqual(bare.sourceIP, "")
    assert.deepStrictEqual(bare.user, { username: "", uid: "" })
  })

  it("never reads what it inherits: a __proto__ key is a key", () => {
    const hostile = `{"__proto__":{"verb":"get","stage":"Panic"},${JSON.stringify({ ...deploymentCreated, verb: undefined }).slice(1)}`
    assert.strictEqual(unreadableField(auditRecordFrom(hostile, origin)), "verb")
    assert.isUndefined(Reflect.get({}, "stage"))
  })

  it("is a dry run when its query or its options say so", () => {
    const uri = "/api/v1/namespaces/team-1/pods/web"
    const table: ReadonlyArray<readonly [{ readonly [name: string]: Json }, boolean]> = [
      [{}, false],
      [{ requestURI: `${uri}?dryRun=All` }, true],
      [{ requestURI: `${uri}?fieldManager=a&dryRun=All&force=true` }, true],
      [{ requestURI: `${uri}?dryRun=` }, false],
      [{ requestURI: `${uri}?fieldManager=dryRun` }, false],
      [{ requestURI: "/api/v1/namespaces/team-1/configmaps/dryRun=All" }, false],
      [{ requestObject: { kind: "DeleteOptions", apiVersion: "v1", dryRun: ["All"] } }, true],
      [{ requestObject: { kind: "DeleteOptions", apiVersion: "v1", dryRun: [] } }, false],
      [{ requestObject: { kind: "Eviction", deleteOptions: { dryRun: ["All"] } } }, true],
      [{ requestObject: { kind: "ConfigMap", dryRun: ["All"] } }, false]
    ]
    for (const [changes, dryRun] of table) {
      assert.strictEqual(record(changes).dryRun, dryRun, JSON.stringify(changes))
    }
  })

  it("every recorded one can be read", () => {
    const results = recordedLines("audit-events.jsonl.gz").map((line) => auditRecordFrom(line, origin))
    assert.strictEqual(results.length, 3_040)
    assert.isTrue(results.every(Result.isSuccess))
    const keys = new Set(results.map((result) => Result.getOrThrow(result).key))
    assert.strictEqual(keys.size, 3_040)
  })
})

describe("the tenant of an audit record", () => {
  const extra = (type: Json, name: Json) => ({
    user: {
      username: "alice@example.com",
      extra: { "iam.miloapis.com/parent-type": type, "iam.miloapis.com/parent-name": name }
    }
  })
  const annotations = (type: string, name: string) => ({
    annotations: { "platform.miloapis.com/scope.type": type, "platform.miloapis.com/scope.name": name }
  })
  const project = { type: "Project", name: "prod" }

  it("is that of its user, then that of its annotations, then the default", () => {
    assert.deepStrictEqual(record(extra(["Project"], ["prod"])).tenant, project)
    assert.deepStrictEqual(record(annotations("project", "prod")).tenant, project)
    assert.deepStrictEqual(record({ ...extra(["Project"], ["prod"]), ...annotations("User", "u1") }).tenant, project)
    assert.deepStrictEqual(record().tenant, { type: "Platform", name: "" })
  })

  it("half of a pair counts as none", () => {
    assert.deepStrictEqual(record({ ...extra(["User"], []), ...annotations("project", "prod") }).tenant, project)
    assert.deepStrictEqual(record({ ...extra([], ["u1"]), ...annotations("project", "prod") }).tenant, project)
    assert.deepStrictEqual(record(extra(["User"], [""])).tenant, origin.defaultTenant)
    assert.deepStrictEqual(record(annotations("project", "")).tenant, origin.defaultTenant)
    assert.deepStrictEqual(record(annotations("", "prod")).tenant, origin.defaultTenant)
  })

  it("has a type in its stored spelling, unknown types as written", () => {
    assert.strictEqual(record(extra(["oRGANIZATION"], ["acme"])).tenant.type, "Organization")
    assert.strictEqual(record(extra(["user"], ["u1"])).tenant.type, "User")
    assert.strictEqual(record(annotations("fleet", "f1")).tenant.type, "fleet")
  })
})
