/** How fast a cluster's Events are brought to the bus when nobody has done it before. Prints what it measured. */
import { assert, it } from "vitest"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { projectFolder } from "../../../.ci/projectFolder.ts"
import { connectBus } from "../../support/bus.ts"
import { startProcess } from "../../support/childProcess.ts"
import { eventually } from "../../support/eventually.ts"
import { startNatsServer } from "../../support/natsServer.ts"
import { temporaryFolder } from "../../support/temporaryFolder.ts"
import { startExporter } from "./startExporter.ts"
import { writeKubeconfig } from "../../support/kubeconfig.ts"

const events = 100_000

it(`${events} Events of a first list are published`, { timeout: 300_000 }, async () => {
  await using folder = await temporaryFolder("first-list")
  await using nats = await startNatsServer()
  await using server = startProcess({
    command: process.execPath,
    arguments: [join(projectFolder, "test/programs/exporter/listServer.ts"), String(events)]
  })
  const [url] = await server.waitForLine(/http:\/\/\S+/)
  await using bus = connectBus(nats.url)
  await using exporter = await startExporter({
    kubeconfig: writeKubeconfig(folder.path, url),
    natsUrl: nats.url,
    flags: ["--stream-scale", "4"]
  })
  await exporter.program.waitForLine(/"message":"exporting"/)
  const started = performance.now()
  const before = cpuSeconds(exporter.program.pid)
  let rssMax = 0
  await eventually(
    "all are published",
    async () => {
      rssMax = Math.max(rssMax, residentBytes(exporter.program.pid))
      return (await bus.state("MILO_EVENTS")).messages === events
    },
    { deadlineMillis: 240_000 }
  )
  const seconds = (performance.now() - started) / 1000
  const cpu = cpuSeconds(exporter.program.pid) - before
  console.log(
    `first list: ${Math.round(events / seconds)} Events a second, ` +
      `${((cpu / events) * 1000).toFixed(3)} CPU-s per 1,000, RSS at most ${Math.round(rssMax / 2 ** 20)} MiB`
  )
  assert.strictEqual((await exporter.counts())["published"], events)
})

const cpuSeconds = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ")
  // User and system time, in ticks of 10 ms.
  return (Number(fields[11]) + Number(fields[12])) / 100
}

const residentBytes = (pid: number): number => Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]) * 4096
