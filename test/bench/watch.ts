/**
 * Watches of many tenants while activities are published at a steady rate: from the publish to the client. Beside it,
 * under the same load and with every program at work, from a record's webhook to the list that shows it.
 */
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { activities } from "../../src/domain/streams.ts"
import type { Tenant } from "../../src/domain/Tenant.ts"
import { startClickHouseBridge } from "../support/clickhouseBridge.ts"
import { eventually } from "../support/eventually.ts"
import { https } from "../support/httpsJson.ts"
import { madeNamespace, madeRecords, recordText } from "../support/madeRecords.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"
import { percentile, stampedMessage } from "./activityMessages.ts"
import { adminToken, tenantName, writeApiFiles } from "./api.ts"
import type { Benchmark, Limit } from "./Benchmark.ts"
import { type BenchBus, startBus } from "./bus.ts"
import type { WatchAnswer } from "./parts/watchers.ts"
import { makeBundle, measure, runPart } from "./processes.ts"

const tenants = 200
const platformWatchers = 5
/** Activities a second, all tenants together: so many at once, each so often. */
const burst = 10
const burstMillis = 10
/** A record is posted, and a list asked for, each so often. */
const recordMillis = 200
/** What has not come by then will not come. */
const lateMillisMax = 30_000

const tenantOf = (n: number): Tenant => ({ type: "Project", name: tenantName(n % tenants) })

export const watch: Benchmark = {
  summary: `activities, 1,000 a second, reach ${tenants} tenants' watches and ${platformWatchers} of the platform`,
  options: ["events", "policies"],
  eventsDefault: 20_000,
  run: async ({ events, policies, tell }) => {
    await using folder = await temporaryFolder("bench-watch")
    const at = (name: string) => join(folder.path, name)
    mkdirSync(at("tls"))
    await using bus = await startBus(0)
    await bus.placePolicies(policies)
    const bridge = await startClickHouseBridge({ folder: at("clickhouse") })
    await using closing = new AsyncDisposableStack()
    closing.defer(bridge.stop)
    const api = await writeApiFiles(at("tls"), tenants)

    tell("measuring the limit")
    const { limit, p50Millis, p99Millis } = await tailed(bus, events)

    await using bundle = await makeBundle()
    const store = ["--clickhouse-url", `${bridge.url}/activity`]
    const operations = ["--ops-listen", "127.0.0.1:0"]
    await bundle.run(["migrate", ...store])
    await using collector = bundle.start([
      ...["collector", ...operations, ...bus.flags],
      ...["--audit-listen", "127.0.0.1:0", "--spool", at("spool"), ...api.tlsFlags]
    ])
    await using processor = bundle.start(["processor", ...operations, ...bus.flags])
    await using writer = bundle.start(["writer", ...operations, ...bus.flags, ...store])
    await using apiserver = bundle.start([
      ...["apiserver", ...operations, "--nats-url", bus.url, ...store, ...api.flags]
    ])
    const [, auditUrl = ""] = await collector.waitForLine(/"audit":"(https:[^"]+)"/)
    const [, apiUrl = ""] = await apiserver.waitForLine(/"api":"(https:[^"]+)"/)
    await processor.waitForLine(/"processor started"/)
    await writer.waitForLine(/"writer started"/)

    await eventually(
      "the limit's activities are stored: nothing of it is left to do",
      async () => (await bus.acknowledged(activities.name, "writer")).done >= events
    )
    const list = await https(`${apiUrl}/apis/activity.miloapis.com/v1alpha1/activities?limit=1`, {
      authority: api.authority,
      token: adminToken
    })

    let published = 0
    let publishedAt = Date.now()
    let answer: WatchAnswer | undefined
    let doneMillis = 0
    const opened = Promise.withResolvers<void>()
    const watching = runPart<WatchAnswer>(
      "parts/watchers.ts",
      {
        url: apiUrl,
        authority: api.authority,
        resourceVersion: list.json().metadata.resourceVersion,
        tenants,
        platformWatchers,
        expected: events * (1 + platformWatchers)
      },
      () => opened.resolve()
    ).then((seen) => {
      answer = seen
      doneMillis = Date.now()
    })
    await Promise.race([opened.promise, watching])

    const listed = recordsListed({ auditUrl, apiUrl, authority: api.authority })
    const loading = publishSteadily(bus, events, events, (count) => {
      published = count
      publishedAt = Date.now()
    })
    const measuring = measure({
      events,
      program: apiserver,
      serverPid: bus.pid,
      progress: () =>
        Promise.race([Promise.all([watching, loading, listed.failed]), Promise.resolve()]).then(() => {
          if (answer === undefined && Date.now() - publishedAt > lateMillisMax) {
            throw new Error(`${lateMillisMax} ms after the last publish the watches have not seen everything`)
          }
          return { done: answer === undefined ? Math.min(published, events - 1) : events, lastMillis: doneMillis }
        }),
      tell
    })
    const done = await measuring
    const { lists, records } = await listed.stop()
    const { frames, platform, tenants: own } = answer!
    return {
      ...done,
      limits: [limit],
      more: {
        frames,
        tenant_watch_p50_ms: own.p50Millis,
        tenant_watch_p99_ms: own.p99Millis,
        tenant_watch_max_ms: own.maxMillis,
        platform_watch_p50_ms: platform.p50Millis,
        platform_watch_p99_ms: platform.p99Millis,
        platform_watch_max_ms: platform.maxMillis,
        tail_alone_p50_ms: p50Millis,
        tail_alone_p99_ms: p99Millis,
        listed_records: records.length,
        webhook_to_list_p50_ms: percentile(records, 0.5),
        webhook_to_list_p99_ms: percentile(records, 0.99),
        webhook_to_list_max_ms: percentile(records, 1),
        lists: lists.length,
        list_p50_ms: percentile(lists, 0.5),
        list_p99_ms: percentile(lists, 0.99)
      }
    }
  }
}

