/** How the tables stand against this version's migrations, read and left as they are: for a diagnosis. */
import { Clock, Effect } from "effect"
import { ClickHouse, type ClickHouseError } from "../clients/clickhouse/ClickHouse.ts"
import { type MigrateError, readMigrations, refuseUnknown } from "./migrate.ts"

export interface TablesSeen {
  /** Migrations that were never applied, in their order. */
  readonly pending: ReadonlyArray<string>
  /** The engine of each table of ours that is there, such as `ReplicatedReplacingMergeTree`. */
  readonly engines: ReadonlyMap<string, string>
  /** How far the server's clock is ahead of ours, in milliseconds, at least: the time that the answer took is taken off. */
  readonly clockAheadMillis: number
}

/** Where facts are kept. */
export const factTableNames = ["activities", "audit_logs", "k8s_events"] as const

/**
 * @fails MigrateError MigrationChanged, SchemaNewer, MigrationsUnreadable
 * @fails ClickHouseError
 */
export const lookAtTables: Effect.Effect<TablesSeen, MigrateError | ClickHouseError, ClickHouse> = Effect.gen(
  function* () {
    const clickhouse = yield* ClickHouse
    const before = yield* Clock.currentTimeMillis
    const [clock] = yield* clickhouse.query({ sql: "SELECT toUnixTimestamp64Milli(now64(3)) AS now" })
    const after = yield* Clock.currentTimeMillis
    const tables = new Map(
      (yield* clickhouse.query({
        sql: "SELECT name, engine FROM system.tables WHERE database = {database:String}",
        parameters: { database: clickhouse.database }
      })).map((row) => [String(row["name"]), String(row["engine"])])
    )
    const recorded = tables.has("schema_migrations")
      ? yield* clickhouse.query({ sql: "SELECT name, checksum FROM schema_migrations FINAL ORDER BY name" })
      : []
    const known = yield* readMigrations()
    const checksums = new Map(recorded.map((row) => [String(row["name"]), String(row["checksum"])]))
    yield* refuseUnknown(known, checksums)
    return {
      pending: known.flatMap(({ name }) => (checksums.has(name) ? [] : [name])),
      engines: new Map([...tables].filter(([name]) => factTableNames.some((one) => one === name))),
      clockAheadMillis: outside(Number(clock?.["now"]), before, after)
    }
  }
)

/** How far a time lies beyond a span; 0 inside it. */
const outside = (time: number, from: number, to: number): number => Math.max(0, time - to) + Math.min(0, time - from)
