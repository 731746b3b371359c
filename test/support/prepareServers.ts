/**
 * Servers and clients that tests need, fetched or built before the first test, so that no test's time limit has to hold
 * a download.
 */
import { Effect } from "effect"
import type { MissingTool } from "../../.ci/requirements.ts"
import { findNatsServer } from "../../src/clients/nats/findNatsServer.ts"
import { findGoClients } from "./goClients.ts"
import { findGoProgram, type GoProgram } from "./goPrograms.ts"

/** What could be found neither on this machine nor in a registry, with what was tried. */
export const prepareServers = async (tier: 1 | 2): Promise<ReadonlyArray<MissingTool>> => {
  const missing = await missingIf(1, "nats-server", Effect.runPromise(findNatsServer))
  if (tier === 1) return missing
  const programs: ReadonlyArray<GoProgram> = [
    "kubectl",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "etcd"
  ]
  const all = [...missing]
  // One after another: each build uses every core, and the Kubernetes programs share most of what is compiled.
  for (const program of programs) {
    all.push(...(await missingIf(2, program, findGoProgram(program, process.env, console.log))))
  }
  all.push(...(await missingIf(2, "the Go clients", findGoClients(process.env, console.log))))
  return all
}

const missingIf = (tier: 1 | 2, name: string, found: Promise<unknown>): Promise<ReadonlyArray<MissingTool>> =>
  found.then(
    () => [],
    (cause: unknown) => [{ tier, name, how: firstLineOf(cause) }]
  )

const firstLineOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause)).split("\n")[0]!
