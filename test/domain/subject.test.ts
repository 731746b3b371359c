import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import {
  activitySubject,
  auditSubject,
  deadLetterSubject,
  eventSubject,
  type FactSubject,
  isWrittenEventSubject,
  subjectToken,
  writtenEventSubject
} from "../../src/domain/subject.ts"

/** Any text, with the characters that subjects treat specially far more often than chance would bring them. */
const anyText = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 12 }),
  fc.string({
    unit: fc.constantFrom("_", "%", ".", "*", ">", " ", "\t", "5", "F", "2", "E", "a", "é", "ß", "😀"),
    maxLength: 8
  })
)

const httpProxy: FactSubject = {
  tenantType: "Project",
  tenantName: "prod",
  apiGroup: "networking.datumapis.com",
  kind: "HTTPProxy",
  namespace: "default",
  name: "api-gateway"
}

describe("subjects", () => {
  it("what is written of an Event has a subject of its own, which no exporter's has", () => {
    assert.strictEqual(writtenEventSubject(httpProxy), "events.project.prod.written.default.api-gateway")
    const names = fc.record({ tenantType: anyText, tenantName: anyText, namespace: anyText, name: anyText })
    fc.assert(
      fc.property(names, names, anyText, anyText, (one, other, apiGroup, kind) => {
        assert.isTrue(isWrittenEventSubject(writtenEventSubject(one)))
        assert.isFalse(isWrittenEventSubject(eventSubject({ ...one, apiGroup, kind })))
        const isSame =
          one.tenantType.toLowerCase() === other.tenantType.toLowerCase() &&
          one.tenantName === other.tenantName &&
          one.namespace === other.namespace &&
          one.name === other.name
        assert.strictEqual(writtenEventSubject(one) === writtenEventSubject(other), isSame)
      })
    )
  })

  it("tokens are those of the table", () => {
    const table: ReadonlyArray<readonly [string, string]> = [
      ["", "_"],
      [".", "%2E"],
      ["..", "__"],
      ["_", "%5F"],
      ["%", "%25"],
      ["a.b", "a_b"],
      ["a_b", "a%5Fb"],
      ["a%5Fb", "a%255Fb"],
      ["two words", "two%20words"],
      ["*", "%2A"],
      [">", "%3E"],
      ["tab\t", "tab%09"],
      ["é", "%C3%A9"],
      ["😀", "%F0%9F%98%80"],
      ["api-gateway", "api-gateway"]
    ]
    for (const [text, token] of table) assert.strictEqual(subjectToken(text), token)
  })

  it("a token is never longer than 200 bytes, and still tells long texts apart", () => {
    const long = (end: string) => `${"n".repeat(6_000)}${end}`
    for (const text of [long("a"), "é".repeat(500), ".".repeat(5_000), "%".repeat(100)]) {
      assert.isAtMost(Buffer.byteLength(subjectToken(text)), 200)
    }
    assert.notStrictEqual(subjectToken(long("a")), subjectToken(long("b")))
    assert.strictEqual(subjectToken("n".repeat(200)), "n".repeat(200))
    const subject = activitySubject(
      {
        tenantType: long("t"),
        tenantName: long("n"),
        apiGroup: long("g"),
        kind: long("k"),
        namespace: long("s"),
        name: long("m")
      },
      "audit"
    )
    // What nats-server takes on one control line is 4 KiB.
    assert.isAtMost(Buffer.byteLength(subject), 2_000)
  })

  it("two texts never meet in one token", () => {
    fc.assert(
      fc.property(anyText, anyText, (one, other) => {
        fc.pre(one !== other)
        assert.notStrictEqual(subjectToken(one), subjectToken(other))
      }),
      { numRuns: 3_000 }
    )
  })

  it("a token is one part of a subject that NATS accepts", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        assert.match(subjectToken(text), /^[\x21-\x7e]+$/)
        assert.notMatch(subjectToken(text), /[.*>\s]/)
      }),
      { numRuns: 3_000 }
    )
  })

  it("activities have the subjects of seed 001", () => {
    assert.strictEqual(
      activitySubject(httpProxy, "audit"),
      "activities.project.prod.networking_datumapis_com.audit.HTTPProxy.default.api-gateway"
    )
    assert.strictEqual(
      activitySubject({ ...httpProxy, kind: "Network", name: "prod-network" }, "event"),
      "activities.project.prod.networking_datumapis_com.event.Network.default.prod-network"
    )
  })

  it("a platform's cluster-scoped object of the core group fills its empty places", () => {
    const node = { tenantType: "Platform", tenantName: "", apiGroup: "", kind: "Node", namespace: "", name: "node-1" }
    assert.strictEqual(eventSubject(node), "events.platform._._.Node._.node-1")
    assert.strictEqual(activitySubject(node, "audit"), "activities.platform._._.audit.Node._.node-1")
  })

  it("records and dead letters are told by cluster and by cause", () => {
    assert.strictEqual(auditSubject("eu-west.1"), "audit.k8s.eu-west_1")
    assert.strictEqual(
      deadLetterSubject("AUDIT_EVENTS", "processor", "evaluation", "core-pod"),
      "dead.AUDIT%5FEVENTS.processor.evaluation.core-pod"
    )
  })
})
