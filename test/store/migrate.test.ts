import { cp, readFile, rm, writeFile } from "node:fs/promises"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, type Scope } from "effect"
import { ClickHouse } from "../../src/clients/clickhouse/ClickHouse.ts"
import { FactQueries } from "../../src/store/FactQueries.ts"
import type { FactWindow } from "../../src/store/factWindow.ts"
import { migrate } from "../../src/store/migrate.ts"
import { statementsFrom } from "../../src/store/statements.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"
import { emptyLayer, store } from "./storeLayer.ts"

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

const allMigrations = ["0001_initial.sql", "0002_cheaper_reads.sql", "0003_sequence_decodes_fast.sql"]

const withDatabase = <A, E>(effect: Effect.Effect<A, E, ClickHouse | Scope.Scope>) =>
  effect.pipe(Effect.provide(Layer.fresh(emptyLayer)), Effect.scoped)

describe("migrate", () => {
  it.live(
    "creates the tables once; again does nothing",
    () =>
      withDatabase(
        Effect.gen(function* () {
          assert.deepStrictEqual((yield* migrate()).applied, allMigrations)
          assert.deepStrictEqual(yield* tables, allTables)
          assert.deepStrictEqual(yield* migrate(), { applied: [], retentionChanges: [], tieredTables: [] })
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
            clickhouse.query({ sql: "SELECT name FROM schema_migrations FINAL ORDER BY name" })
          )
          assert.deepStrictEqual(
            recorded,
            allMigrations.map((name) => ({ name }))
          )
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
              `${folder}/9999_future.sql`,
              "CREATE TABLE IF NOT EXISTS {DATABASE}.future {ON_CLUSTER} (n UInt8) ENGINE = MergeTree ORDER BY n;"
            )
          )
          assert.deepStrictEqual((yield* migrate({ folder })).applied, [...allMigrations, "9999_future.sql"])
          const error = yield* Effect.flip(migrate())
          assert.strictEqual(error._tag === "MigrateError" ? error.reason._tag : error._tag, "SchemaNewer")
          assert.include(error.message, "9999_future.sql")
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
          assert.deepStrictEqual((yield* migrate({ folder })).applied, [
            "0002_two_tables.sql",
            ...allMigrations.slice(2)
          ])
        })
      ),
    60_000
  )

  it.live(
    "what was stored before the newest migration is read after it, and stored again",
    () =>
      withDatabase(
        Effect.gen(function* () {
          const folder = yield* copiedMigrations
          yield* Effect.promise(() => Promise.all(allMigrations.slice(1).map((name) => rm(`${folder}/${name}`))))
          assert.deepStrictEqual((yield* migrate({ folder })).applied, allMigrations.slice(0, 1))
          yield* store([
            { origin: "a", sequence: 1, actorUid: "u1" },
            { origin: "b", sequence: 2, actorUid: "u2" }
          ])
          assert.deepStrictEqual((yield* migrate()).applied, allMigrations.slice(1))
          yield* store([
            { origin: "b", sequence: 3, actorUid: "u2", summary: "corrected" },
            { origin: "c", sequence: 4, actorUid: "u1" }
          ])
          const window = { start: "2026-11-21T09:30:00Z", end: "2026-11-21T10:30:00Z" }
          const sequences = (scope: FactWindow["scope"]) =>
            FactQueries.use((queries) => queries.page({ kind: "activity", scope, ...window }, { limit: 10 })).pipe(
              Effect.map(({ facts }) => facts.map(({ sequence }) => sequence).toSorted()),
              Effect.provide(FactQueries.layer)
            )
          assert.deepStrictEqual(yield* sequences({ _tag: "Platform" }), [1, 3, 4])
          assert.deepStrictEqual(yield* sequences({ _tag: "User", uid: "u1" }), [1, 4])
        })
      ),
    60_000
  )

  /** The TTL of each table as the engine tells it. */
  const ttls = ClickHouse.use((clickhouse) =>
    clickhouse.query({
      sql: "SELECT name, extract(engine_full, 'TTL (.*?) SETTINGS') AS ttl FROM system.tables WHERE database = currentDatabase() AND name != 'schema_migrations'"
    })
  ).pipe(Effect.map((rows) => Object.fromEntries(rows.map((row) => [row["name"], row["ttl"]]))))
  const ttlsOf = (activities: number, audit: number, events: number) => ({
    activities: `toDateTime(ts) + toIntervalDay(${activities})`,
    audit_logs: `toDateTime(ts) + toIntervalDay(${audit})`,
    k8s_events: `toDateTime(last_ts) + toIntervalDay(${events})`
  })

  it.live(
    "tables are made with their defaults, or what is given; without a setting a later run keeps what is there",
    () =>
      withDatabase(
        Effect.gen(function* () {
          const made = yield* migrate({ retention: { auditDays: 30 } })
          assert.deepStrictEqual(made.retentionChanges, [{ table: "audit_logs", days: 30 }])
          assert.deepStrictEqual(yield* ttls, ttlsOf(60, 30, 60))
          const kept = yield* migrate()
          assert.deepStrictEqual(kept.retentionChanges, [])
          assert.deepStrictEqual(yield* ttls, ttlsOf(60, 30, 60))
        })
      ),
    60_000
  )

  it.live(
    "a retention that is given changes its tables alone, and is told with what was there",
    () =>
      withDatabase(
        Effect.gen(function* () {
          yield* migrate()
          assert.deepStrictEqual(yield* ttls, ttlsOf(60, 365, 60))
          const changed = yield* migrate({ retention: { activityDays: 90, eventDays: 60 } })
          assert.deepStrictEqual(changed.retentionChanges, [{ table: "activities", daysBefore: 60, days: 90 }])
          assert.deepStrictEqual(yield* ttls, ttlsOf(90, 365, 60))
          const again = yield* migrate({ retention: { activityDays: 90, eventDays: 60 } })
          assert.deepStrictEqual(again.retentionChanges, [])
        })
      ),
    60_000
  )

  it.live(
    "an operator's tiers stay, and it is told that they did",
    () =>
      withDatabase(
        Effect.gen(function* () {
          const clickhouse = yield* ClickHouse
          yield* migrate()
          yield* clickhouse.command(
            "ALTER TABLE k8s_events MODIFY TTL toDateTime(last_ts) + INTERVAL 1 DAY TO VOLUME 'default', toDateTime(last_ts) + INTERVAL 9 DAY"
          )
          const before = yield* ttls
          const migrated = yield* migrate({ retention: { activityDays: 6, eventDays: 1 } })
          assert.deepStrictEqual(migrated.tieredTables, ["k8s_events"])
          assert.deepStrictEqual(migrated.retentionChanges, [{ table: "activities", daysBefore: 60, days: 6 }])
          assert.deepStrictEqual(yield* ttls, { ...before, activities: "toDateTime(ts) + toIntervalDay(6)" })
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
