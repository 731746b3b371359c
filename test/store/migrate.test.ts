import { cp, readFile, writeFile } from "node:fs/promises"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, type Scope } from "effect"
import { ClickHouse } from "../../src/clients/clickhouse/ClickHouse.ts"
import { migrate, retentionDefault } from "../../src/store/migrate.ts"
import { statementsFrom } from "../../src/store/statements.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"
import { emptyLayer } from "./storeLayer.ts"

const migrations = new URL("../../migrations/", import.meta.url).pathname

/** A copy of the real migrations that a test may change. */
const copiedMigrations = Effect.acquireRelease(
  Effect.promise(async () => {
    const folder = await temporaryFolder("migrations")
    await cp(migrations, folder.path, { recursive: true })
    return folder
  }),
  (folder) => Effect.promise(folder.remove)
).pipe(Effect.map((folder) => folder.path))

const tables = ClickHouse.use((clickhouse) =>
  clickhouse.query({ sql: "SELECT name, engine FROM system.tables WHERE database = currentDatabase() ORDER BY name" })
)

const allTables = [
  { name: "activities", engine: "ReplacingMergeTree" },
  { name: "audit_logs", engine: "ReplacingMergeTree" },
  { name: "k8s_events", engine: "ReplacingMergeTree" },
  { name: "schema_migrations", engine: "ReplacingMergeTree" }
]

const withDatabase = <A, E>(effect: Effect.Effect<A, E, ClickHouse | Scope.Scope>) =>
  effect.pipe(Effect.provide(Layer.fresh(emptyLayer)), Effect.scoped)

describe("migrate", () => {
  it.live(
    "creates the tables once; again does nothing",
    () =>
      withDatabase(
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* migrate(), ["0001_initial.sql"])
          assert.deepStrictEqual(yield* tables, allTables)
          assert.deepStrictEqual(yield* migrate(), [])
          assert.deepStrictEqual(yield* tables, allTables)
        })
      ),
    60_000
  )

  it.live(
    "two at once leave one schema, recorded once",
    () =>
      withDatabase(
        Effect.gen(function* () {
          yield* Effect.all([migrate(), migrate()], { concurrency: 2 })
          assert.deepStrictEqual(yield* tables, allTables)
          const recorded = yield* ClickHouse.use((clickhouse) =>
            clickhouse.query({ sql: "SELECT name FROM schema_migrations FINAL" })
          )
          assert.deepStrictEqual(recorded, [{ name: "0001_initial.sql" }])
        })
      ),
    60_000
  )

  it.live(
    "an applied file that was changed is refused by its name",
    () =>
      withDatabase(
        Effect.gen(function* () {
          const folder = yield* copiedMigrations
          yield* migrate({ folder })
          const file = `${folder}/0001_initial.sql`
          yield* Effect.promise(async () => writeFile(file, `${await readFile(file, "utf8")}\n-- a word more`))
          const error = yield* Effect.flip(migrate({ folder }))
          assert.strictEqual(error._tag === "MigrateError" ? error.reason._tag : error._tag, "MigrationChanged")
          assert.include(error.message, "0001_initial.sql")
        })
      ),
    60_000
  )

  it.live(
    "a database that a newer program migrated is refused",
    () =>
      withDatabase(
        Effect.gen(function* () {
          const folder = yield* copiedMigrations
          yield* Effect.promise(() =>
            writeFile(
              `${folder}/0002_future.sql`,
              "CREATE TABLE IF NOT EXISTS {DATABASE}.future {ON_CLUSTER} (n UInt8) ENGINE = MergeTree ORDER BY n;"
            )
          )
          assert.deepStrictEqual(yield* migrate({ folder }), ["0001_initial.sql", "0002_future.sql"])
          const error = yield* Effect.flip(migrate())
          assert.strictEqual(error._tag === "MigrateError" ? error.reason._tag : error._tag, "SchemaNewer")
          assert.include(error.message, "0002_future.sql")
        })
      ),
    60_000
  )

  it.live(
    "a run that failed half-way is finished by the next one",
    () =>
      withDatabase(
        Effect.gen(function* () {
          const folder = yield* copiedMigrations
          const second = `${folder}/0002_two_tables.sql`
          const table = (name: string, type: string) =>
            `CREATE TABLE IF NOT EXISTS {DATABASE}.${name} (n ${type}) ENGINE = MergeTree ORDER BY n;`
          yield* Effect.promise(() => writeFile(second, table("first", "UInt8") + table("second", "NoSuchType")))
          const error = yield* Effect.flip(migrate({ folder }))
          assert.strictEqual(error._tag, "ClickHouseError")
          yield* Effect.promise(() => writeFile(second, table("first", "UInt8") + table("second", "UInt8")))
          assert.deepStrictEqual(yield* migrate({ folder }), ["0002_two_tables.sql"])
        })
      ),
    60_000
  )

  it.live(
    "retention is a setting: it changes the TTL, and an operator's tiers stay",
    () =>
      withDatabase(
        Effect.gen(function* () {
          const clickhouse = yield* ClickHouse
          const ttlOf = (table: string) =>
            clickhouse
              .query({
                sql: "SELECT extract(engine_full, 'TTL (.*?) SETTINGS') AS ttl FROM system.tables WHERE database = currentDatabase() AND name = {table:String}",
                parameters: { table }
              })
              .pipe(Effect.map((rows) => rows[0]?.["ttl"]))
          yield* migrate()
          assert.strictEqual(yield* ttlOf("audit_logs"), "toDateTime(ts) + toIntervalDay(365)")
          assert.strictEqual(yield* ttlOf("activities"), "toDateTime(ts) + toIntervalDay(60)")
          assert.strictEqual(yield* ttlOf("k8s_events"), "toDateTime(last_ts) + toIntervalDay(60)")
          yield* clickhouse.command(
            "ALTER TABLE k8s_events MODIFY TTL toDateTime(last_ts) + INTERVAL 1 DAY TO VOLUME 'default', toDateTime(last_ts) + INTERVAL 9 DAY"
          )
          yield* migrate({ retention: { ...retentionDefault, auditDays: 30, activityDays: 6, eventDays: 6 } })
          assert.strictEqual(yield* ttlOf("audit_logs"), "toDateTime(ts) + toIntervalDay(30)")
          assert.strictEqual(yield* ttlOf("activities"), "toDateTime(ts) + toIntervalDay(6)")
          assert.include(yield* ttlOf("k8s_events"), "toIntervalDay(9)")
        })
      ),
    60_000
  )
})

describe("statementsFrom", () => {
  it("splits at semicolons that are not inside of strings, names or comments", () => {
    assert.deepStrictEqual(
      statementsFrom("-- a; b\nSELECT ';' || 'it''s;' || 'a\\';b'; /* ; */ SELECT `a;b`, \"c;d\" -- end;\n;\n;"),
      ["SELECT ';' || 'it''s;' || 'a\\';b'", 'SELECT `a;b`, "c;d"']
    )
  })
})
