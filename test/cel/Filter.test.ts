import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import {
  allOf,
  always,
  type Expression,
  fieldOf,
  fieldsOf,
  type Filter,
  filterFor,
  type FilterKind,
  isOneOf,
  isText,
  not,
  predicateFrom
} from "../../src/cel/Filter.ts"
import type { JsonObject } from "../../src/domain/AuditRecord.ts"

const filter = (source: string, kind: FilterKind = "activity"): Filter =>
  Result.getOrThrowWith(filterFor(kind)(source), ({ message }) => new Error(`${source}: ${message}`))

const refusal = (source: string) => {
  const result = filterFor("activity")(source)
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
    assert.isTrue(holds("size(spec.links) == 0 && size(metadata.labels) == 0", bare))
    assert.isTrue(holds("!has(spec.reason) && !has(spec.count) && !has(spec.links) && !has(spec.timestamp)", bare))
    assert.isTrue(holds("spec.statusCode == 0", { spec: { statusCode: "201" } }))
    assert.isTrue(holds("spec.summary == ''", { spec: Object.create({ summary: "inherited" }) as JsonObject }))
  })

  it("texts are ordered by their UTF-8 bytes", () => {
    const named = (name: string): JsonObject => ({ spec: { resource: { name } } })
    // U+FF5E comes before U+1F600, although its UTF-16 unit is the greater one.
    assert.isTrue(holds("spec.resource.name < '😀'", named("～")))
  })

  it("is a tree with the constant on the right, and sums of constants are constants", () => {
    const compare = (source: string) => {
      const { expression } = filter(source)
      return expression.op === "compare" ? [expression.left, expression.operator, expression.right] : [expression.op]
    }
    const [left, operator, right] = compare("400 <= spec.statusCode")
    assert.deepInclude(left, { op: "field" })
    assert.strictEqual(operator, ">=")
    assert.deepStrictEqual(right, { op: "constant", type: "number", value: 400 })
    assert.deepStrictEqual(compare("spec.timestamp < timestamp('1970-01-01T01:00:01+01:00') + duration('1m')")[2], {
      op: "constant",
      type: "timestamp",
      value: 61_000_000n
    })
    const { expression } = filter("true || false || true")
    assert.strictEqual(expression.op === "or" && expression.operands.length, 3)
  })

  it("reads every field that its expression names", () => {
    const { expression } = filter(
      "spec.verb in ['a'] && spec.links.exists(l, l.a == spec.summary) || has(spec.reason) && size(metadata.labels) > spec.count"
    )
    assert.deepStrictEqual(
      fieldsOf(expression).map(({ path }) => path),
      ["spec.verb", "spec.links", "spec.summary", "spec.reason", "metadata.labels", "spec.count"]
    )
  })
})

