/** The exporter's first list of a cluster's Events: from a server that answers pages made before, or a kube-apiserver. */
import { join } from "node:path"
import { projectFolder } from "../../.ci/projectFolder.ts"
import { miloEvents } from "../../src/domain/streams.ts"
import { startProcess } from "../support/childProcess.ts"
import { writeKubeconfig } from "../support/kubeconfig.ts"
import { recordedEvents } from "../support/recordedData.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"
import { startCluster } from "../system/cluster.ts"
import type { Benchmark, BenchmarkOptions } from "./Benchmark.ts"
import { rounded } from "./Benchmark.ts"
import { startBus } from "./bus.ts"
import { listAlone } from "./limits/limit.ts"
import { makeBundle, measure } from "./processes.ts"

/** Of the recorded Events, about. */
const sizeBytesMean = 1_500
/** Requests at once that fill a kube-apiserver. */
const lanes = 16

export const exporter: Benchmark = {
  summary: "the Events of a cluster are listed and published",
  options: ["events", "kube-apiserver"],
  // The heap has its working size after some 20,000: memory that grows with the cluster shows behind them.
  eventsDefault: 100_000,
  run: async (options) => {
    const { events, tell } = options
    await using folder = await temporaryFolder("bench-exporter")
    await using server = options.kubeApiserver ? await startKubeApiserver(options) : await startListServer(options)
    tell("measuring the limit")
    const limits = [await listAlone({ ...server.access, events })]
    await using bus = await startBus(events * sizeBytesMean)
    await using bundle = await makeBundle()
    await using program = bundle.start([
      ...["exporter", "--kubeconfig", server.kubeconfig(folder.path), "--ops-listen", "127.0.0.1:0"],
      ...["--cluster", "bench", ...bus.flags]
    ])
    await program.waitForLine(/"message":"exporting"/)
    const done = await measure({
      events,
      program,
      serverPid: bus.pid,
      progress: () => bus.stored(miloEvents.name),
      tell
    })
    return { ...done, limits, more: { rss_half_max_mb: rounded(done.rssHalfMaxBytes / 1e6, 4) } }
  }
}

/** What is listed from. */
interface Server extends AsyncDisposable {
  readonly access: {
    readonly url: string
    readonly authority?: string
    readonly certificate?: string
    readonly key?: string
  }
  /** The path of one; it may be made in the folder. */
  readonly kubeconfig: (folder: string) => string
}

const startListServer = async ({ events }: BenchmarkOptions): Promise<Server> => {
  const server = startProcess({
    command: process.execPath,
    arguments: [join(projectFolder, "test/programs/exporter/listServer.ts"), String(events)]
  })
  const [url] = await server.waitForLine(/http:\/\/\S+/)
  return {
    access: { url },
    kubeconfig: (folder) => writeKubeconfig(folder, url),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]()
  }
}

/** One of its own, with the recorded Events as often as it takes, under new names. */
const startKubeApiserver = async ({ events, tell }: BenchmarkOptions): Promise<Server> => {
  tell("starting etcd and kube-apiserver")
  const cluster = await startCluster({ controllers: false })
  // A new Event of the newer version may not have the fields that recorded ones have.
  const recorded = recordedEvents("v1")
  const namespaces = ["activity-system", ...new Set(recorded.map(({ metadata }) => metadata.namespace))]
  for (const name of namespaces.filter((known) => known !== "default")) {
    const body = { apiVersion: "v1", kind: "Namespace", metadata: { name } }
    await cluster.request("admin", "/api/v1/namespaces", { method: "POST", body })
  }
  let next = 0
  let toldMillis = Date.now()
  const lane = async () => {
    while (next < events) {
      const number = next++
      const event = recorded[number % recorded.length]!
      const { name, namespace } = event.metadata
      const body = { ...event, metadata: { name: `${name.slice(0, 200)}-${number}`, namespace } }
      const path = `/api/v1/namespaces/${namespace}/events`
      const answer = await cluster.request("admin", path, { method: "POST", body })
      if (answer.status !== 201) throw new Error(`kube-apiserver does not take an Event: ${answer.text}`)
      if (Date.now() - toldMillis < 1_000) continue
      toldMillis = Date.now()
      tell(`filling kube-apiserver: ${number} of ${events}`)
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  return {
    access: { url: cluster.url, authority: cluster.authority, ...cluster.clientCertificate("admin") },
    kubeconfig: () => cluster.kubeconfig("admin"),
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose]()
  }
}
