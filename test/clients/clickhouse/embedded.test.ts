import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { mkdirSync, readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { ClickHouse } from "../../../src/clients/clickhouse/ClickHouse.ts"
import { layerFromUrl } from "../../../src/clients/clickhouse/layerFromUrl.ts"
import { eventually } from "../../support/eventually.ts"
import { temporaryFolder } from "../../support/temporaryFolder.ts"
import { clickHouseContract } from "./contract.ts"

const embedded = Layer.unwrap(
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(() => temporaryFolder("embedded")),
      (made) => Effect.promise(made.remove)
    ),
    (folder) => layerFromUrl(`embedded:${folder.path}`)
  )
)

clickHouseContract("the embedded engine", embedded)

it.live("the engine's caches and threads are bounded as a guest's", () =>
  Effect.gen(function* () {
    const rows = yield* ClickHouse.use((clickhouse) =>
      clickhouse.query({
        sql:
          "SELECT sumIf(toUInt64(value), name LIKE '%cache_size') / 1048576 AS cachesMiB, " +
          "sumIf(toUInt64(value), name NOT LIKE '%cache_size') AS threads " +
          "FROM system.server_settings WHERE name IN ('mark_cache_size', 'index_mark_cache_size', " +
          "'text_index_tokens_cache_size', 'text_index_header_cache_size', 'text_index_postings_cache_size', " +
          "'max_parts_cleaning_thread_pool_size', 'max_thread_pool_free_size')"
      })
    )
    assert.deepStrictEqual(
      rows.map(({ cachesMiB, threads }) => [Number(cachesMiB), Number(threads)]),
      [[320, 18]]
    )
  }).pipe(Effect.provide(embedded))
)

it.live("a folder whose name is a pattern takes inserts, and no file of them stays, nor of a process before", () =>
  Effect.gen(function* () {
    const parent = yield* Effect.acquireRelease(
      Effect.promise(() => temporaryFolder("pattern")),
      (made) => Effect.promise(made.remove)
    )
    const folder = join(parent.path, "a{b,c}*[d] 'e'\\f")
    const inserts = join(folder, "inserts")
    mkdirSync(inserts, { recursive: true })
    writeFileSync(join(inserts, "left"), '{"n":9}')
    const rows = yield* Effect.gen(function* () {
      const clickhouse = yield* ClickHouse
      yield* clickhouse.command("CREATE TABLE numbers (n UInt8) ENGINE = MergeTree ORDER BY n")
      yield* clickhouse.insert({ table: "numbers", lines: ['{"n":1}'], token: "one" })
      const refused = Effect.flip(clickhouse.insert({ table: "numbers", lines: ['{"n":"x"}'], token: "two" }))
      assert.strictEqual((yield* refused).message, (yield* refused).message)
      return yield* clickhouse.query({ sql: "SELECT n FROM numbers" })
    }).pipe(Effect.provide(layerFromUrl(`embedded:${folder}`)))
    assert.deepStrictEqual(rows, [{ n: 1 }])
    yield* Effect.promise(() => eventually("no file is left", () => readdirSync(inserts).length === 0))
  })
)

/** Runs for five seconds, then fails: the engine cannot be interrupted. */
const busy = ClickHouse.use((clickhouse) =>
  clickhouse.query({ sql: "SELECT sum(cityHash64(number)) FROM numbers(100000000000) SETTINGS max_execution_time=5" })
)

it.live("three long reads leave a connection for writes, and the next read waits its turn", () =>
  Effect.gen(function* () {
    const clickhouse = yield* ClickHouse
    let ended = 0
    const counted = busy.pipe(Effect.ignore, Effect.tap(Effect.sync(() => ended++)))
    yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(counted, { startImmediately: true }))
    yield* clickhouse.command("CREATE TABLE beside (n UInt8) ENGINE = MergeTree ORDER BY n")
    yield* clickhouse.insert({ table: "beside", lines: ['{"n":1}'], token: "t" })
    assert.strictEqual(ended, 0)
    assert.deepStrictEqual(yield* clickhouse.query({ sql: "SELECT n FROM beside" }), [{ n: 1 }])
    assert.isAtLeast(ended, 1)
  }).pipe(Effect.provide(embedded))
)

it.live("statements beyond what may wait are told to come again", () =>
  Effect.gen(function* () {
    const clickhouse = yield* ClickHouse
    const results = yield* Effect.forEach(
      Array.from({ length: 400 }),
      () =>
        clickhouse
          .query({ sql: "SELECT 1" })
          .pipe(Effect.match({ onFailure: (error) => error.reason._tag, onSuccess: () => "rows" })),
      { concurrency: "unbounded" }
    )
    const refused = results.filter((result) => result !== "rows")
    assert.isAtLeast(refused.length, 1)
    assert.isTrue(refused.every((tag) => tag === "ClickHouseUnavailable"))
    assert.isAtLeast(results.length - refused.length, 256)
  }).pipe(Effect.provide(embedded))
)
