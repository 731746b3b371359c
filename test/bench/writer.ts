/** The writer on a full stream, into the embedded engine: from its start line until it has acknowledged the last. */
import { join } from "node:path"
import type { OutgoingMessage } from "../../src/clients/nats/Nats.ts"
import { activities, auditEvents, deadLetters } from "../../src/domain/streams.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"
import { madeMessage } from "./activityMessages.ts"
import type { Benchmark, BenchmarkOptions, Figures } from "./Benchmark.ts"
import { rounded } from "./Benchmark.ts"
import { startBus } from "./bus.ts"
import { consumeAndAck, insertAlone, type InsertedTable } from "./limits/limit.ts"
import { type Done, makeBundle, measure } from "./processes.ts"
import { messagesOf, readRecords } from "./records.ts"

export const writer: Benchmark = {
  summary: "records, then activities, that wait in the bus become rows (embedded ClickHouse: its work is the writer's)",
  options: ["events", "audit"],
  eventsDefault: 100_000,
  run: async (options) => {
    const { audit, events, tell } = options
    const { message, sizeBytesMean } = messagesOf(await readRecords(audit, events))
    const { done, limits } = await written(options, "audit_logs", auditEvents.name, message, events * sizeBytesMean)
    tell("now activities")
    const made = await written(options, "activities", activities.name, madeMessage, 0)
    return {
      ...done,
      limits,
      more: { dead_letters: done.deadLetters + made.done.deadLetters, activities: figuresOf(made) }
    }
  }
}

interface Written {
  readonly done: Done & { readonly deadLetters: number }
  readonly limits: ReadonlyArray<Awaited<ReturnType<typeof insertAlone>>>
}

const written = async (
  { audit, events, tell }: BenchmarkOptions,
  table: InsertedTable,
  stream: string,
  message: (n: number) => OutgoingMessage,
  sizeBytes: number
): Promise<Written> => {
  tell("measuring the insert alone")
  const inserted = await insertAlone({ audit, events, table })
  await using folder = await temporaryFolder("bench-writer")
  await using bus = await startBus(sizeBytes)
  await bus.fill(events, message, tell)
  tell("measuring the consumption alone")
  const consumed = await consumeAndAck({ natsUrl: bus.url, events, stream })
  await using bundle = await makeBundle()
  const store = ["--clickhouse-url", `embedded:${join(folder.path, "clickhouse")}`]
  await bundle.run(["migrate", ...store])
  await using program = bundle.start(["writer", "--ops-listen", "127.0.0.1:0", ...store, ...bus.flags])
  await program.waitForLine(/"writer started"/)
  const done = await measure({
    events,
    program,
    serverPid: bus.pid,
    progress: () => bus.acknowledged(stream, "writer"),
    tell
  })
  return {
    done: { ...done, deadLetters: (await bus.stored(deadLetters.name)).done },
    limits: [inserted, consumed]
  }
}

const figuresOf = ({ done, limits: [inserted] }: Written): Figures => {
  const perSecond = done.events / done.seconds
  const alonePerSecond = inserted === undefined ? 0 : inserted.events / inserted.seconds
  return {
    events_per_s: rounded(perSecond, 4),
    cpu_s_per_1k: rounded((done.cpuSeconds / done.events) * 1000, 3),
    rss_max_mb: rounded(done.rssMaxBytes / 1e6, 4),
    insert_alone_per_s: rounded(alonePerSecond, 4),
    ratio: rounded(perSecond / alonePerSecond, 3)
  }
}
