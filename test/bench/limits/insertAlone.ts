/** Rows inserted into an embedded engine of its own, as large and as many at once as the writer does. */
import { Effect, Result } from "effect"
import { ClickHouse } from "../../../src/clients/clickhouse/ClickHouse.ts"
import { layerFromUrl } from "../../../src/clients/clickhouse/layerFromUrl.ts"
import { platformTenant } from "../../../src/domain/Tenant.ts"
import { auditRecordFrom } from "../../../src/normalise/auditRecordFrom.ts"
import { migrate } from "../../../src/store/migrate.ts"
import { activityLine, auditLogLine } from "../../../src/store/rows.ts"
import { temporaryFolder } from "../../support/temporaryFolder.ts"
import { madeMessage } from "../activityMessages.ts"
import { answerPart, partOptions, spend } from "../processes.ts"
import { messagesOf, readRecords } from "../records.ts"
import type { InsertedTable } from "./limit.ts"

const batchRows = 5_000
const inFlight = 2

const { audit, events, table } = partOptions<{
  readonly audit?: string
  readonly events: number
  readonly table: InsertedTable
}>()
const { message } = messagesOf(await readRecords(audit, events))
const decoder = new TextDecoder()

const lineOf = (n: number): string => (table === "activities" ? activity(n) : record(n))

const activity = (n: number): string => {
  const json = decoder.decode(madeMessage(n).body)
  return Result.getOrThrow(activityLine({ json, mark: "added", order: 0n, sequence: n + 1 })).line
}

const record = (n: number): string => {
  const read = auditRecordFrom(decoder.decode(message(n).body), { cluster: "bench", defaultTenant: platformTenant })
  return auditLogLine(Result.getOrThrow(read), n + 1).line
}

// The rows are made before: what is measured is the engine, and what brings them to it.
const batches: Array<ReadonlyArray<string>> = []
for (let from = 0; from < events; from += batchRows) {
  batches.push(Array.from({ length: Math.min(batchRows, events - from) }, (_, index) => lineOf(from + index)))
}

await using folder = await temporaryFolder("bench-insert")
const spent = await Effect.runPromise(
  Effect.gen(function* () {
    yield* migrate()
    const clickhouse = yield* ClickHouse
    return yield* Effect.promise(() =>
      spend(events, () =>
        Effect.runPromise(
          Effect.forEach(batches, (lines, index) => clickhouse.insert({ table, lines, token: `bench-${index}` }), {
            concurrency: inFlight,
            discard: true
          })
        )
      )
    )
  }).pipe(Effect.provide(layerFromUrl(`embedded:${folder.path}`)))
)
await folder.remove()
answerPart(spent)