describe("conditions without a text", () => {
  it("hold as the filters that they stand for", () => {
    const kind = fieldOf("activity", "spec.resource.kind")!
    const table: ReadonlyArray<readonly [Expression, boolean]> = [
      [isText(kind, "Deployment"), true],
      [isText(kind, "Pod"), false],
      [not(isText(kind, "Pod")), true],
      [isOneOf(kind, ["Pod", "Deployment"]), true],
      [isOneOf(kind, []), false],
      [always(true), true],
      [allOf([]), true],
      [allOf([isText(kind, "Deployment"), always(false)]), false]
    ]
    for (const [expression, expected] of table) {
      assert.strictEqual(predicateFrom({ expression })(activity), expected, JSON.stringify(expression))
    }
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
    ["spec.verb == 'update' && size(spec.changes) > 0", /spec.changes is not stored, but worked out when/, 1, 31],
    ["has(spec.changes)", /spec.changes is not stored/, 1, 5],
    ["spec.changes[0].field == 'spec.replicas'", /spec.changes is not stored/, 1, 1],
    ["spec.changes.exists(c, c.field == 'spec.replicas')", /spec.changes is not stored/, 1, 1],
    ["spec.actor.nam.contains('x')", /no field spec.actor.nam;/, 1, 1],
    ["spec.statusCode == '201'", /is a number/, 1, 20],
    ["spec.changeSource == 5", /is a text/, 1, 22],
    ["spec.changeSource in ['a', 5]", /is a text/, 1, 28],
    ["spec.changeSource in spec.outcome", /list of constants/, 1, 22],
    ["spec.timestamp > 5", /is a time/, 1, 18],
    ["spec.timestamp > timestamp('yesterday')", /is a time/, 1, 18],
    ["spec.timestamp > timestamp('0000-01-01T00:00:00+14:00')", /of the years 1970 to 2105/, 1, 18],
    ["spec.statusCode == spec.outcome", /spec.outcome is a text|spec.statusCode is a number/, 1, 20],
    ["spec.changeSource == 'x' ? 'a' : 'b'", /a text, and no condition/, 1, 1],
    ["spec.changeSource == 'x' ? 'a' : 5", /of one declared type/, 1, 34],
    ["spec.changeSource == 'x' ? spec.links : spec.links", /of one declared type/, 1, 28],
    ["(spec.changeSource == 'x' ? spec.links[0] : 'a') == 'a'", /of one declared type/, 1, 45],
    ["(spec.changeSource ? 1 : 2) == 1", /alone is no condition/, 1, 2],
    ["size(spec.statusCode) > 1", /size\(\) takes a text, a list or a map/, 1, 6],
    ["size(spec.summary, 1) > 1", /one argument/, 1, 1],
    ["spec.summary.size(1) > 1", /no argument/, 1, 1],
    ["size() > 1", /takes an argument/, 1, 1],
    ["has('a')", /has\(\) takes a field/, 1, 5],
    ["has(spec.links[0])", /has\(\) takes a field/, 1, 5],
    ["has(size(spec.summary))", /has\(\) takes a field/, 1, 5],
    ["has(spec.nothing)", /no field spec.nothing;/, 1, 5],
    ["spec.links.exists(l, has(l))", /has\(\) takes a field/, 1, 26],
    ["spec.summary.matches(spec.outcome)", /one constant pattern/, 1, 22],
    ["spec.summary.matches('(')", /not valid RE2/, 1, 22],
    ["spec.summary.matches('(?=a)')", /not valid RE2/, 1, 22],
    ["spec.summary.matches('(a{1000}){1000}')", /repeats too much|steps together/, 1, 22],
    ["spec.summary.matches('a\\\\B')", /\\B is not supported/, 1, 22],
    [`spec.summary.matches('${"a".repeat(1_025)}')`, /longer than 1024 characters/, 1, 22],
    ["spec.statusCode.matches('2')", /matches\(\) takes a text, spec.statusCode is a number/, 1, 1],
    ["spec.statusCode.contains('2')", /contains\(\) takes a text, spec.statusCode is a number/, 1, 1],
    ["spec.summary.contains(5)", /takes a text, 5 is a number/, 1, 23],
    ["spec.summary.contains('a', 'b')", /one text/, 1, 1],
    ["spec.summary.contains()", /one text/, 1, 1],
    ["spec.summary.lowerAscii('a') == 'a'", /no argument/, 1, 1],
    ["spec.statusCode.lowerAscii() == 'a'", /takes a text/, 1, 1],
    ["spec.summary.upperAscii() == 'A'", /upperAscii\(\) is not supported/, 1, 1],
    ["spec.links.map(l, l.marker) == 'a'", /map\(\) is not supported/, 1, 1],
    ["spec.links.exists_one(l, true)", /exists_one\(\) is not supported/, 1, 1],
    ["spec.links.filter(l, true)", /filter\(\) is not supported/, 1, 1],
    ["spec.timestamp.getFullYear() == 2026", /getFullYear\(\) is not supported/, 1, 1],
    ["string(spec.statusCode) == '200'", /string\(\) is not supported/, 1, 1],
    ["spec.summary + 'a' == 'b'", /takes times and durations/, 1, 1],
    ["spec.statusCode + 1 == 2", /takes times and durations/, 1, 1],
    ["spec.timestamp + spec.timestamp > spec.timestamp", /takes times and durations/, 1, 1],
    ["spec.statusCode * 2 == 2", /'\*' is not supported/, 1, 1],
    ["spec.statusCode % 2 == 0", /'%' is not supported/, 1, 1],
    ["{'a': 1}.a == 1", /a field is expected here/, 1, 1],
    ["spec.verb in {'a': 1}", /'map' is not supported/, 1, 14],
    ["[1, 2][0] == 1", /a field is expected here/, 1, 1],
    ["spec.links == spec.links", /a list is not compared/, 1, 1],
    ["metadata.labels == 'a'", /a map is not compared/, 1, 1],
    ["spec.links in ['a']", /a list is in nothing/, 1, 1],
    ["spec.links[0] == spec.links[1]", /one side of a comparison/, 1, 1],
    ["spec.links[0] < spec.timestamp", /JSON, which has no times; compare timestamp\(spec.links\[0\]\)/, 1, 17],
    ["spec.links['a'] == 'a'", /a list has no fields/, 1, 12],
    ["spec.links.marker == 'a'", /a list has no fields/, 1, 1],
    ["spec.links[-1] == 'a'", /in brackets stands/, 1, 12],
    ["spec.links[spec.count] == 'a'", /in brackets stands/, 1, 12],
    ["spec.links[9000000] == 'a'", /in brackets stands/, 1, 12],
    ["metadata.labels[0] == 'a'", /keys of a map are texts/, 1, 17],
    ["5 in metadata.labels", /keys of a map are texts/, 1, 1],
    ["spec.links[0] in spec.links", /is looked for/, 1, 1],
    ["spec.timestamp in spec.links", /is looked for/, 1, 1],
    ["spec.timestamp in ['2026-11-20T15:07:46Z', 'yesterday']", /is a time/, 1, 44],
    ["spec.summary.exists(c, c == 'a')", /takes a list or a map, spec.summary is a text/, 1, 1],
    ["spec.links.exists(l)", /takes a name and a condition/, 1, 1],
    ["spec.links.exists(l, 5)", /a condition; this is a constant/, 1, 22],
    ["spec.links.exists(l, k == 'a')", /no field k; fields are l, /, 1, 22],
    ["spec.links.exists(l, spec.links.exists(k, k == l.a))", /goes over what their items hold/, 1, 22],
    ["spec.links.exists(a, a.b.exists(b, b.c.exists(c, c.d.exists(d, d == 'x'))))", /nested 3 deep/, 1, 50],
    ["l.marker == 'a' && spec.links.exists(l, true)", /no field l.marker/, 1, 1],
    ["timestamp(5) > spec.timestamp", /takes a text/, 1, 11],
    ["timestamp(spec.statusCode) > spec.timestamp", /takes a text/, 1, 11],
    ["spec.timestamp > timestamp('2026-11-20T15:07:46Z', 1)", /one argument/, 1, 18],
    ["spec.timestamp - duration('1 hour') > spec.timestamp", /a duration is written/, 1, 18],
    ["spec.timestamp - duration('1d') > spec.timestamp", /a duration is written/, 1, 18],
    ["spec.timestamp - duration('10ns') > spec.timestamp", /no finer than a microsecond/, 1, 18],
    ["spec.timestamp - duration(spec.summary) > spec.timestamp", /a duration is written/, 1, 18],
    ["spec.timestamp > timestamp('1970-01-01T00:00:00Z') - duration('1s')", /of the years 1970 to 2105/, 1, 18],
    ["spec.timestamp > duration('1s')", /is a time; compare it with timestamp/, 1, 18],
    ["b'a' == spec.summary", /a constant is a text, a number, true or false/, 1, 1],
    ["spec.summary == b'a'", /a constant is a text, a number, true or false/, 1, 17],
    ["-spec.statusCode < 0", /a constant is a text, a number/, 1, 2],
    ["null == null", /null is only compared/, 1, 1],
    ["spec.links[0] < null", /null has no order/, 1, 1],
    ["spec.summary in [null]", /null/, 1, 18],
    ["spec.?summary == 'a'", /QUESTION/, 1, 6],
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

  it("names the read, the pattern and the item that are one too many", () => {
    const reads = (count: number) => Array.from({ length: count }, () => "metadata.labels.a").join(" || ")
    assert.isUndefined(refusal(reads(400)))
    const tooMany = refusal(reads(401))
    assert.match(tooMany?.message ?? "", /at most 400 times/)
    assert.strictEqual(tooMany?.column, reads(400).length + " || ".length + 1)

    // A label, and the time that it is.
    const times = (count: number) =>
      Array.from({ length: count }, () => "timestamp(metadata.labels.a) > spec.timestamp").join(" || ")
    assert.isUndefined(refusal(times(133)))
    assert.match(refusal(times(134))?.message ?? "", /at most 400 times/)

    const inItems = (count: number) =>
      `spec.links.exists(l, ${Array.from({ length: count }, () => "l == 'a'").join(" || ")})`
    assert.isUndefined(refusal(inItems(99)))
    assert.match(refusal(inItems(100))?.message ?? "", /inside of exists\(\) and all\(\) 100 times/)

    const matches = (count: number) =>
      Array.from({ length: count }, () => "spec.summary.matches('(a|b){0,300}')").join(" || ")
    assert.isUndefined(refusal(matches(1)))
    assert.match(refusal(matches(20))?.message ?? "", /4000 steps together/)
  })

  it("the longest that is accepted becomes a shallow tree", () => {
    const { expression } = filter(`true${" && true".repeat(900)}`)
    assert.strictEqual(expression.op === "and" && expression.operands.length, 901)
    assert.isTrue(holds(`true${" && true".repeat(900)}`))
    assert.isTrue(holds(`${"!!".repeat(900)}true`))
  })
})
