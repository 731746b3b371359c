/** What measured: this machine, and the versions of what runs on it. */
import { execFileSync } from "node:child_process"
import { availableParallelism, cpus, totalmem } from "node:os"
import { Effect } from "effect"
import { projectFolder } from "../../.ci/projectFolder.ts"
import { findNatsServer } from "../../src/clients/nats/findNatsServer.ts"

export interface Machine {
  readonly cores: number
  readonly processor: string
  readonly memory_gb: number
  readonly node: string
  readonly nats_server: string
  /** The embedded engine. */
  readonly clickhouse: string
}

export const thisMachine = async (): Promise<Machine> => {
  const says = (command: string, ...parameters: ReadonlyArray<string>) =>
    execFileSync(command, parameters, { cwd: projectFolder, encoding: "utf8" }).trim()
  const engineVersion = `console.log(require("chdb").query("SELECT version()", "TSV").toString())`
  return {
    cores: availableParallelism(),
    processor: cpus()[0]?.model ?? "unknown",
    memory_gb: Math.round(totalmem() / 1e9),
    node: process.version.slice(1),
    nats_server: says(await Effect.runPromise(findNatsServer), "--version").replace(/^.*v/, ""),
    clickhouse: says(process.execPath, "--eval", engineVersion)
  }
}
