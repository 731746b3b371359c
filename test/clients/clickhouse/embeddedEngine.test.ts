import { assert, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { openEmbeddedEngine } from "../../../src/clients/clickhouse/embeddedEngine.ts"
import { temporaryFolder } from "../../support/temporaryFolder.ts"

it.live(
  "a statement that was stopped is listed as running no longer, though nothing runs on its connection after it",
  () =>
    Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.promise(() => temporaryFolder("engine")),
        (made) => Effect.promise(made.remove)
      )
      const engine = yield* openEmbeddedEngine(folder.path, "contract")
      const listed = (rowsReadMin: number) =>
        Effect.promise(() =>
          engine.runBeside(async (connection) =>
            (
              await connection.queryAsync(
                "SELECT query FROM system.processes " +
                  `WHERE query LIKE 'SELECT count() AS endless%' AND read_rows >= ${rowsReadMin}`,
                { format: "JSONEachRow" }
              )
            ).text()
          )
        )
      // Minutes, if nobody stops it.
      const stopped = engine
        .run("read", (connection) =>
          connection.queryAsync("SELECT count() AS endless FROM numbers(1000000000000) WHERE sipHash64(number) = 1")
        )
        .catch((cause: unknown) => String(cause))
      yield* listed(1).pipe(Effect.repeat({ schedule: Schedule.spaced("20 millis"), until: (rows) => rows !== "" }))
      yield* Effect.promise(() =>
        engine.runBeside((connection) =>
          connection.queryAsync("KILL QUERY WHERE query LIKE concat('SELECT count() AS ', 'endless%') ASYNC")
        )
      )
      assert.match(String(yield* Effect.promise(() => stopped)), /QUERY_WAS_CANCELLED/)
      assert.strictEqual(yield* listed(0), "")
    }).pipe(Effect.scoped)
)
