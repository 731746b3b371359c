import { assert, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import { ClickHouse, ClickHouseError, ClickHouseUnavailable } from "../../src/clients/clickhouse/ClickHouse.ts"
import { insertLengthMax, insertRows } from "../../src/store/insertRows.ts"
import type { StoredLine } from "../../src/store/rows.ts"
import { activityRow, emptyTables, store, storeLayer } from "./storeLayer.ts"

const stored = ClickHouse.use((clickhouse) =>
  clickhouse.query({
    sql: "SELECT origin_id AS origin, toUInt32(seq) AS seq, summary FROM activities FINAL ORDER BY toUInt32(seq)"
  })
)

const poison = (name: string): StoredLine => ({ id: name, ver: "1", line: JSON.stringify({ id: name, ver: "1" }) })

layer(storeLayer, { timeout: 60_000 })("insertRows", (it) => {
  it.effect("the newest order stays, whatever the order of arrival", () =>
    Effect.gen(function* () {
      yield* emptyTables
      const sight = (order: bigint, sequence: number) => ({ origin: "pod", order, sequence, summary: `order ${order}` })
      yield* store([sight(30n, 300)])
      // A late leader publishes an older sight, which the stream gives a higher sequence.
      yield* store([sight(20n, 400)])
      yield* store([sight(10n, 1), sight(20n, 2)])
      assert.deepStrictEqual(yield* stored, [{ origin: "pod", seq: 300, summary: "order 30" }])
    })
  )

  it.effect("within one order the highest sequence stays", () =>
    Effect.gen(function* () {
      yield* emptyTables
      yield* store([{ origin: "pod", sequence: 8, summary: "reindexed" }])
      yield* store([{ origin: "pod", sequence: 5, summary: "live" }])
      assert.deepStrictEqual(yield* stored, [{ origin: "pod", seq: 8, summary: "reindexed" }])
    })
  )

  it.effect("redelivery in other batches stores each row once", () =>
    Effect.gen(function* () {
      yield* emptyTables
      const rows = Array.from({ length: 100 }, (_, sequence) => ({ origin: `o${sequence}`, sequence }))
      yield* store(rows.slice(0, 60))
      yield* store(rows.slice(0, 60))
      yield* store(rows.slice(40, 100))
      yield* store(rows.slice(10, 70))
      assert.deepStrictEqual(
        (yield* stored).map((row) => row["seq"]),
        rows.map((row) => row.sequence)
      )
    })
  )

  it.effect("a deleted activity is gone, and an older sight that comes later does not bring it back", () =>
    Effect.gen(function* () {
      yield* emptyTables
      yield* store([
        { origin: "a", sequence: 1 },
        { origin: "b", sequence: 2 }
      ])
      yield* store([{ origin: "a", sequence: 3, mark: "deleted" }])
      yield* store([{ origin: "a", sequence: 1 }])
      assert.deepStrictEqual(
        (yield* stored).map((row) => row["origin"]),
        ["b"]
      )
    })
  )

  it.effect("no text is poison: halves of surrogate pairs, NUL, and whatever looks like JSON", () =>
    Effect.gen(function* () {
      yield* emptyTables
      const summaries = [
        "half \ud83d",
        "\ude00 other half",
        "pair \ud83d\ude00",
        "nul \u0000",
        "\\ud83d",
        '"}{"ver":"9"',
        "\n\r\t\\"
      ]
      yield* store(summaries.map((summary, sequence) => ({ origin: `o${sequence}`, sequence, summary })))
      assert.deepStrictEqual(
        (yield* stored).map((row) => row["summary"]),
        summaries.map((summary) => summary.toWellFormed())
      )
    })
  )

  it.effect("poison rows are set aside one by one, and all others stored", () =>
    Effect.gen(function* () {
      yield* emptyTables
      const good = Array.from({ length: 61 }, (_, sequence) => activityRow({ origin: `o${sequence}`, sequence }))
      const rows = [poison("first"), ...good.slice(0, 30), poison("middle"), ...good.slice(30), poison("last")]
      const setAside: Array<string> = []
      const count = yield* insertRows({
        table: "activities",
        rows,
        onPoison: (row, refused) => Effect.sync(() => void setAside.push(`${row.id} ${refused.code}`))
      })
      // 376 is CANNOT_PARSE_UUID.
      assert.deepStrictEqual(setAside, ["first 376", "middle 376", "last 376"])
      assert.strictEqual(count, 61)
      assert.strictEqual((yield* stored).length, 61)
    })
  )

  it.effect("a missing table, or a column that the schema does not have, sets no row aside", () =>
    Effect.gen(function* () {
      yield* emptyTables
      const unexpected = () => Effect.die("a row was set aside")
      const clickhouse = yield* ClickHouse
      const row = activityRow({ origin: "a", sequence: 1 })
      const newer = { ...row, line: row.line.replace("{", '{"column_of_tomorrow":1,') }
      const unknownColumn = yield* Effect.flip(
        insertRows({ table: "activities", rows: [newer, newer], onPoison: unexpected })
      )
      assert.deepInclude(unknownColumn.reason, { _tag: "ClickHouseRefused", code: 117 })
      yield* clickhouse.command("RENAME TABLE activities TO elsewhere")
      const missing = yield* Effect.flip(insertRows({ table: "activities", rows: [row], onPoison: unexpected }))
      yield* clickhouse.command("RENAME TABLE elsewhere TO activities")
      assert.deepInclude(missing.reason, { _tag: "ClickHouseRefused", code: 60 })
    })
  )

  it.effect("an engine that is away fails the batch, and the same batch again is stored once", () =>
    Effect.gen(function* () {
      yield* emptyTables
      const clickhouse = yield* ClickHouse
      let calls = 0
      // The first answer is lost after the rows were stored: what a cut connection looks like.
      const losing = ClickHouse.of({
        ...clickhouse,
        insert: (options) =>
          clickhouse
            .insert(options)
            .pipe(
              Effect.andThen(
                Effect.suspend(() =>
                  ++calls === 1
                    ? Effect.fail(new ClickHouseError({ reason: new ClickHouseUnavailable({ cause: "cut" }) }))
                    : Effect.void
                )
              )
            )
      })
      const rows = [activityRow({ origin: "a", sequence: 1 }), poison("x"), activityRow({ origin: "b", sequence: 2 })]
      const setAside: Array<string> = []
      const attempt = insertRows({
        table: "activities",
        rows,
        onPoison: (row) => Effect.sync(() => void setAside.push(row.id))
      }).pipe(Effect.provideService(ClickHouse, losing))
      assert.strictEqual((yield* Effect.flip(attempt)).reason._tag, "ClickHouseUnavailable")
      assert.strictEqual(yield* attempt, 2)
      assert.deepStrictEqual(setAside, ["x"])
      assert.deepStrictEqual(
        (yield* stored).map((row) => row["origin"]),
        ["a", "b"]
      )
      // Not even as versions that FINAL would hide: the token told that the block was stored.
      const all = yield* clickhouse.query({ sql: "SELECT toUInt32(count()) AS count FROM activities" })
      assert.deepStrictEqual(all, [{ count: 2 }])
    })
  )
})

it.effect("a batch that is too long for one insert goes in parts, in its order", () =>
  Effect.gen(function* () {
    const inserts: Array<ReadonlyArray<string>> = []
    const listening = ClickHouse.of({
      database: "none",
      createDatabase: () => Effect.die("not used"),
      query: () => Effect.die("not used"),
      command: () => Effect.die("not used"),
      ping: Effect.die("not used"),
      insert: ({ lines }) => Effect.sync(() => void inserts.push(lines))
    })
    const rows = [0.4, 0.4, 0.4, 0.1, 0.1, 2, 0.1].map((part, index) => ({
      id: String(index),
      ver: "1",
      line: String(index).repeat(Math.floor(insertLengthMax * part))
    }))
    const count = yield* insertRows({ table: "activities", rows, onPoison: () => Effect.die("not used") }).pipe(
      Effect.provideService(ClickHouse, listening)
    )
    assert.strictEqual(count, 7)
    assert.deepStrictEqual(
      inserts.flat().map((line) => line[0]),
      ["0", "1", "2", "3", "4", "5", "6"]
    )
    for (const lines of inserts.filter((one) => one.length > 1)) {
      assert.isAtMost(
        lines.reduce((sum, line) => sum + line.length, 0),
        insertLengthMax
      )
    }
    // The row that alone is too long goes alone, and the engine decides.
    assert.isTrue(inserts.some((lines) => lines.length === 1 && lines[0]![0] === "5"))
  })
)
