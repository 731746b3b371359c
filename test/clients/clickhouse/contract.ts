/**
 * What both layers of ClickHouse promise. The HTTP layer passes it through a bridge in front of the embedded engine
 * (not a server), or on a server when CLICKHOUSE_URL is set.
 */
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Layer, Schedule } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import { ClickHouse, type ClickHouseError } from "../../../src/clients/clickhouse/ClickHouse.ts"
import type { ClickHouseSetupError } from "../../../src/clients/clickhouse/setupErrors.ts"

const createTable = Effect.fnUntraced(function* (name: string, columns: string) {
  const clickhouse = yield* ClickHouse
  yield* clickhouse.command(`DROP TABLE IF EXISTS ${name}`)
  yield* clickhouse.command(
    `CREATE TABLE ${name} (${columns}) ENGINE = MergeTree ORDER BY tuple() SETTINGS non_replicated_deduplication_window = 100`
  )
  return clickhouse
})

const reasonOf = (effect: Effect.Effect<unknown, ClickHouseError, ClickHouse>) =>
  Effect.map(Effect.flip(effect), (error) => error.reason)

/** Looks again and again, on the machine's clock: the tests' own stands still. */
const until = <E>(look: Effect.Effect<boolean, E, ClickHouse>) =>
  TestClock.withLive(Effect.repeat(look, { schedule: Schedule.spaced("20 millis"), until: (found) => found }))

const createDatabase = Layer.effectDiscard(ClickHouse.use((clickhouse) => clickhouse.createDatabase("")))

