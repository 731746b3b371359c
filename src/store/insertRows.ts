/** The writer's core: a batch into a table, with the rows that the engine refuses set aside one by one. */
import { Effect } from "effect"
import { ClickHouse, type ClickHouseError, type ClickHouseRefused } from "../clients/clickhouse/ClickHouse.ts"
import { mayBeRowFault } from "../clients/clickhouse/faults.ts"
import { insertToken, type StoredLine, type StoredTable } from "./rows.ts"

/** Characters of one insert; a batch with more goes in parts. 5,000 records of 4 KB are 20 Mi, one may have 8 Mi. */
export const insertLengthMax = 32 * 1024 * 1024

export interface InsertOptions<Row extends StoredLine, E, R> {
  readonly table: StoredTable
  readonly rows: ReadonlyArray<Row>
  /** Called for each row that was refused alone; the row counts as settled when it succeeds. */
  readonly onPoison: (row: Row, refused: ClickHouseRefused) => Effect.Effect<void, E, R>
}

/**
 * Stores the rows, or hands them to `onPoison`; when it returns, each row has gone one of the two ways.
 *
 * A batch that is refused for a row's sake is halved until the poison is alone: at most 2·log2(n) inserts per poison
 * row more. At least once: after a failure the caller repeats the *same* batch, whose stored parts are then duplicates
 * by token, or the same rows to the engine's merging.
 *
 * @returns how many rows were stored
 * @fails ClickHouseError when nothing about a row is wrong: the engine is away, or the statement, the schema or the
 * rights are. Repeating is right in all these cases; no row may be set aside for them.
 */
export const insertRows = <Row extends StoredLine, E, R>(
  options: InsertOptions<Row, E, R>
): Effect.Effect<number, ClickHouseError | E, R | ClickHouse> =>
  Effect.gen(function* () {
    const { rows, table, onPoison } = options
    if (rows.length === 0) return 0
    if (rows.length > 1 && rows.reduce((sum, row) => sum + row.line.length, 0) > insertLengthMax) {
      return yield* insertHalves(options)
    }
    const clickhouse = yield* ClickHouse
    const refused = yield* clickhouse
      .insert({ table, lines: rows.map((row) => row.line), token: insertToken(rows) })
      .pipe(
        Effect.as(undefined),
        Effect.catchTag("ClickHouseError", (error) =>
          error.reason._tag === "ClickHouseRefused" && mayBeRowFault(error.reason)
            ? Effect.succeed(error.reason)
            : Effect.fail(error)
        )
      )
    if (refused === undefined) return rows.length
    if (rows.length === 1) {
      yield* onPoison(rows[0]!, refused)
      return 0
    }
    return yield* insertHalves(options)
  })

const insertHalves = <Row extends StoredLine, E, R>(
  options: InsertOptions<Row, E, R>
): Effect.Effect<number, ClickHouseError | E, R | ClickHouse> =>
  Effect.gen(function* () {
    const middle = options.rows.length >> 1
    const first = yield* insertRows({ ...options, rows: options.rows.slice(0, middle) })
    const second = yield* insertRows({ ...options, rows: options.rows.slice(middle) })
    return first + second
  })
