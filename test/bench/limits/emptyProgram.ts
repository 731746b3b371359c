/** A program of one line, as often as asked for, each until it has said it: what Node itself takes to start. */
import { spawn } from "node:child_process"
import { answerPart, partOptions } from "../processes.ts"
import { usageOf } from "../usage.ts"

const { events } = partOptions<{ readonly events: number }>()
const started = performance.now()
for (let n = 0; n < events; n++) {
  const child = spawn(process.execPath, ["--eval", "console.log('started')"], { stdio: ["ignore", "pipe", "inherit"] })
  await new Promise((resolve) => child.stdout.once("data", resolve))
  await new Promise((resolve) => child.once("close", resolve))
}
answerPart({
  events,
  seconds: (performance.now() - started) / 1000,
  cpuSeconds: usageOf(process.pid).childrenCpuSeconds
})
