/**
 * Brings the database to the newest schema: `migrations/NNNN_name.sql`, forward only, each with its checksum recorded.
 *
 * Every statement of a migration may run twice, so a run that was killed is repeated, and two at once do no harm.
 */
import { createHash } from "node:crypto"
import { readdir, readFile } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { Effect, Schema } from "effect"
import { ClickHouse, type ClickHouseError } from "../clients/clickhouse/ClickHouse.ts"
import { quoted, quotedName } from "../clients/clickhouse/parameters.ts"
import { statementsFrom } from "./statements.ts"

/** A migration that was applied reads differently now. */
export class MigrationChanged extends Schema.TaggedError<MigrationChanged>()("MigrationChanged", {
  name: Schema.String,
  recordedChecksum: Schema.String,
  foundChecksum: Schema.String
}) {
  override get message(): string {
    return (
      `migration ${this.name} was applied with checksum ${this.recordedChecksum.slice(0, 12)} and now has ` +
      `${this.foundChecksum.slice(0, 12)}: restore the file, and put the change into a new migration`
    )
  }
}

/** The database has been migrated by a newer program than this one. */
export class SchemaNewer extends Schema.TaggedError<SchemaNewer>()("SchemaNewer", {
  recordedName: Schema.String,
  knownName: Schema.String
}) {
  override get message(): string {
    return `the database has migration ${this.recordedName}, this program knows none after ${this.knownName}: run a newer one`
  }
}

export class MigrationsUnreadable extends Schema.TaggedError<MigrationsUnreadable>()("MigrationsUnreadable", {
  folder: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `the migrations in ${this.folder} cannot be read: ${String(this.cause)}`
  }
}

export class MigrateError extends Schema.TaggedError<MigrateError>()("MigrateError", {
  reason: Schema.Union([MigrationChanged, SchemaNewer, MigrationsUnreadable])
}) {
  override get message(): string {
    return this.reason.message
  }
}

/**
 * How many days rows are kept, from the time that the table's TTL counts from. What is not given stays as it is; a table
 * that is made keeps audit records 365 days, activities and Events 60 days (`migrations/0001_initial.sql`).
 */
export interface Retention {
  readonly auditDays?: number
  readonly activityDays?: number
  readonly eventDays?: number
}

/** A table whose retention this run changed. */
export interface RetentionChange {
  readonly table: string
  /** Absent where the table is new, or its TTL was not one of ours. */
  readonly daysBefore?: number
  readonly days: number
}

export interface Migrated {
  /** The names of the migrations that this run applied. */
  readonly applied: ReadonlyArray<string>
  readonly retentionChanges: ReadonlyArray<RetentionChange>
  /** Tables that were given a retention, and keep the operator's own TTL: it moves parts to a volume or disk. */
  readonly tieredTables: ReadonlyArray<string>
}

export interface MigrateOptions {
  readonly retention?: Retention
  /** The name of a ClickHouse cluster: tables are replicated, statements run on all of it. */
  readonly cluster?: string
  /** Where the files are; by default the repository's `migrations`. */
  readonly folder?: string
}

/**
 * @fails MigrateError MigrationChanged, SchemaNewer, MigrationsUnreadable
 * @fails ClickHouseError when a statement is refused or the engine is away
 */
export const migrate = Effect.fn("migrate")(function* (options: MigrateOptions = {}) {
  const clickhouse = yield* ClickHouse
  const known = yield* readMigrations(options.folder)
  const onCluster = options.cluster === undefined ? "" : `ON CLUSTER ${quotedName(options.cluster)}`
  const replicated = options.cluster === undefined ? "" : "Replicated"

  yield* clickhouse.createDatabase(onCluster)
  yield* clickhouse.command(
    `CREATE TABLE IF NOT EXISTS ${quotedName(clickhouse.database)}.schema_migrations ${onCluster} ` +
      `(name String, checksum String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3)) ` +
      `ENGINE = ${replicated}ReplacingMergeTree(applied_at) ORDER BY name`
  )
  const recorded = new Map(
    (yield* clickhouse.query({ sql: "SELECT name, checksum FROM schema_migrations FINAL ORDER BY name" })).map(
      (row) => [String(row["name"]), String(row["checksum"])]
    )
  )
  yield* refuseUnknown(known, recorded)
  const before = yield* timeToLive(clickhouse)

  const applied: Array<string> = []
  for (const migration of known) {
    if (recorded.has(migration.name)) continue
    for (const statement of statementsFrom(migration.text)) {
      yield* clickhouse.command(
        statement
          .replaceAll("{DATABASE}", quotedName(clickhouse.database))
          .replaceAll("{ON_CLUSTER}", onCluster)
          .replaceAll("{ENGINE}", `${replicated}ReplacingMergeTree(ver, is_deleted)`)
      )
    }
    yield* clickhouse.command(
      `INSERT INTO schema_migrations (name, checksum) VALUES (${quoted(migration.name)}, ${quoted(migration.checksum)})`
    )
    applied.push(migration.name)
  }
  return {
    applied,
    ...(yield* setRetention(clickhouse, options.retention ?? {}, before, onCluster))
  } satisfies Migrated
})

