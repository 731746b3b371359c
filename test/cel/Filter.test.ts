import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { activityFilterFields } from "../../src/cel/activityFilterFields.ts"
import { type Filter, parseFilter, predicateFrom } from "../../src/cel/Filter.ts"
import type { JsonObject } from "../../src/domain/AuditRecord.ts"

const filter = (source: string): Filter =>
  Result.getOrThrowWith(parseFilter(source, activityFilterFields), ({ message }) => new Error(`${source}: ${message}`))

const refusal = (source: string) => {
  const result = parseFilter(source, activityFilterFields)
  return Result.isFailure(result) ? result.failure : undefined
}

const activity: JsonObject = {
  metadata: { name: "act-1", namespace: "team-1" },
  spec: {
    summary: "alice@example.com created Deployment web",
    changeSource: "human",
    timestamp: "2026-11-20T15:07:46.123456Z",
    cluster: "dev",
    actor: { type: "user", name: "alice@example.com" },
    resource: { apiGroup: "apps", kind: "Deployment", name: "web", namespace: "team-1" },
    tenant: { type: "Platform", name: "" },
    outcome: "Success",
    statusCode: 201,
    origin: { type: "audit", id: "1" },
    policy: { name: "apps-deployment", generation: 1, rule: "create" }
  }
}

const holds = (source: string, resource: JsonObject = activity): boolean => predicateFrom(filter(source))(resource)

describe("a filter", () => {
  it("holds or not, by the table", () => {
    const table: ReadonlyArray<readonly [string, boolean]> = [
      ["true", true],
      ["false", false],
      ["spec.changeSource == 'human'", true],
      ["'human' == spec.changeSource", true],
      ["spec.changeSource != 'human'", false],
      ['spec.changeSource == "HUMAN"', false],
      ["spec.resource.kind in ['Pod', 'Deployment']", true],
      ["!(spec.resource.kind in ['Pod', 'Deployment'])", false],
      ["spec.resource.kind in []", false],
      ["spec.summary.startsWith('alice')", true],
      ["spec.summary.endsWith('web')", true],
      ["spec.summary.contains('created')", true],
      ["spec.actor.name.contains('bob')", false],
      ["spec.resource.kind == 'Pod' || spec.changeSource == 'human' && spec.outcome == 'Success'", true],
      ["(spec.resource.kind == 'Pod' || spec.changeSource == 'human') && spec.outcome == 'Failure'", false],
      ["!!(spec.changeSource == 'human')", true],
      ["!!!(spec.changeSource == 'human')", false],
      ["spec.statusCode >= 200 && spec.statusCode < 300", true],
      ["300 > spec.statusCode", true],
      ["spec.statusCode == 201.0", true],
      ["spec.statusCode > -1", true],
      ["spec.statusCode in [200, 201]", true],
      ["spec.resource.name < 'x'", true],
      ["spec.resource.name >= 'x'", false],
      ["metadata.namespace == 'team-1'", true],
      ["spec['resource']['apiGroup'] == 'apps'", true],
      ["spec.timestamp == timestamp('2026-11-20T15:07:46.123456Z')", true],
      ["spec.timestamp == timestamp('2026-11-20T16:07:46.123456+01:00')", true],
      ["spec.timestamp > timestamp('2026-11-20T15:07:46.123455Z')", true],
      ["spec.timestamp > timestamp('2026-11-20T15:07:46.123456Z')", false],
      ["spec.timestamp >= '2026-11-20T15:07:46Z'", true],
      ["spec.lastTimestamp == timestamp('2026-11-20T15:07:46.123456Z')", true]
    ]
    for (const [source, expected] of table) assert.strictEqual(holds(source), expected, source)
  })

  it('reads what is absent as empty: no text is "", no number 0', () => {
    const bare: JsonObject = { metadata: {}, spec: {} }
    assert.isTrue(holds("spec.resource.apiGroup == '' && spec.actor.email == '' && metadata.namespace == ''", bare))
    assert.isTrue(holds("spec.statusCode == 0", bare))
    assert.isTrue(holds("spec.summary.startsWith('')", bare))
    assert.isFalse(holds("spec.summary.contains('x')", bare))
    assert.isFalse(holds("spec.timestamp > timestamp('1970-01-01T00:00:00Z')", bare))
    assert.isTrue(holds("spec.statusCode == 0", { spec: { statusCode: "201" } }))
    assert.isTrue(holds("spec.summary == ''", { spec: Object.create({ summary: "inherited" }) as JsonObject }))
  })

  it("texts are ordered by their UTF-8 bytes", () => {
    const named = (name: string): JsonObject => ({ spec: { resource: { name } } })
    // U+FF5E comes before U+1F600, although its UTF-16 unit is the greater one.
    assert.isTrue(holds("spec.resource.name < '😀'", named("～")))
  })

  it("is a tree with the constant on the right, and times in one spelling", () => {
    const statusCode = { path: "spec.statusCode", type: "number" } as const
    const changeSource = { path: "spec.changeSource", type: "string" } as const
    assert.deepStrictEqual(filter("400 <= spec.statusCode && !(spec.changeSource == 'human')").expression, {
      op: "and",
      operands: [
        { op: "compare", operator: ">=", field: statusCode, value: 400 },
        { op: "not", operand: { op: "compare", operator: "==", field: changeSource, value: "human" } }
      ]
    })
    assert.deepStrictEqual(filter("spec.timestamp < timestamp('2026-01-01T01:00:00+01:00')").expression, {
      op: "compare",
      operator: "<",
      field: { path: "spec.timestamp", type: "timestamp" },
      value: "2026-01-01T00:00:00.000000Z"
    })
    const { expression } = filter("true || false || true")
    assert.strictEqual(expression.op === "or" && expression.operands.length, 3)
  })
})

