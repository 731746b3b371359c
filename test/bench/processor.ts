/** The processor on a full stream of records: from its start line until it has acknowledged the last. */
import { activities, auditEvents, deadLetters } from "../../src/domain/streams.ts"
import type { Benchmark } from "./Benchmark.ts"
import { rounded } from "./Benchmark.ts"
import { startBus } from "./bus.ts"
import { consumeAndAck, jsonParse } from "./limits/limit.ts"
import { makeBundle, measure } from "./processes.ts"
import { messagesOf, readRecords } from "./records.ts"

export const processor: Benchmark = {
  summary: "records that wait in the bus become activities there",
  options: ["events", "audit", "policies"],
  eventsDefault: 100_000,
  run: async ({ audit, events, policies, tell }) => {
    const { message, sizeBytesMean } = messagesOf(await readRecords(audit, events))
    await using bus = await startBus(events * sizeBytesMean)
    await bus.placePolicies(policies)
    await bus.fill(events, message, tell)
    tell("measuring the limits")
    const limits = [await consumeAndAck({ natsUrl: bus.url, events }), await jsonParse({ audit, events })]
    await using bundle = await makeBundle()
    await using program = bundle.start(["processor", "--ops-listen", "127.0.0.1:0", ...bus.flags])
    await program.waitForLine(/"processor started"/)
    const done = await measure({
      events,
      program,
      serverPid: bus.pid,
      progress: () => bus.acknowledged(auditEvents.name, "processor"),
      tell
    })
    const told = await bus.digest(activities.name)
    return {
      ...done,
      limits,
      more: {
        rss_half_max_mb: rounded(done.rssHalfMaxBytes / 1e6, 4),
        activities: told.messages,
        dead_letters: (await bus.stored(deadLetters.name)).done,
        output: told.digest
      }
    }
  }
}
