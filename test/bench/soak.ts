/**
 * `up` under 2,000 records a second for an hour: what it holds in memory and on the disk comes to rest, and every record
 * that it acknowledged is a row.
 *
 * It is looked at each ten seconds. The first ten minutes, in which buffers and caches fill, are left out of the slopes.
 */
import { join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import { platformTenant } from "../../src/domain/Tenant.ts"
import { batchFrom } from "../../src/programs/collector/batch.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"
import { connectUp, freePorts, type Up } from "../support/up.ts"
import { percentile } from "./activityMessages.ts"
import type { Benchmark } from "./Benchmark.ts"
import { rounded } from "./Benchmark.ts"
import type { StoredRows } from "./parts/storedRows.ts"
import { makeBundle, runPart } from "./processes.ts"
import { readRecords, type Records } from "./records.ts"
import { type UpFigures, upFigures } from "./upFigures.ts"
import { usageOf } from "./usage.ts"

const recordsPerSecond = 2_000
/** What kube-apiserver sends at once. */
const batchSize = 400
const batchMillis = (batchSize / recordsPerSecond) * 1000
/** Posts on the way at once. One more waits, and the next ones go sooner: the clock sets the pace. */
const postsInFlightMax = 16
/** Before a refused post is repeated. */
const refusedMillis = 1_000

const sampleMillisMax = 10_000
const warmMinutesMax = 10
/** What is acknowledged when the last post is answered becomes rows, some of it within each such time. */
const idleMillisMax = 60_000

interface Sample extends UpFigures {
  readonly minute: number
  readonly acknowledged: number
}

export const soak: Benchmark = {
  summary: "up takes 2,000 records a second: what it holds over time, and whether all of them are stored",
  options: ["minutes", "audit"],
  eventsDefault: recordsPerSecond * 3_600,
  run: async ({ audit, minutes, tell }) => {
    const text = storedText(await readRecords(audit, Infinity))
    await using folder = await temporaryFolder("bench-soak")
    await using bundle = await makeBundle()
    await using program = bundle.startUp([
      ...["--data", folder.path, "--no-demo", ...freePorts],
      // The recorded data grows older by the day.
      ...["--audit-retention", "10000d", "--activity-retention", "10000d"]
    ])
    await program.waitForLine(/^Ready/m)
    const up = connectUp(folder.path, program)
    await using figures = await upFigures(up)

    const before = { up: usageOf(program.pid), server: usageOf(figures.serverPid) }
    const started = performance.now()
    const sender = sendSteadily(up, text, minutes * 60_000)
    const samples: Array<Sample> = []
    while (sender.sends()) {
      await Promise.race([pause(Math.min(sampleMillisMax, (minutes * 60_000) / 12)), sender.run])
      if (!program.running()) throw new Error(`up ended:\n${program.log()}`)
      const minute = rounded((performance.now() - started) / 60_000, 4)
      const sample = { minute, acknowledged: sender.acknowledged(), ...(await figures.look()) }
      samples.push(sample)
      tell(JSON.stringify(sample))
    }
    await sender.run
    const seconds = (performance.now() - started) / 1000
    const drained = await untilStored(figures.look)
    const after = { up: usageOf(program.pid), server: usageOf(figures.serverPid) }
    tell("counting rows")
    await program.terminate(60_000)
    const stored = await runPart<StoredRows>("parts/storedRows.ts", { folder: join(folder.path, "clickhouse") })

    const warm = samples.filter(({ minute }) => minute >= Math.min(warmMinutesMax, minutes / 6))
    const activities = drained.activities_published
    const acknowledged = sender.acknowledged()
    return {
      events: acknowledged,
      seconds,
      cpuSeconds: after.up.cpuSeconds - before.up.cpuSeconds,
      serverCpuSeconds: after.server.cpuSeconds - before.server.cpuSeconds,
      rssMaxBytes: after.up.rssMaxBytes,
      limits: [],
      more: {
        minutes,
        rss_slope_mb_per_min: slope(warm, "rss_mb"),
        heap_slope_mb_per_min: slope(warm, "heap_mb"),
        server_rss_slope_mb_per_min: slope(warm, "server_rss_mb"),
        rss_warm_mb: warm[0]?.rss_mb ?? 0,
        rss_last_mb: warm.at(-1)?.rss_mb ?? 0,
        most: Object.fromEntries(mostNames.map((name) => [name, Math.max(...samples.map((sample) => sample[name]))])),
        stored_bytes_per_record: Math.round(stored.bytes / acknowledged),
        posts_refused: sender.refused(),
        post_p99_ms: Math.round(percentile(sender.millis, 0.99)),
        records_missing: acknowledged - stored.records,
        record_copies: stored.recordRows - stored.records,
        activities,
        activities_missing: activities - stored.activities,
        dead_letters: drained.dead_letters
      }
    }
  }
}

const mostNames = [
  "audit_events_mb",
  "activities_mb",
  "spool_mb",
  "records_spooled",
  "records_unstored",
  "records_unprocessed",
  "activities_unstored",
  "parts",
  "threads",
  "open_files",
  "heap_mb",
  "server_rss_mb"
] as const

/** The n-th record of those that become a row each: of a stage that is kept, and no other's copy. */
const storedText = (records: Records): ((n: number) => string) => {
  const ids = new Set<string | undefined>()
  const indexes = records.originals.flatMap((line, index) => {
    const [message] = batchFrom([line], {
      cluster: "bench",
      defaultTenant: platformTenant,
      stages: new Set(["ResponseComplete", "Panic"]),
      messageSizeBytesMax: 8 * 1024 * 1024
    }).messages
    if (message === undefined || ids.has(message.id)) return []
    ids.add(message.id)
    return [index]
  })
  if (indexes.length === 0) throw new Error("--audit: the collector would publish none of these records.")
  return (n) => records.text(Math.floor(n / indexes.length) * records.originals.length + indexes[n % indexes.length]!)
}

/** Batches at their times. One that is refused is repeated until it is acknowledged. */
const sendSteadily = (up: Up, text: (n: number) => string, totalMillis: number) => {
  const batches = Math.max(1, Math.round(totalMillis / batchMillis))
  const started = performance.now()
  const millis: Array<number> = []
  let next = 0
  let acknowledged = 0
  let refused = 0
  const post = async (batch: number): Promise<void> => {
    const records = Array.from({ length: batchSize }, (_, index) => text(batch * batchSize + index))
    for (;;) {
      const began = performance.now()
      const { status, text: answer } = await up.post(records)
      millis.push(performance.now() - began)
      if (status === 200) break
      if (status !== 429 && status !== 503) throw new Error(`the webhook answered ${status}: ${answer}`)
      refused++
      await pause(refusedMillis)
    }
    acknowledged += batchSize
  }
  const lane = async () => {
    while (next < batches) {
      const batch = next++
      await pause(Math.max(0, started + batch * batchMillis - performance.now()))
      await post(batch)
    }
  }
  let sends = true
  const run = Promise.all(Array.from({ length: postsInFlightMax }, lane)).finally(() => {
    sends = false
  })
  return { run, sends: () => sends, acknowledged: () => acknowledged, refused: () => refused, millis }
}

/** @throws when nothing of what is left becomes a row for {@link idleMillisMax} */
const untilStored = async (look: () => Promise<UpFigures>): Promise<UpFigures> => {
  let least = Infinity
  let progressAt = performance.now()
  for (;;) {
    const figures = await look()
    const left =
      figures.records_spooled + figures.records_unstored + figures.records_unprocessed + figures.activities_unstored
    if (left === 0) return figures
    if (left < least) progressAt = performance.now()
    least = Math.min(least, left)
    if (performance.now() - progressAt > idleMillisMax) throw new Error(`${left} messages do not become rows`)
    await pause(500)
  }
}

/** A minute, by least squares. */
const slope = (samples: ReadonlyArray<Sample>, name: keyof Sample): number => {
  const mean = (of: (sample: Sample) => number) => samples.reduce((sum, one) => sum + of(one), 0) / samples.length
  const [minute, value] = [mean((sample) => sample.minute), mean((sample) => sample[name])]
  const together = mean((sample) => (sample.minute - minute) * (sample[name] - value))
  const spread = mean((sample) => (sample.minute - minute) ** 2)
  return spread === 0 ? 0 : rounded(together / spread, 3)
}
