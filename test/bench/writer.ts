/** The writer on a full stream of records, into the embedded engine: until it has acknowledged the last. */
import { join } from "node:path"
import { auditEvents, deadLetters } from "../../src/domain/streams.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"
import type { Benchmark } from "./Benchmark.ts"
import { startBus } from "./bus.ts"
import { consumeAndAck, insertAlone } from "./limits/limit.ts"
import { makeBundle, measure } from "./processes.ts"
import { messagesOf, readRecords } from "./records.ts"

export const writer: Benchmark = {
  summary: "records that wait in the bus become rows of ClickHouse (embedded: its work is the writer's)",
  options: ["events", "audit"],
  eventsDefault: 100_000,
  run: async ({ audit, events, tell }) => {
    const { message, sizeBytesMean } = messagesOf(await readRecords(audit, events))
    tell("measuring the insert alone")
    const inserted = await insertAlone({ audit, events })
    await using folder = await temporaryFolder("bench-writer")
    await using bus = await startBus(events * sizeBytesMean)
    await bus.fill(events, message, tell)
    tell("measuring the consumption alone")
    const consumed = await consumeAndAck({ natsUrl: bus.url, events })
    await using bundle = await makeBundle()
    const store = ["--clickhouse-url", `embedded:${join(folder.path, "clickhouse")}`]
    await bundle.run(["migrate", ...store])
    await using program = bundle.start(["writer", "--ops-listen", "127.0.0.1:0", ...store, ...bus.flags])
    await program.waitForLine(/"writer started"/)
    const done = await measure({
      events,
      program,
      serverPid: bus.pid,
      progress: () => bus.acknowledged(auditEvents.name, "writer"),
      tell
    })
    return {
      ...done,
      limits: [inserted, consumed],
      more: { dead_letters: (await bus.stored(deadLetters.name)).done }
    }
  }
}