export interface Migration {
  readonly name: string
  readonly text: string
  readonly checksum: string
}

/** This version's migrations, in their order. */
export const readMigrations = (
  folder: string = fileURLToPath(new URL("../../migrations/", import.meta.url))
): Effect.Effect<ReadonlyArray<Migration>, MigrateError> =>
  Effect.tryPromise({
    try: async () => {
      const names = (await readdir(folder)).filter((name) => /^\d{4}_[a-z0-9_]+\.sql$/.test(name)).sort()
      return await Promise.all(
        names.map(async (name) => {
          const text = await readFile(`${folder}/${name}`, "utf8")
          return { name, text, checksum: createHash("sha256").update(text).digest("hex") }
        })
      )
    },
    catch: (cause) => new MigrateError({ reason: new MigrationsUnreadable({ folder, cause }) })
  })

/** @param recorded what was applied: the checksum of each name */
export const refuseUnknown = (
  known: ReadonlyArray<Migration>,
  recorded: ReadonlyMap<string, string>
): Effect.Effect<void, MigrateError> =>
  Effect.gen(function* () {
    const checksums = new Map(known.map((migration) => [migration.name, migration.checksum]))
    for (const [name, recordedChecksum] of recorded) {
      const foundChecksum = checksums.get(name)
      if (foundChecksum === undefined) {
        return yield* new MigrateError({
          reason: new SchemaNewer({ recordedName: name, knownName: known.at(-1)?.name ?? "(none)" })
        })
      }
      if (foundChecksum !== recordedChecksum) {
        return yield* new MigrateError({ reason: new MigrationChanged({ name, recordedChecksum, foundChecksum }) })
      }
    }
  })

/** Each table's TTL counts from a time, and its days are one of the retentions. */
const retained = [
  { table: "audit_logs", time: "ts", retention: "auditDays" },
  { table: "activities", time: "ts", retention: "activityDays" },
  { table: "k8s_events", time: "last_ts", retention: "eventDays" }
] as const

/** The engine's own words about each table, TTL included. */
const timeToLive = (clickhouse: ClickHouse["Service"]): Effect.Effect<ReadonlyMap<string, string>, ClickHouseError> =>
  clickhouse
    .query({
      sql: "SELECT name, engine_full FROM system.tables WHERE database = {database:String}",
      parameters: { database: clickhouse.database }
    })
    .pipe(Effect.map((rows) => new Map(rows.map((row) => [String(row["name"]), String(row["engine_full"])]))))

/** The days of a TTL as we write it. */
const daysIn = (engine: string, time: string): number | undefined => {
  const match = new RegExp(`TTL toDateTime\\(${time}\\) \\+ toIntervalDay\\((\\d+)\\)(?! *,| TO )`).exec(engine)
  return match === null ? undefined : Number(match[1])
}

/** Sets a TTL only where one is given and differs: the engine then looks at every part. */
const setRetention = (
  clickhouse: ClickHouse["Service"],
  retention: Retention,
  before: ReadonlyMap<string, string>,
  onCluster: string
): Effect.Effect<Omit<Migrated, "applied">, ClickHouseError> =>
  Effect.gen(function* () {
    const retentionChanges: Array<RetentionChange> = []
    const tieredTables: Array<string> = []
    const now = yield* timeToLive(clickhouse)
    for (const { table, time, retention: name } of retained) {
      const days = retention[name]
      const engine = now.get(table) ?? ""
      if (days === undefined || daysIn(engine, time) === days) continue
      // An operator's own tiers are theirs to keep.
      if (/ TO (?:VOLUME|DISK) /.test(engine)) {
        tieredTables.push(table)
        continue
      }
      yield* clickhouse.command(
        `ALTER TABLE ${quotedName(clickhouse.database)}.${table} ${onCluster} ` +
          `MODIFY TTL toDateTime(${time}) + toIntervalDay(${days}) DELETE`
      )
      const daysBefore = daysIn(before.get(table) ?? "", time)
      retentionChanges.push({ table, days, ...(daysBefore === undefined ? {} : { daysBefore }) })
    }
    return { retentionChanges, tieredTables }
  })
