/** How soon each program, bundled, works after its start, and what it holds while it has nothing to do. */
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { projectFolder } from "../../.ci/projectFolder.ts"
import { type ChildProcess, startProcess } from "../support/childProcess.ts"
import { startClickHouseBridge } from "../support/clickhouseBridge.ts"
import { writeKubeconfig } from "../support/kubeconfig.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"
import { freePorts } from "../support/up.ts"
import { percentile } from "./activityMessages.ts"
import { writeApiFiles } from "./api.ts"
import type { Benchmark, Figures } from "./Benchmark.ts"
import { rounded } from "./Benchmark.ts"
import { startBus } from "./bus.ts"
import { emptyProgram } from "./limits/limit.ts"
import { makeBundle } from "./processes.ts"
import { usageOf } from "./usage.ts"

/** What programs still do after their first lines settles within it; then all are looked at, side by side. */
const idleMillis = 2_000

interface Program {
  readonly parameters: ReadonlyArray<string>
  /** What it prints when it works. */
  readonly ready: RegExp
}

export const start: Benchmark = {
  summary: "each program is started, so often, and told as ready by itself",
  options: ["events"],
  eventsDefault: 5,
  run: async ({ events, tell }) => {
    await using folder = await temporaryFolder("bench-start")
    const at = (name: string) => join(folder.path, name)
    mkdirSync(at("tls"))
    await using bus = await startBus(0)
    const bridge = await startClickHouseBridge({ folder: at("bridge") })
    await using closing = new AsyncDisposableStack()
    closing.defer(bridge.stop)
    await using server = startProcess({
      command: process.execPath,
      arguments: [join(projectFolder, "test/programs/exporter/listServer.ts"), "1"]
    })
    const [kubernetes] = await server.waitForLine(/http:\/\/\S+/)
    const api = await writeApiFiles(at("tls"), 0)
    await using bundle = await makeBundle()
    const store = ["--clickhouse-url", `${bridge.url}/activity`]
    const operations = ["--ops-listen", "127.0.0.1:0"]
    await bundle.run(["migrate", ...store])
    const started = (program: string, ...more: ReadonlyArray<string>): Program => ({
      parameters: [program, ...operations, ...bus.flags, ...more],
      ready: new RegExp(`"${program} started"`)
    })
    const programs: Readonly<Record<string, Program>> = {
      collector: started("collector", "--audit-listen", "127.0.0.1:0", "--spool", at("spool"), ...api.tlsFlags),
      exporter: started("exporter", "--kubeconfig", writeKubeconfig(folder.path, kubernetes)),
      processor: started("processor"),
      writer: started("writer", ...store),
      apiserver: {
        parameters: ["apiserver", ...operations, "--nats-url", bus.url, ...store, ...api.flags],
        ready: /"apiserver started"/
      },
      up: { parameters: ["--data", at("up"), "--no-demo", ...freePorts], ready: /^Ready/m }
    }
    const begin = (name: string, { parameters }: Program) =>
      name === "up" ? bundle.startUp(parameters) : bundle.start(parameters)
    tell("up, for the first time")
    await (await untilReady(() => bundle.startUp(programs["up"]!.parameters), programs["up"]!)).program.terminate()
    const limit = await emptyProgram({ events })

    const millis = new Map<string, ReadonlyArray<number>>()
    const idle = new Map<string, ChildProcess>()
    let cpuSeconds = 0
    for (const [name, known] of Object.entries(programs)) {
      tell(name)
      const own: Array<number> = []
      millis.set(name, own)
      for (let n = 0; n < events; n++) {
        const { program, readyMillis } = await untilReady(() => begin(name, known), known)
        own.push(readyMillis)
        cpuSeconds += usageOf(program.pid).cpuSeconds
        if (n === events - 1) idle.set(name, program)
        else await program.terminate()
      }
    }
    tell("all idle")
    await new Promise((resolve) => setTimeout(resolve, idleMillis))
    const usages = [...idle].map(([name, program]) => {
      if (!program.running()) throw new Error(`${name} ended while it was idle:\n${program.log()}`)
      return usageOf(program.pid)
    })
    const figures = [...millis].map(([name, own], index): readonly [string, Figures] => [
      name,
      {
        ready_median_ms: Math.round(percentile(own, 0.5)),
        ready_max_ms: Math.round(percentile(own, 1)),
        rss_idle_mb: rounded((usages[index]?.rssBytes ?? 0) / 1e6, 4)
      }
    ])
    await Promise.all([...idle.values()].map((program) => program.terminate()))
    return {
      events: events * Object.keys(programs).length,
      seconds: [...millis.values()].flat().reduce((sum, one) => sum + one, 0) / 1000,
      cpuSeconds,
      serverCpuSeconds: undefined,
      rssMaxBytes: Math.max(...usages.map((usage) => usage.rssMaxBytes)),
      limits: [limit],
      more: Object.fromEntries(figures)
    }
  }
}

const untilReady = async (begin: () => ChildProcess, { ready }: Program) => {
  const before = performance.now()
  const program = begin()
  // Looked for each 20 ms.
  await program.waitForLine(ready)
  return { program, readyMillis: performance.now() - before }
}
