/** Our client's confirmed publish of records with ids, in a process of its own. */
import type { Benchmark, Spent } from "./Benchmark.ts"
import { startBus } from "./bus.ts"
import { publishUnconfirmed } from "./limits/limit.ts"
import { runPart } from "./processes.ts"
import { messagesOf, readRecords } from "./records.ts"
import { usageOf } from "./usage.ts"

export const publish: Benchmark = {
  summary: "messages with ids are stored by the bus, each confirmed",
  options: ["events", "audit"],
  eventsDefault: 300_000,
  run: async ({ audit, events, tell }) => {
    const { sizeBytesMean } = messagesOf(await readRecords(audit, events))
    await using bus = await startBus(2 * events * sizeBytesMean)
    tell("measuring the limit")
    const limit = await publishUnconfirmed({ audit, events, natsUrl: bus.url })
    tell("publishing")
    const before = usageOf(bus.pid)
    const spent = await runPart<Spent & { readonly rssMaxBytes: number }>("parts/publisher.ts", {
      audit,
      events,
      natsUrl: bus.url
    })
    return {
      ...spent,
      serverCpuSeconds: usageOf(bus.pid).cpuSeconds - before.cpuSeconds,
      limits: [limit],
      more: { message_bytes_mean: Math.round(sizeBytesMean) }
    }
  }
}
