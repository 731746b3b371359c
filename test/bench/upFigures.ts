/** What a running `up` holds at one moment: in memory, in its streams, and in its folder. */
import { readdirSync, statSync } from "node:fs"
import { join } from "node:path"
import { jetstreamManager } from "@nats-io/jetstream"
import { connect } from "@nats-io/transport-node"
import { activities, auditEvents, deadLetters } from "../../src/domain/streams.ts"
import { processesOn } from "../support/processesOn.ts"
import type { Up } from "../support/up.ts"
import { usageOf } from "./usage.ts"

export interface UpFigures {
  readonly rss_mb: number
  readonly threads: number
  readonly open_files: number
  readonly heap_mb: number
  /** Buffers outside of the heap that JavaScript holds. */
  readonly external_mb: number
  readonly server_rss_mb: number
  readonly audit_events_mb: number
  readonly activities_mb: number
  readonly dead_letters: number
  readonly spool_mb: number
  /** Acknowledged, and not yet in the stream. */
  readonly records_spooled: number
  /** In the stream, delivered or not: what the writer, and the processor, have not acknowledged. */
  readonly records_unstored: number
  readonly records_unprocessed: number
  readonly activities_unstored: number
  /** Since it was looked at first. */
  readonly activities_published: number
  /** On the disk: also those that were merged into others a while ago. */
  readonly parts: number
}

export interface UpLook extends AsyncDisposable {
  readonly serverPid: number
  readonly look: () => Promise<UpFigures>
}

export const upFigures = async (up: Up): Promise<UpLook> => {
  const server = processesOn(join(up.folder, "nats")).find(({ pid }) => pid !== up.process.pid)
  if (server === undefined) throw new Error("up has no nats-server")
  const connection = await connect({ servers: up.endpoints.nats })
  const { consumers, streams } = await jetstreamManager(connection)
  const firstActivity = (await streams.info(activities.name)).state.first_seq
  const unacknowledged = async (stream: string, durable: string): Promise<number> => {
    const { num_ack_pending, num_pending } = await consumers.info(stream, durable)
    return num_ack_pending + num_pending
  }
  // In the direction of the flow: what moves on meanwhile is still seen.
  const look = async (): Promise<UpFigures> => {
    const metrics = await metricsOf(up)
    const usage = usageOf(up.process.pid)
    const records = (await streams.info(auditEvents.name)).state
    const letters = (await streams.info(deadLetters.name)).state
    const unprocessed = await unacknowledged(auditEvents.name, "processor")
    const unstored = await unacknowledged(auditEvents.name, "writer")
    // Behind the processor's: what it acknowledged is in the stream.
    const summaries = (await streams.info(activities.name)).state
    return {
      rss_mb: megabytes(usage.rssBytes),
      threads: usage.threads,
      open_files: metrics("process_open_fds"),
      heap_mb: megabytes(metrics("nodejs_heap_size_used_bytes")),
      external_mb: megabytes(metrics("nodejs_external_memory_bytes")),
      server_rss_mb: megabytes(usageOf(server.pid).rssBytes),
      audit_events_mb: megabytes(records.bytes),
      activities_mb: megabytes(summaries.bytes),
      dead_letters: letters.messages,
      spool_mb: megabytes(sizeBytes(join(up.folder, "spool"))),
      records_spooled: metrics("activity_collector_spool_messages"),
      records_unstored: unstored,
      records_unprocessed: unprocessed,
      activities_unstored: await unacknowledged(activities.name, "writer"),
      // Its first message goes when the stream is trimmed.
      activities_published: summaries.last_seq - firstActivity + 1,
      parts: partFolders(join(up.folder, "clickhouse", "store"))
    }
  }
  return { serverPid: server.pid, look, [Symbol.asyncDispose]: () => connection.close() }
}

const megabytes = (bytes: number): number => Math.round(bytes / 1e5) / 10

/** A sample of Prometheus text without labels. */
const metricsOf = async (up: Up): Promise<(name: string) => number> => {
  const text = await (await fetch(`${up.endpoints.ops}/metrics`)).text()
  return (name) => Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1] ?? NaN)
}

const sizeBytes = (folder: string): number =>
  readdirSync(folder, { recursive: true, encoding: "utf8" }).reduce(
    (sum, name) => sum + (statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0),
    0
  )

/** `store/<three digits>/<table>/<partition>_<first>_<last>_<level>`. */
const partFolders = (store: string): number => {
  const inside = (folder: string) => readdirSync(folder).map((name) => join(folder, name))
  const tables = inside(store).flatMap(inside)
  return tables.flatMap((table) => readdirSync(table)).filter((name) => /^\w+_\d+_\d+_\d+$/.test(name)).length
}