/** Activities `from` to `from + count - 1`, paced by the clock whatever the bus takes. */
const publishSteadily = async (
  bus: BenchBus,
  from: number,
  count: number,
  tellCount: (count: number) => void
): Promise<void> => {
  const started = performance.now()
  const sending: Array<Promise<void>> = []
  for (let n = 0; n < count; n += burst) {
    const due = started + (n / burst) * burstMillis
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, due - performance.now())))
    const now = Date.now()
    const size = Math.min(burst, count - n)
    sending.push(
      bus.publish(
        Array.from({ length: size }, (_, index) => stampedMessage(from + n + index, tenantOf(n + index), now))
      )
    )
    tellCount(n + size)
  }
  await Promise.all(sending)
}

interface Tailed {
  readonly limit: Limit
  readonly p50Millis: number
  readonly p99Millis: number
}

const tailed = async (bus: BenchBus, events: number): Promise<Tailed> => {
  let loading: Promise<void> | undefined
  const { p50Millis, p99Millis, ...spent } = await runPart<
    Omit<Limit, "name"> & { readonly p50Millis: number; readonly p99Millis: number }
  >("limits/tailAlone.ts", { natsUrl: bus.url, events }, () => {
    loading ??= publishSteadily(bus, 0, events, () => undefined)
  })
  await loading
  return { limit: { name: "tail_alone", ...spent }, p50Millis, p99Millis }
}

/** Posts records and asks for lists at a steady rate, whatever they take, until a list has shown each record. */
const recordsListed = ({ apiUrl, auditUrl, authority }: { auditUrl: string; apiUrl: string; authority: string }) => {
  const listUrl = `${apiUrl}/apis/activity.miloapis.com/v1alpha1/namespaces/${madeNamespace}/activities?limit=200`
  const records: Array<number> = []
  const lists: Array<number> = []
  /** When each record that no list has shown was posted. */
  const missing = new Map<string, number>()
  const stop = new AbortController()

  const post = async (n: number) => {
    const [record] = madeRecords(`listed-${n}`, 1)
    missing.set(record!.name, performance.now())
    const body = `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[${recordText(record!)}]}`
    const posted = await https(auditUrl, { authority, method: "POST", body })
    if (posted.status !== 200) throw new Error(`the collector answered ${posted.status}: ${posted.text}`)
  }
  const list = async () => {
    const asked = performance.now()
    const answer = await https(listUrl, { authority, token: adminToken })
    if (answer.status !== 200) throw new Error(`the list was answered ${answer.status}: ${answer.text}`)
    const now = performance.now()
    lists.push(Math.round(now - asked))
    for (const [name, posted] of missing) {
      if (now - posted > lateMillisMax) throw new Error("a record's activity is in no list")
      if (!answer.text.includes(`"${name}"`)) continue
      missing.delete(name)
      records.push(Math.round(now - posted))
    }
  }
  const run = async () => {
    const failure = Promise.withResolvers<never>()
    const sent: Array<Promise<void>> = []
    const send = (work: Promise<void>) => sent.push(work.catch(failure.reject))
    for (let n = 0; !stop.signal.aborted || missing.size > 0; n++) {
      if (!stop.signal.aborted) send(post(n))
      send(list())
      await Promise.race([failure.promise, new Promise((resolve) => setTimeout(resolve, recordMillis))])
    }
    await Promise.race([failure.promise, Promise.all(sent)])
  }
  const running = run()
  return {
    /** Only fails. */
    failed: running,
    stop: async (): Promise<{ readonly records: ReadonlyArray<number>; readonly lists: ReadonlyArray<number> }> => {
      stop.abort()
      await running
      return { records, lists }
    }
  }
}
