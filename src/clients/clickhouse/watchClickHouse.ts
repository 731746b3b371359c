/** Tells the probes whether ClickHouse answers. */
import { Effect, Schedule, type Scope } from "effect"
import { Health } from "../../runtime/Health.ts"
import { ClickHouse } from "./ClickHouse.ts"

/** How often ClickHouse is asked: an outage is seen within this and the request's timeout. */
const pingEvery = "10 seconds"

/**
 * Registers the check `clickhouse` and keeps it true while the scope is open.
 *
 * @param role whether this program can do its work, or receive traffic, without ClickHouse
 */
export const watchClickHouse = (
  role: "ready" | "informative"
): Effect.Effect<void, never, ClickHouse | Health | Scope.Scope> =>
  Effect.gen(function* () {
    const clickhouse = yield* ClickHouse
    const health = yield* Health
    let problem: string | undefined = "not asked yet"
    yield* health.register({ name: "clickhouse", role, problem: () => problem })
    yield* clickhouse.ping.pipe(
      Effect.match({
        onFailure: (error) => {
          problem = error.message
        },
        onSuccess: () => {
          problem = undefined
        }
      }),
      Effect.repeat(Schedule.spaced(pingEvery)),
      Effect.forkScoped
    )
  })
