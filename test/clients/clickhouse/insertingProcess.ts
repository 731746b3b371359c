/** Inserts 0, 1, 2, … into `embedded:<argument>`, one insert each, printing each number once it is acknowledged. */
import { Effect } from "effect"
import { ClickHouse } from "../../../src/clients/clickhouse/ClickHouse.ts"
import { layerFromUrl } from "../../../src/clients/clickhouse/layerFromUrl.ts"

const insertForEver = Effect.gen(function* () {
  const clickhouse = yield* ClickHouse
  yield* clickhouse.command("CREATE TABLE IF NOT EXISTS numbers_kept (n UInt32) ENGINE = MergeTree ORDER BY n")
  for (let n = 0; ; n++) {
    yield* clickhouse.insert({ table: "numbers_kept", lines: [JSON.stringify({ n })], token: String(n) })
    console.log(n)
  }
})

await Effect.runPromise(
  insertForEver.pipe(
    Effect.provide(layerFromUrl(`embedded:${process.argv[2]}`)),
    Effect.catchTag("ClickHouseSetupError", (error) => Effect.sync(() => console.log(error.reason._tag, error.message)))
  )
)
