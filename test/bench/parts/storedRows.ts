/** Counts what an embedded ClickHouse has stored, when the program that had its folder is gone. */
import { Effect } from "effect"
import { ClickHouse } from "../../../src/clients/clickhouse/ClickHouse.ts"
import { layerFromUrl } from "../../../src/clients/clickhouse/layerFromUrl.ts"
import { answerPart, partOptions } from "../processes.ts"

export interface StoredRows {
  readonly records: number
  /** Copies, of which merges and FINAL leave one, are counted too. */
  readonly recordRows: number
  readonly activities: number
  /** On the disk, of all tables. */
  readonly bytes: number
}

const { folder } = partOptions<{ readonly folder: string }>()

const count = (sql: string) =>
  Effect.gen(function* () {
    const clickhouse = yield* ClickHouse
    const [row] = yield* clickhouse.query({ sql })
    return Number(row?.["n"])
  })

const rows: Effect.Effect<StoredRows, unknown, ClickHouse> = Effect.all({
  records: count("SELECT count() AS n FROM audit_logs FINAL"),
  recordRows: count("SELECT count() AS n FROM audit_logs"),
  activities: count("SELECT count() AS n FROM activities FINAL"),
  bytes: count("SELECT sum(bytes_on_disk) AS n FROM system.parts WHERE active")
})

answerPart(await Effect.runPromise(rows.pipe(Effect.provide(layerFromUrl(`embedded:${folder}`)))))