describe("a refused filter", () => {
  const table: ReadonlyArray<readonly [string, RegExp, number, number]> = [
    ["", /Unexpected token/, 1, 1],
    ["spec.changeSource === 'x'", /Unexpected character/, 1, 21],
    ["spec.summary", /alone is no condition/, 1, 1],
    ["'text'", /constant/, 1, 1],
    ["verb == 'get'", /no field verb; fields are metadata.name,/, 1, 1],
    ["true &&\n  spec.foo == 'x'", /no field spec.foo/, 2, 3],
    ["spec.actor == 'x'", /no field spec.actor;/, 1, 1],
    ["spec.actor.nam.contains('x')", /no field spec.actor.nam;/, 1, 1],
    ["spec.statusCode == '201'", /is a number/, 1, 20],
    ["spec.changeSource == 5", /is a text/, 1, 22],
    ["spec.changeSource in ['a', 5]", /is a text/, 1, 28],
    ["spec.changeSource in spec.outcome", /list of constants/, 1, 22],
    ["spec.timestamp > 5", /is a time/, 1, 18],
    ["spec.timestamp > timestamp('yesterday')", /is a time/, 1, 18],
    ["spec.timestamp > timestamp('0000-01-01T00:00:00+14:00')", /of the years 1970 to 2105/, 1, 18],
    ["spec.changeSource == spec.outcome", /a field and a constant/, 1, 1],
    ["1 == 1", /a field and a constant/, 1, 1],
    ["spec.changeSource == 'x' ? true : false", /'\?:' is not supported/, 1, 1],
    ["size(spec.summary) > 1", /size\(\) is not supported/, 1, 1],
    ["has(spec.actor.email)", /has\(\) is not supported/, 1, 1],
    ["spec.summary.matches('a')", /matches\(\) is not supported/, 1, 1],
    ["spec.statusCode.contains('2')", /is a number/, 1, 1],
    ["spec.summary.contains(spec.outcome)", /one constant text/, 1, 1],
    ["spec.statusCode == 9007199254740993", /is a number/, 1, 20],
    ["spec.changeSource == null", /is a text/, 1, 22]
  ]
  for (const [source, message, line, column] of table) {
    it(`${JSON.stringify(source)} names its place ${line}:${column}`, () => {
      const found = refusal(source)
      assert.match(found?.message ?? "accepted", message)
      assert.deepStrictEqual([found?.line, found?.column], [line, column])
    })
  }

  it("may be as large or as deep as its sender likes", () => {
    for (const source of [
      `true${" && true".repeat(1_000_000)}`,
      "a".repeat(1_048_576),
      `${"(".repeat(8_000)}true${")".repeat(8_000)}`,
      `${"!(".repeat(5_000)}true${")".repeat(5_000)}`,
      `${"!".repeat(16_000)}true`,
      `true${" || true".repeat(2_000)}`,
      `spec.changeSource in [${"'a',".repeat(3_000)}'a']`,
      `spec${".a".repeat(8_000)} == 'x'`,
      `spec.statusCode == ${"-".repeat(16_000)}1`
    ])
      assert.isDefined(refusal(source), source.slice(0, 40))
  })

  it("the longest that is accepted becomes a shallow tree", () => {
    const { expression } = filter(`true${" && true".repeat(900)}`)
    assert.strictEqual(expression.op === "and" && expression.operands.length, 901)
    assert.isTrue(holds(`true${" && true".repeat(900)}`))
    assert.isTrue(holds(`${"!!".repeat(900)}true`))
  })
})