export const clickHouseContract = (name: string, clickhouseLayer: Layer.Layer<ClickHouse, ClickHouseSetupError>) =>
  layer(createDatabase.pipe(Layer.provideMerge(clickhouseLayer)), { timeout: 60_000 })(name, (it) => {
    it.effect("ping answers", () => ClickHouse.use((clickhouse) => clickhouse.ping))

    it.effect("rows come back in the order of the statement, integers of 64 bits and more as text", () =>
      Effect.gen(function* () {
        const clickhouse = yield* ClickHouse
        const rows = yield* clickhouse.query({
          sql:
            "SELECT toUInt64(toUInt64('18446744073709551615') - number) AS big, toInt32(number) AS small, " +
            "toUInt128('340282366920938463463374607431768211455') AS huge FROM numbers(2) ORDER BY number SETTINGS max_threads=1"
        })
        assert.deepStrictEqual(rows, [
          { big: "18446744073709551615", small: 0, huge: "340282366920938463463374607431768211455" },
          { big: "18446744073709551614", small: 1, huge: "340282366920938463463374607431768211455" }
        ])
      })
    )

    it.effect("parameters of every type arrive as they were given", () =>
      Effect.gen(function* () {
        const clickhouse = yield* ClickHouse
        const rows = yield* clickhouse.query({
          sql:
            "SELECT {text:String} AS text, {count:UInt32} AS count, {part:Float64} AS part, {flag:Bool} AS flag, " +
            "toString({time:DateTime64(6, 'UTC')}) AS time, {names:Array(String)} AS names, {codes:Array(UInt16)} AS codes, " +
            "{id:UUID} AS id, 'b' IN {names:Array(String)} AS member LIMIT {count:UInt32}",
          parameters: {
            text: "a",
            count: 3,
            part: 1.5,
            flag: true,
            time: "2026-11-21 10:00:00.123456",
            names: ["b", "c"],
            codes: [200, 404],
            id: "e8c8a41c-b3db-5888-8f30-5852bc956004"
          }
        })
        assert.deepStrictEqual(rows, [
          {
            text: "a",
            count: 3,
            part: 1.5,
            flag: true,
            time: "2026-11-21 10:00:00.123456",
            names: ["b", "c"],
            codes: [200, 404],
            id: "e8c8a41c-b3db-5888-8f30-5852bc956004",
            member: 1
          }
        ])
      })
    )

    it.effect("no text can leave its parameter", () =>
      Effect.gen(function* () {
        const clickhouse = yield* ClickHouse
        const hostile = fc.string({
          unit: fc.oneof(
            fc.constantFrom("'", "\\", "\0", "\n", "\t", "{x:String}", "--", "]", ",", "`", "%27"),
            fc.string({ unit: "grapheme", maxLength: 3 })
          ),
          maxLength: 12
        })
        // One statement for many texts: 200 samples, each once alone and once in an array.
        const texts = fc.sample(hostile, 200).map((text) => text.toWellFormed())
        const sql = `SELECT [${texts.map((_, index) => `{t${index}:String}`).join(", ")}] AS texts, {all:Array(String)} AS all`
        const parameters = { ...Object.fromEntries(texts.map((text, index) => [`t${index}`, text])), all: texts }
        const [row] = yield* clickhouse.query({ sql, parameters })
        assert.deepStrictEqual(row, { texts, all: texts })
      })
    )

    it.effect("an insert stores its rows once per token, and times to the microsecond", () =>
      Effect.gen(function* () {
        const clickhouse = yield* createTable("tokens", "n UInt64, t DateTime64(6, 'UTC'), text String")
        const line = (n: number) =>
          JSON.stringify({ n, t: "2026-11-21T10:00:00.123456Z", text: "zażółć 'gęślą' \\ \u0000 日本" })
        yield* clickhouse.insert({ table: "tokens", lines: [line(1), line(2)], token: "one" })
        yield* clickhouse.insert({ table: "tokens", lines: [line(1), line(2)], token: "one" })
        yield* clickhouse.insert({ table: "tokens", lines: [line(1)], token: "two" })
        assert.deepStrictEqual(
          yield* clickhouse.query({ sql: "SELECT n, toString(t) AS t, text FROM tokens ORDER BY n" }),
          ["1", "1", "2"].map((n) => ({ n, t: "2026-11-21 10:00:00.123456", text: "zażółć 'gęślą' \\ \u0000 日本" }))
        )
      })
    )

    it.effect("an insert of several megabytes arrives whole", () =>
      Effect.gen(function* () {
        const clickhouse = yield* createTable("large", "n UInt32, text String")
        const lines = Array.from({ length: 5_000 }, (_, n) => JSON.stringify({ n, text: "é".repeat(500) }))
        yield* clickhouse.insert({ table: "large", lines, token: "large" })
        assert.deepStrictEqual(
          yield* clickhouse.query({
            sql: "SELECT toUInt32(count()) AS rows, toUInt32(sum(length(text))) AS bytes FROM large"
          }),
          [{ rows: 5_000, bytes: 5_000_000 }]
        )
      })
    )

    it.effect("a JSON object for a column of text is stored as it stands", () =>
      Effect.gen(function* () {
        const clickhouse = yield* createTable("objects", "n UInt32, text String, after String")
        const objects = [
          "{}",
          '{"a":"b\\"}{","c":[1, 2,{"x":"\\\\"}],"u":"\\ud800 ü \\u00e9","n":1.50e3 ,\n\t"e" : {"f":"]"}}',
          `{"long":"${'x{\\"'.repeat(100_000)}"}`,
          `{"deep":${"[".repeat(3_000)}${"]".repeat(3_000)}}`
        ]
        const lines = objects.map((text, n) => `{"n":${n},"text":${text},"after":"it"}`)
        yield* clickhouse.insert({ table: "objects", lines, token: "objects" })
        assert.deepStrictEqual(
          yield* clickhouse.query({ sql: "SELECT text, after FROM objects ORDER BY n" }),
          objects.map((text) => ({ text, after: "it" }))
        )
      })
    )

    it.effect("an insert without rows does nothing", () =>
      ClickHouse.use((clickhouse) => clickhouse.insert({ table: "missing", lines: [], token: "none" }))
    )

    it.effect("a row that cannot be read refuses its whole batch", () =>
      Effect.gen(function* () {
        const clickhouse = yield* createTable("poison", "n UInt64")
        const reason = yield* reasonOf(
          clickhouse.insert({ table: "poison", lines: ['{"n":1}', '{"n":"x"}'], token: "t" })
        )
        assert.strictEqual(reason._tag, "ClickHouseRefused")
        assert.isFalse(reason.retryable)
        assert.deepStrictEqual(yield* clickhouse.query({ sql: "SELECT n FROM poison" }), [])
      })
    )

    it.effect("a row that cannot be read, behind 24 megabytes that can, refuses its whole batch", () =>
      Effect.gen(function* () {
        const clickhouse = yield* createTable("poison_last", "n UInt64, text String")
        const lines = Array.from({ length: 12_000 }, (_, n) => JSON.stringify({ n, text: "x".repeat(2_000) }))
        const insert = (last: string) =>
          clickhouse.insert({ table: "poison_last", lines: [...lines, last], token: last })
        const reason = yield* reasonOf(insert('{"n":"x"}'))
        assert.strictEqual(reason._tag, "ClickHouseRefused")
        assert.deepStrictEqual(yield* clickhouse.query({ sql: "SELECT n FROM poison_last" }), [])
        yield* insert('{"n":12000}')
        assert.deepStrictEqual(
          yield* clickhouse.query({
            sql: "SELECT toUInt32(count()) AS rows, toUInt32(uniqExact(_part)) AS parts FROM poison_last"
          }),
          [{ rows: 12_001, parts: 1 }]
        )
      })
    )

    it.effect("a column that the table does not have is refused, not dropped", () =>
      Effect.gen(function* () {
        const clickhouse = yield* createTable("narrow", "n UInt64")
        const reason = yield* reasonOf(clickhouse.insert({ table: "narrow", lines: ['{"n":1,"m":2}'], token: "t" }))
        assert.deepInclude(reason, { _tag: "ClickHouseRefused", code: 117 })
      })
    )

    // ClickHouse's ErrorCodes.cpp: UNKNOWN_IDENTIFIER, SYNTAX_ERROR, UNKNOWN_TABLE.
    it.effect("a wrong statement is refused with the engine's code", () =>
      Effect.gen(function* () {
        const clickhouse = yield* ClickHouse
        for (const [sql, code] of [
          ["SELECT nothing", 47],
          ["SELEC 1", 62],
          ["SELECT 1 FROM no_such_table", 60]
        ] as const) {
          assert.deepInclude(yield* reasonOf(clickhouse.query({ sql })), { _tag: "ClickHouseRefused", code })
        }
      })
    )

    it.effect("a statement that runs longer than it may is too expensive", () =>
      Effect.gen(function* () {
        const clickhouse = yield* ClickHouse
        const reason = yield* reasonOf(
          clickhouse.query({
            sql: "SELECT sum(cityHash64(number)) FROM numbers(100000000000) SETTINGS max_execution_time=1"
          })
        )
        assert.deepInclude(reason, { _tag: "QueryTooExpensive", code: 159 })
      })
    )

    it.effect("a statement that reads more than it may is too expensive", () =>
      Effect.gen(function* () {
        const clickhouse = yield* ClickHouse
        const reason = yield* reasonOf(
          clickhouse.query({ sql: "SELECT sum(number) FROM numbers(1000) SETTINGS max_rows_to_read=10" })
        )
        assert.deepInclude(reason, { _tag: "QueryTooExpensive", code: 158 })
      })
    )

    it.effect("a statement that needs more memory than it may can be repeated", () =>
      Effect.gen(function* () {
        const clickhouse = yield* ClickHouse
        const reason = yield* reasonOf(
          clickhouse.query({
            sql: "SELECT length(groupArray(number)) FROM numbers(10000000) SETTINGS max_memory_usage=1000000"
          })
        )
        assert.strictEqual(reason._tag, "ClickHouseUnavailable")
        assert.isTrue(reason.retryable)
      })
    )

    it.effect("settings of one statement are gone in the next ones", () =>
      Effect.gen(function* () {
        const clickhouse = yield* ClickHouse
        yield* Effect.forEach(
          Array.from({ length: 8 }),
          () => clickhouse.query({ sql: "SELECT 1 SETTINGS max_rows_to_read=10" }),
          { concurrency: 8 }
        )
        const rows = yield* Effect.forEach(
          Array.from({ length: 8 }),
          () => clickhouse.query({ sql: "SELECT toUInt32(count()) AS c FROM numbers(1000)" }),
          { concurrency: 8 }
        )
        assert.deepStrictEqual(
          rows,
          Array.from({ length: 8 }, () => [{ c: 1000 }])
        )
      })
    )

    it.effect("twenty statements with parameters at once do not mix", () =>
      Effect.gen(function* () {
        const clickhouse = yield* ClickHouse
        const texts = Array.from({ length: 20 }, (_, index) => `value ${index}`)
        const rows = yield* Effect.forEach(
          texts,
          (own) => clickhouse.query({ sql: "SELECT {own:String} AS own", parameters: { own } }),
          { concurrency: 20 }
        )
        assert.deepStrictEqual(
          rows,
          texts.map((own) => [{ own }])
        )
      })
    )

    it.effect("a statement that nobody waits for any more is stopped where it runs", () =>
      Effect.gen(function* () {
        const clickhouse = yield* ClickHouse
        // Minutes, if nobody stops it.
        const sql = "SELECT count() AS endless FROM numbers(1000000000000) WHERE sipHash64(number) = 1"
        const running = Effect.fnUntraced(function* (rowsReadMin: number) {
          const rows = yield* clickhouse.query({
            sql: `SELECT 1 FROM system.processes WHERE query LIKE 'SELECT count() AS endless%' AND read_rows >= ${rowsReadMin}`
          })
          return rows.length > 0
        })
        const fiber = yield* Effect.forkChild(clickhouse.query({ sql }))
        yield* until(running(1))
        yield* Fiber.interrupt(fiber)
        yield* until(Effect.map(running(0), (found) => !found))
      })
    )

    it.effect("what a statement gave before it failed, or was stopped, stands before nobody else's rows", () =>
      Effect.gen(function* () {
        const clickhouse = yield* ClickHouse
        const rows = "'other' AS whose, number FROM numbers(1000000)"
        const failing = [
          `SELECT throwIf(number = 900000), ${rows} SETTINGS max_block_size=1000`,
          `SELECT sleepEachRow(0.0001), ${rows} SETTINGS max_block_size=1000, max_execution_time=0.3`
        ]
        const own = clickhouse.query({ sql: "SELECT 'own' AS whose" })
        for (const sql of failing) {
          yield* Effect.flip(clickhouse.query({ sql }))
          // Over every connection that there is, some of them at once.
          for (let round = 0; round < 3; round++) {
            for (const found of yield* Effect.all([own, own, own], { concurrency: 3 })) {
              assert.deepStrictEqual(found, [{ whose: "own" }])
            }
          }
        }
        for (const rowsReadMin of [1_000, 10_000, 50_000]) {
          const marker = `stopped-${rowsReadMin}`
          const stopped = yield* Effect.forkChild(
            clickhouse.query({ sql: `SELECT '${marker}', sleepEachRow(0.00001), ${rows} SETTINGS max_block_size=1000` })
          )
          const reading = clickhouse.query({
            sql:
              `SELECT 1 FROM system.processes WHERE query LIKE concat('%', 'stopped', '-${rowsReadMin}%') ` +
              `AND read_rows >= ${rowsReadMin}`
          })
          yield* until(Effect.map(reading, (found) => found.length > 0))
          yield* Fiber.interrupt(stopped)
          for (const found of yield* Effect.all([own, own, own], { concurrency: 3 })) {
            assert.deepStrictEqual(found, [{ whose: "own" }])
          }
        }
      })
    )

    it.effect("after a statement is interrupted, others run", () =>
      Effect.gen(function* () {
        const clickhouse = yield* ClickHouse
        yield* clickhouse
          .query({ sql: "SELECT sum(cityHash64(number)) FROM numbers(100000000000) SETTINGS max_execution_time=2" })
          .pipe(Effect.raceFirst(clickhouse.query({ sql: "SELECT 1" })))
        assert.deepStrictEqual(yield* clickhouse.query({ sql: "SELECT 2 AS two" }), [{ two: 2 }])
      })
    )
  })
