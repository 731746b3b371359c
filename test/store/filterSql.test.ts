import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Result } from "effect"
import * as fc from "fast-check"
import { activityFilterFields } from "../../src/cel/activityFilterFields.ts"
import { type Expression, type FilterField, type Literal, parseFilter, predicateFrom } from "../../src/cel/Filter.ts"
import { ClickHouse } from "../../src/clients/clickhouse/ClickHouse.ts"
import type { JsonObject } from "../../src/domain/AuditRecord.ts"
import { activityColumns } from "../../src/store/activityColumns.ts"
import { filterCondition } from "../../src/store/filterSql.ts"
import { emptyTables, nameOf, store, storeLayer, type TestActivity } from "./storeLayer.ts"

describe("filterCondition", () => {
  it("holds every literal as a parameter", () => {
    const filter = Result.getOrThrow(
      parseFilter(
        "spec.actor.name == \"x' OR 1=1\" && spec.statusCode > 399 && spec.summary.contains('secret')",
        activityFilterFields
      )
    )
    const { sql, parameters } = filterCondition(filter.expression, activityColumns)
    for (const literal of ["x'", "399", "secret"]) assert.notInclude(sql, literal)
    assert.sameDeepMembers(Object.values(parameters), ["x' OR 1=1", 399, "secret"])
  })

  it("knows every field that a filter may name", () => {
    for (const field of activityFilterFields)
      assert.strictEqual(activityColumns.get(field.path)?.type, field.type, field.path)
  })
})

/** Few enough values that they meet, and all that is hard to write down or to compare. */
const texts = [
  "",
  "a",
  "A",
  "b",
  "ab",
  "a.b",
  "a_b",
  "a%",
  "'",
  "\\",
  "a'b\\",
  "ä",
  "Ä",
  "\u{1f600}",
  "\uffff",
  "a\nb",
  "100",
  "{x:String}"
]
const numbers = [0, 1, 199, 200, 404, 404.5, 65_535, -1]
const times = [
  "2026-11-21T09:59:59.999999Z",
  "2026-11-21T10:00:00Z",
  "2026-11-21T10:00:00.000001Z",
  "2026-11-21T12:00:00+02:00",
  "1969-07-20T20:17:40Z"
]

const anyActivity = (index: number): fc.Arbitrary<TestActivity> =>
  fc
    .record({
      summary: fc.constantFrom(...texts),
      timestamp: fc.constantFrom(...times.slice(0, 3)),
      last: fc.option(fc.constantFrom(...times.slice(0, 3)), { nil: undefined }),
      tenantName: fc.constantFrom(...texts),
      resource: fc.record(
        {
          apiGroup: fc.constantFrom(...texts),
          kind: fc.constantFrom(...texts),
          name: fc.constantFrom(...texts),
          namespace: fc.constantFrom(...texts),
          uid: fc.constantFrom(...texts)
        },
        { requiredKeys: ["apiGroup", "kind", "name", "namespace"] }
      ),
      spec: fc.record(
        {
          changeSource: fc.constantFrom("human", "system"),
          actor: fc.record(
            {
              type: fc.constantFrom("user", "system"),
              name: fc.constantFrom(...texts),
              uid: fc.constantFrom(...texts),
              email: fc.constantFrom(...texts)
            },
            { requiredKeys: ["type", "name"] }
          ),
          outcome: fc.constantFrom("Success", "Failure"),
          statusCode: fc.constantFrom(200, 404, 65_535),
          reason: fc.constantFrom(...texts)
        },
        { requiredKeys: ["changeSource", "actor", "outcome"] }
      )
    })
    .map(({ last, resource, spec, summary, tenantName, timestamp }) => ({
      origin: `o${index}`,
      sequence: index,
      summary,
      timestamp,
      tenant: { type: "Project", name: tenantName },
      // Left out where it does not differ, as the processor does.
      ...(last === undefined || last === timestamp ? {} : { lastTimestamp: last }),
      resource,
      spec
    }))

const literalFor = (field: FilterField): fc.Arbitrary<Literal> =>
  field.path === "metadata.name"
    ? fc.constantFrom(nameOf("o1"), nameOf("o2"), "act-", "")
    : field.type === "string"
      ? fc.constantFrom(...texts, "human", "Success", "user", "Project", "o1")
      : field.type === "number"
        ? fc.constantFrom(...numbers)
        : fc.constantFrom(...times)

const leaf: fc.Arbitrary<Expression> = fc.constantFrom(...activityFilterFields).chain((field) => {
  const compare = fc.record({
    op: fc.constant("compare" as const),
    operator: fc.constantFrom("==" as const, "!=" as const, "<" as const, "<=" as const, ">" as const, ">=" as const),
    field: fc.constant(field),
    value: literalFor(field)
  })
  const membership = fc.record({
    op: fc.constant("in" as const),
    field: fc.constant(field),
    values: fc.array(literalFor(field), { maxLength: 3 })
  })
  const text = fc.record({
    op: fc.constant("text" as const),
    operator: fc.constantFrom("startsWith" as const, "endsWith" as const, "contains" as const),
    field: fc.constant(field),
    value: fc.constantFrom(...texts)
  })
  return field.type === "string" ? fc.oneof(compare, membership, text) : fc.oneof(compare, membership)
})

const anyExpression = fc.letrec<{ readonly one: Expression }>((tie) => ({
  one: fc.oneof(
    { maxDepth: 4 },
    { arbitrary: leaf, weight: 4 },
    { arbitrary: fc.boolean().map((value): Expression => ({ op: "literal", value })), weight: 1 },
    {
      arbitrary: fc.record({
        op: fc.constantFrom("and" as const, "or" as const),
        operands: fc.array(tie("one"), { maxLength: 3 })
      }),
      weight: 2
    },
    { arbitrary: fc.record({ op: fc.constant("not" as const), operand: tie("one") }), weight: 1 }
  )
})).one

layer(storeLayer, { timeout: 120_000 })("filters as SQL and in memory", (it) => {
  it.effect(
    "let the same activities through",
    () =>
      Effect.gen(function* () {
        yield* emptyTables
        const clickhouse = yield* ClickHouse
        yield* store(Array.from({ length: 200 }, (_, index) => fc.sample(anyActivity(index), 1)[0]!))
        const stored = (yield* clickhouse.query({ sql: "SELECT json FROM activities FINAL" }))
          // It was written by JSON.stringify from an object.
          .map((row) => JSON.parse(String(row["json"])) as JsonObject)
        assert.strictEqual(stored.length, 200)
        const nameOfActivity = (activity: JsonObject) => String((activity["metadata"] as JsonObject)["name"])

        let partly = 0
        yield* Effect.forEach(
          fc.sample(anyExpression, 600),
          (expression) =>
            Effect.gen(function* () {
              const { parameters, sql } = filterCondition(expression, activityColumns)
              const rows = yield* clickhouse.query({
                sql: `SELECT concat('act-', replaceAll(toString(id), '-', '')) AS name FROM activities FINAL WHERE ${sql}`,
                parameters
              })
              const holds = predicateFrom({ source: "", expression })
              if (rows.length > 0 && rows.length < 200) partly++
              const names = new Set(rows.map((row) => String(row["name"])))
              const differing = stored.filter((activity) => holds(activity) !== names.has(nameOfActivity(activity)))
              assert.deepStrictEqual(differing.slice(0, 1), [], `${JSON.stringify(expression)} as ${sql}`)
            }),
          { concurrency: 3 }
        )
        // Filters that let all or nothing through prove little.
        assert.isAbove(partly, 150)
      }),
    120_000
  )
})
