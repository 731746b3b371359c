/**
 * Servers and clients that tests need, fetched or built before the first test, so that no test's time limit has to hold
 * a download.
 */
import { Effect } from "effect"
import type { MissingTool } from "../../.ci/requirements.ts"
import { findNatsServer } from "../../src/clients/nats/findNatsServer.ts"
import { findKubectl } from "./kubectl.ts"

/** What could be found neither on this machine nor in a registry, with what was tried. */
export const prepareServers = async (tier: 1 | 2): Promise<ReadonlyArray<MissingTool>> => {
  const nats = await Effect.runPromise(findNatsServer).then(
    () => [],
    (cause: unknown) => [{ tier: 1 as const, name: `nats-server`, how: firstLineOf(cause) }]
  )
  if (tier === 1) return nats
  const kubectl = await findKubectl().then(
    () => [],
    (cause: unknown) => [{ tier: 2 as const, name: "kubectl", how: firstLineOf(cause) }]
  )
  return [...nats, ...kubectl]
}

const firstLineOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause)).split("\n")[0]!
