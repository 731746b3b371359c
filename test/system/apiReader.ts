/** Somebody who reads the API all the time, and counts what went wrong. */
import { setTimeout as pause } from "node:timers/promises"
import type { Cluster } from "./cluster.ts"

export interface ReaderCounts {
  readonly requests: number
  /** Answers of 500 and above, and no answers, that were good when asked again within a second. */
  readonly retried: ReadonlyArray<string>
  /** Those that were not, with what they said. */
  readonly failed: ReadonlyArray<string>
}

export interface ApiReader {
  readonly stop: () => Promise<ReaderCounts>
}

/** Clients of Kubernetes ask again after a second when a server says 429 or 5xx with Retry-After, as kube-apiserver does. */
const retryMillis = 1_000

/** Lists activities and policies, one after the other, without a pause. */
export const startReader = (cluster: Cluster, user: string): ApiReader => {
  const group = "/apis/activity.miloapis.com/v1alpha1"
  const paths = [`${group}/namespaces/shop/activities?limit=10`, `${group}/activitypolicies?limit=10`]
  const failed: Array<string> = []
  let requests = 0
  const retried: Array<string> = []
  const stopping = new AbortController()
  const ask = async (path: string): Promise<string | undefined> =>
    cluster.request(user, path).then(
      ({ status, text }) => (status === 200 ? undefined : `${status} ${text.slice(0, 300)}`),
      (cause: unknown) => String(cause)
    )
  const run = async () => {
    while (!stopping.signal.aborted) {
      const path = paths[requests++ % paths.length]!
      const problem = await ask(path)
      if (problem !== undefined) {
        await pause(retryMillis)
        const again = await ask(path)
        if (again === undefined) retried.push(`${path}: ${problem}`)
        else failed.push(`${path}: ${problem}, then ${again}`)
      }
      await pause(20)
    }
  }
  const running = run()
  return {
    stop: async () => {
      stopping.abort()
      await running
      return { requests, retried, failed }
    }
  }
}
