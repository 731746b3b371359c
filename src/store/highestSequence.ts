/** The highest stream sequence that any stored row came from. */
import { Effect } from "effect"
import { ClickHouse, type ClickHouseError } from "../clients/clickhouse/ClickHouse.ts"

/** UNKNOWN_TABLE, UNKNOWN_DATABASE. */
const notMigratedCodes: ReadonlySet<number> = new Set([60, 81])

/**
 * Streams that are created again start above it, so that a resourceVersion never goes back.
 *
 * @returns 0 when nothing is stored, or the tables do not exist yet
 */
export const highestSequence: Effect.Effect<number, ClickHouseError, ClickHouse> = ClickHouse.use((clickhouse) =>
  clickhouse.query({
    sql:
      "SELECT toString(greatest((SELECT max(seq) FROM activities), (SELECT max(seq) FROM audit_logs), " +
      "(SELECT max(seq) FROM k8s_events))) AS highest"
  })
).pipe(
  Effect.map((rows) => Number(rows[0]?.["highest"] ?? 0)),
  Effect.catchIf(
    (error) => error.reason._tag === "ClickHouseRefused" && notMigratedCodes.has(error.reason.code),
    () => Effect.succeed(0)
  )
)
