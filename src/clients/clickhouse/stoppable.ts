/**
 * A statement whose caller goes away is stopped where it runs: neither the embedded engine nor a server behind HTTP
 * notices by itself, and the statement would work on for nobody.
 *
 * Each statement ends with a comment of its own, by which it is found among those that run. Behind a balancer the other
 * statement may meet another replica: then the first ends by itself, by the time that it may take.
 */
import { Effect } from "effect"
import { randomUUID } from "node:crypto"
import type { ClickHouseError } from "./ClickHouse.ts"
import { quoted } from "./parameters.ts"

/** Whoever interrupts waits no longer, also while the server is away. The engine looks each 100 ms whether it has ended. */
const stopWait = "1 second"

type Run<A> = (sql: string) => Effect.Effect<A, ClickHouseError>

/** @param command runs a statement without waiting for those that run */
export const makeStoppable = (command: Run<unknown>) => {
  const begin = `/* ${randomUUID()}`
  let count = 0
  return <A>(sql: string, run: Run<A>): Effect.Effect<A, ClickHouseError> =>
    Effect.suspend(() => {
      const own = ` ${++count} */`
      return run(`${sql} ${begin}${own}`).pipe(
        Effect.onInterrupt(() =>
          // In two parts: it must not find itself. SYNC sends it again where the statement had only just begun.
          command(`KILL QUERY WHERE position(query, ${quoted(begin)} || ${quoted(own)}) > 0 SYNC`).pipe(
            Effect.timeoutOption(stopWait),
            Effect.ignore
          )
        )
      )
    })
}
