/**
 * A statement whose caller goes away is stopped where it runs: neither the embedded engine nor a server behind HTTP
 * notices by itself, and the statement would work on for nobody.
 *
 * Each statement ends with a comment of its own, by which it is found among those that run. The engine
 * forgets it of one that is still being planned, and behind a balancer the other statement may meet another replica: then
 * the first ends by itself, at the latest by the time that it may take.
 */
import { Effect } from "effect"
import { randomUUID } from "node:crypto"
import type { ClickHouseError } from "./ClickHouse.ts"
import { quoted } from "./parameters.ts"

/** Whoever interrupts waits no longer, also while the server is away. The engine takes some 5 ms, when it has the CPU. */
const stopWait = "3 seconds"

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
          // In two parts: it must not find itself.
          command(`KILL QUERY WHERE position(query, ${quoted(begin)} || ${quoted(own)}) > 0 ASYNC`).pipe(
            Effect.timeoutOption(stopWait),
            Effect.ignore
          )
        )
      )
    })
}
