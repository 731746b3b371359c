import { assert, describe, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import { filterFields, filterFor, type FilterKind } from "../../src/cel/Filter.ts"
import { ClickHouse } from "../../src/clients/clickhouse/ClickHouse.ts"
import { isJsonObject, type Json, type JsonObject } from "../../src/domain/AuditRecord.ts"
import { filterColumns } from "../../src/store/filterColumns.ts"
import { filterCondition } from "../../src/store/filterSql.ts"
import { hostileTexts } from "./filterArbitraries.ts"
import {
  activityFact,
  conditionOf,
  filterOf,
  foundByHand,
  foundByPredicate,
  foundBySql,
  recordedFacts,
  recordFact,
  storeFacts
} from "./filterRows.ts"
import { columnsByField, filterCases } from "./filterTable.ts"
import { emptyTables, storeLayer } from "./storeLayer.ts"

const kinds: ReadonlyArray<FilterKind> = ["record", "event", "activity"]
const plurals: Readonly<Record<FilterKind, string>> = { record: "records", event: "Events", activity: "activities" }

describe("filterCondition", () => {
  it("holds every literal as a parameter, keys and patterns among them", () => {
    const { parameters, sql } = conditionOf(
      "record",
      filterOf(
        "record",
        "user.username == \"x' OR 1=1\" && responseStatus.code > 399 && requestURI.contains('secret') && " +
          "annotations['k\\');--'] == 'v' && userAgent.matches('q\\'') && requestObject.body[17] in [86.5, 'w'] && " +
          "stageTimestamp - requestReceivedTimestamp > duration('77s')"
      )
    )
    for (const literal of ["x'", "399", "secret", "k')", "'v'", "q'", "body", "18", "86.5", "'w'", "77"])
      assert.notInclude(sql, literal)
    assert.sameDeepMembers(Object.values(parameters), [
      "x' OR 1=1",
      399,
      "secret",
      "k');--",
      "v",
      "(?-s)q'",
      "body",
      18,
      86.5,
      "w",
      "77000000"
    ])
  })

  it("holds equal literals once, and two filters apart by their prefixes", () => {
    const { expression } = filterOf("record", "verb == 'a' || stage == 'a' || requestObject.a == 'a'")
    const { parameters } = filterCondition(expression, filterColumns.record, "selector")
    assert.deepStrictEqual(parameters, { selector_0: "a" })
  })

  for (const kind of kinds) {
    it(`reads the fields of ${plurals[kind]} from the columns that there are`, () => {
      for (const field of new Set(filterFields[kind].values())) {
        const column = columnsByField[kind][field.path]
        assert.deepStrictEqual(filterColumns[kind].get(field.path)?.sql, column, `${kind}: ${field.path}`)
        if (column !== undefined) assert.strictEqual(filterColumns[kind].get(field.path)?.type, field.type, field.path)
      }
      assert.sameMembers([...filterColumns[kind].keys()], Object.keys(columnsByField[kind]))
    })
  }
})

const valueAt = (body: JsonObject, path: ReadonlyArray<string>): Json | undefined =>
  path.reduce<Json | undefined>((value, name) => (isJsonObject(value) ? value[name] : undefined), body)

/** `$1` is the placeholder of the first parameter. Of one name the type is told by the value. */
const withPlaceholders = (sql: string, parameters: Readonly<Record<string, unknown>>): string =>
  Object.keys(parameters).reduce(
    (text, name, index) =>
      text.replaceAll(new RegExp(`\\{${name}:[^}]+\\}`, "g"), `$${index + 1}`.replaceAll("$", "$$$$")),
    sql
  )

/** The largest of its kind that is accepted. */
const largest = (make: (count: number) => string, countMax: number): string => {
  let count = countMax
  while (filterFor("record")(make(count))._tag === "Failure") count--
  return make(count)
}

const repeated = (count: number, piece: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => piece(index)).join("||")

layer(storeLayer, { timeout: 120_000 })("filters in the engine and in memory", (it) => {
  const facts = recordedFacts()

  it.effect(
    "over the recorded facts are the SQL that the table says, and find what it says, in the engine and in memory",
    () =>
      Effect.gen(function* () {
        yield* emptyTables
        yield* storeFacts(facts)
        let some = 0
        for (const { byHand, filter: source, kind, parameters, sql } of filterCases) {
          const filter = filterOf(kind, source)
          const condition = conditionOf(kind, filter)
          if (sql !== undefined) {
            assert.strictEqual(withPlaceholders(condition.sql, condition.parameters), sql, source)
            assert.deepStrictEqual(Object.values(condition.parameters), [...parameters], source)
          }
          const expected = foundByHand(facts[kind], byHand)
          assert.deepStrictEqual(foundByPredicate(facts[kind], filter), expected, `${source} in memory`)
          assert.deepStrictEqual(yield* foundBySql(kind, filter), expected, `${source} as ${condition.sql}`)
          if (expected.length > 0 && expected.length < facts[kind].length) some++
        }
        assert.isAbove(some, filterCases.length * 0.7)
      }),
    120_000
  )

  for (const kind of kinds) {
    it.effect(
      `by every field find the ${plurals[kind]} that hold a recorded value`,
      () =>
        Effect.gen(function* () {
          yield* emptyTables
          yield* storeFacts({ [kind]: facts[kind] })
          for (const [spelling, field] of filterFields[kind]) {
            // A selector's: CEL itself keeps the word for later.
            if (spelling === "namespace") continue
            const valueOf = (body: JsonObject) =>
              valueAt(body, field.at) ?? valueAt(body, field.absentAs?.[0] ?? ["none"])
            const present = facts[kind].map(({ body }) => valueOf(body)).find((value) => value)
            const literal =
              field.type === "timestamp" ? `timestamp(${JSON.stringify(present)})` : JSON.stringify(present)
            const isPlain = field.type === "string" || field.type === "number" || field.type === "timestamp"
            const source = present !== undefined && isPlain ? `${spelling} == ${literal}` : `has(${spelling})`
            const filter = filterOf(kind, source)
            const found = yield* foundBySql(kind, filter)
            assert.deepStrictEqual(foundByPredicate(facts[kind], filter), found, source)
            if (present === undefined) assert.deepStrictEqual(found, [], source)
            else if (isPlain) {
              // Times are of one form each here.
              assert.deepStrictEqual(
                found,
                foundByHand(facts[kind], (body) => valueOf(body) === present),
                source
              )
            } else {
              assert.includeMembers(
                [...found],
                foundByHand(facts[kind], (body) => Object.keys(valueOf(body) ?? {}).length > 0)
              )
            }
          }
        }),
      120_000
    )
  }

  it.effect(
    "that are the largest accepted are within what the engine takes",
    () =>
      Effect.gen(function* () {
        yield* emptyTables
        const one = [facts.record[0]!]
        yield* storeFacts({ record: one })
        for (const source of [
          largest((count) => repeated(count, (index) => `verb=='${index}'`), 600),
          largest((count) => repeated(count, (index) => `requestURI=='${index}'`), 600),
          largest((count) => repeated(count, (index) => `size(requestObject.a)>${index}`), 500),
          largest((count) => repeated(count, () => "requestObject.a in [1,'a',null]"), 500),
          largest((count) => repeated(count, () => "stageTimestamp<stageTimestamp"), 500),
          largest((count) => repeated(count, (index) => `user.groups.exists(g,g=='${index}')`), 200),
          largest((count) => `requestObject.a.exists(a,${repeated(count, (index) => `size(a.x)==${index}`)})`, 200),
          `requestObject${".a".repeat(40)} == 'x'`,
          `requestObject${"[0]".repeat(40)} == 'x'`,
          `stageTimestamp${" + duration('1s')".repeat(40)} > requestReceivedTimestamp`,
          `${"(".repeat(20)}true${" ? requestObject.a : true)".repeat(20)}`.replaceAll(
            "requestObject.a",
            "has(user.uid)"
          ),
          `verb in [${Array.from({ length: 500 }, (_, index) => `'${index}'`).join(",")}]`
        ]) {
          const filter = filterOf("record", source)
          assert.deepStrictEqual(
            yield* foundBySql("record", filter),
            foundByPredicate(one, filter),
            source.slice(0, 80)
          )
        }
      }),
    120_000
  )

  it.effect("with hostile literals find the fact that holds them and no other", () =>
    Effect.gen(function* () {
      yield* emptyTables
      const texts = hostileTexts.filter((text) => text !== "")
      const records = texts.map((text, index) =>
        recordFact(
          JSON.stringify({
            kind: "Event",
            auditID: `id-${index}`,
            stage: "ResponseComplete",
            verb: text,
            requestURI: text,
            requestReceivedTimestamp: "2026-11-21T10:00:00Z",
            annotations: { [text]: text },
            user: { groups: [text] }
          }),
          index + 1
        )
      )
      yield* storeFacts({ record: records })
      for (const [index, text] of texts.entries()) {
        const literal = JSON.stringify(text)
        for (const source of [
          `verb == ${literal}`,
          `requestURI == ${literal}`,
          `verb in [${literal}]`,
          `${literal} in user.groups`,
          `annotations[${literal}] == ${literal}`,
          `has(annotations[${literal}])`,
          `annotations.exists(k, k == ${literal})`,
          `requestURI.matches("^\\\\Q" + ${literal} + "\\\\E$")`.replace(/" \+ "(.*)" \+ "/s, "$1")
        ]) {
          const filter = filterOf("record", source)
          assert.deepStrictEqual(yield* foundBySql("record", filter), [records[index]!.row.id], source)
          assert.deepStrictEqual(foundByPredicate(records, filter), [records[index]!.row.id], source)
        }
      }
      assert.deepStrictEqual(
        (yield* ClickHouse.use((clickhouse) => clickhouse.query({ sql: "SELECT count() AS rows FROM audit_logs" })))[0],
        { rows: String(texts.length) }
      )
    })
  )

  it.effect(
    "patterns beyond ASCII, with NUL, and with classes that hold a bracket find the texts that they match",
    () =>
      Effect.gen(function* () {
        yield* emptyTables
        const texts = ["xa b", "/\u000bab", "\ré]a1", "A\u0000xa", "é]\nK", "café/secrets", "cafe/secrets", "k\u00a0s"]
        const records = texts.map((text, index) =>
          recordFact(
            JSON.stringify({
              kind: "Event",
              auditID: `id-${index}`,
              stage: "ResponseComplete",
              verb: "get",
              requestURI: text,
              requestReceivedTimestamp: "2026-11-21T10:00:00Z"
            }),
            index + 1
          )
        )
        yield* storeFacts({ record: records })
        // Pattern → the texts that RE2 says it matches.
        for (const [pattern, ...matched] of [
          ["caf[eé]?é?/secrets", "café/secrets", "cafe/secrets"],
          ["caf(😀??)é/", "café/secrets"],
          ["😀*?\\x00", "A\u0000xa"],
          ["[^]a](\u0000)", "A\u0000xa"],
          ["[]a]\\n", "é]\nK"],
          ["[^]b]é", "\ré]a1", "café/secrets"],
          ["é\\Q]a", "\ré]a1"],
          ["k.s", "k\u00a0s"]
        ]) {
          const filter = filterOf("record", `requestURI.matches(${JSON.stringify(pattern)})`)
          const expected = records.flatMap(({ row }, index) => (matched.includes(texts[index]!) ? [row.id] : [])).sort()
          assert.deepStrictEqual(foundByPredicate(records, filter), expected, `${pattern} in memory`)
          assert.deepStrictEqual(yield* foundBySql("record", filter), expected, `${pattern} in the engine`)
        }
      })
  )

  it.effect("a text with half of a surrogate pair is stored, and found, with U+FFFD in its place", () =>
    Effect.gen(function* () {
      yield* emptyTables
      const fact = activityFact(
        `{"metadata":{"uid":"00000000-0000-0000-0000-000000000001"},"spec":{"summary":"a\\ud800","timestamp":"2026-11-21T10:00:00Z"}}`,
        1
      )
      yield* storeFacts({ activity: [fact] })
      for (const [source, found] of [
        ["spec.summary == 'a\ufffd'", 1],
        ["spec.summary == 'a\ud800'", 1],
        ["spec.summary == 'a'", 0]
      ] as const) {
        const filter = filterOf("activity", source)
        assert.strictEqual((yield* foundBySql("activity", filter)).length, found)
        assert.strictEqual(foundByPredicate([fact], filter).length, found)
      }
    })
  )
})
