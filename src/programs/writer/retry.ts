/** Dead letters of the writer, stored after all when somebody wants it: what ClickHouse refused it may take by now. */
import { Effect, Metric, Option, Ref, Result } from "effect"
import { DeadLetters, type RetryOutcome } from "../../bus/DeadLetters.ts"
import type { ClickHouseRefused } from "../../clients/clickhouse/ClickHouse.ts"
import type { StoredMessage } from "../../clients/nats/Nats.ts"
import { deadLetterFrom } from "../../domain/deadLetter.ts"
import { counterFamily } from "../../runtime/Metrics.ts"
import { insertRows } from "../../store/insertRows.ts"
import { flows, refusalText, StoreWaits, type WriterOptions } from "./pipeline.ts"

const retries = counterFamily("activity_writer_retries_total", "Dead letters tried again, by result", "result", [
  "stored",
  "failed"
])

/** Runs for ever. */
export const retryRows = (options: WriterOptions) =>
  Effect.gen(function* () {
    const letters = yield* DeadLetters
    return yield* letters.run({
      accepts: ({ program }) => program === "writer",
      retry: (letter) =>
        Effect.tap(storeOne(options, letter), ({ _tag }) =>
          Metric.update(_tag === "Settled" ? retries.stored : retries.failed, 1)
        )
    })
  }).pipe(Effect.provide(DeadLetters.layer))

const storeOne = (options: WriterOptions, letter: StoredMessage) =>
  Effect.gen(function* () {
    const { position, stream } = deadLetterFrom(letter)
    const flow = flows.find((one) => one.stream === stream)
    if (flow === undefined) return failed(`there is no table for ${stream}`)
    // The row has the sequence that it would have had: what came after it stays newer.
    const sequence = Number(position.slice(position.lastIndexOf(":") + 1)) || 0
    const line = flow.lineFrom({ ...letter, sequence }, options.defaultTenant)
    if (Result.isFailure(line)) return failed(line.failure)
    const row = line.success
    if (row === undefined) return { _tag: "Settled" } as const
    const refused = yield* Ref.make(Option.none<ClickHouseRefused>())
    yield* insertRows({
      table: flow.table,
      rows: [row],
      onPoison: (_, refusal) => Ref.set(refused, Option.some(refusal))
    }).pipe(
      Effect.catchTag("ClickHouseError", (refusal) => Effect.fail(new StoreWaits({ table: flow.table, refusal })))
    )
    return Option.match(yield* Ref.get(refused), {
      onNone: (): RetryOutcome => ({ _tag: "Settled" }),
      onSome: (refusal) => failed(refusalText(refusal))
    })
  })

const failed = (cause: string): RetryOutcome => ({ _tag: "Failed", cause })
