/** How many exports are given at once, and how many rows they have given. */
import { Context, Effect, Layer, Metric, type Scope } from "effect"
import { type ApiFailure, failure } from "../ApiFailure.ts"

/** Each holds a page, of 4 MiB, five times over while it is made into lines: together 160 MiB. */
const exportsMax = 8

const exportsOfUserMax = 2

const openExports = Metric.gauge("activity_apiserver_exports", { description: "Exports that are being given" })
const exportedRows = Metric.counter("activity_apiserver_exported_rows_total", {
  description: "Rows that exports have given",
  incremental: true
})

export class Exports extends Context.Service<
  Exports,
  {
    /**
     * Holds a place until the scope ends.
     *
     * @fails ApiFailure TooManyRequests when there is none, or the user has its share
     */
    readonly admit: (user: string) => Effect.Effect<void, ApiFailure, Scope.Scope>
    readonly count: (rows: number) => Effect.Effect<void>
  }
>()("activity/serve/exports/Exports") {
  static readonly layer = Layer.sync(Exports, () => {
    /** How many each user has; who has none is not there. */
    const ofUsers = new Map<string, number>()
    let all = 0
    const hold = (user: string, change: 1 | -1) =>
      Effect.suspend(() => {
        all += change
        const held = (ofUsers.get(user) ?? 0) + change
        if (held > 0) ofUsers.set(user, held)
        else ofUsers.delete(user)
        return Metric.update(openExports, all)
      })
    return Exports.of({
      admit: (user) =>
        Effect.acquireRelease(
          Effect.suspend(() => {
            if ((ofUsers.get(user) ?? 0) >= exportsOfUserMax)
              return Effect.fail(tooMany(`${exportsOfUserMax} exports of yours`))
            return all >= exportsMax ? Effect.fail(tooMany("too many exports")) : hold(user, 1)
          }),
          () => hold(user, -1)
        ),
      count: (rows) => Metric.update(exportedRows, rows)
    })
  })
}

const tooMany = (what: string): ApiFailure =>
  failure("TooManyRequests", `${what} are being given: try again when one has ended`, { retryAfterSeconds: 5 })
