/** What goes on in a cluster all day, and whether all of it was told afterwards. */
import { setTimeout as pause } from "node:timers/promises"
import { assert } from "vitest"
import { eventually } from "../support/eventually.ts"
import type { Activity } from "./activity.ts"
import type { Cluster } from "./cluster.ts"

/** The namespace of the load; alice may do everything with ConfigMaps there. */
export const loadObjects: ReadonlyArray<object> = [
  { apiVersion: "v1", kind: "Namespace", metadata: { name: "shop" } },
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "Role",
    metadata: { name: "configmaps", namespace: "shop" },
    rules: [{ apiGroups: [""], resources: ["configmaps"], verbs: ["*"] }]
  },
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "RoleBinding",
    metadata: { name: "configmaps", namespace: "shop" },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "configmaps" },
    subjects: [{ kind: "User", apiGroup: "rbac.authorization.k8s.io", name: "alice" }]
  }
]

export interface ClusterLoad {
  /** What the samples tell of all that the cluster has answered 201 so far. */
  readonly expected: () => ReadonlyArray<string>
  /** Waits for the last answer. */
  readonly stop: () => Promise<ReadonlyArray<string>>
}

/** alice makes a ConfigMap `<prefix>-<lane>-<n>` each `everyMillis` at most, and a controller reports an Event about it. */
export const startLoad = (
  cluster: Cluster,
  options: {
    readonly prefix: string
    readonly everyMillis: number
    /** How many of them there are; 1 when not given. */
    readonly lanes?: number
  }
): ClusterLoad => {
  const expected: Array<string> = []
  const stopping = new AbortController()
  const created = async (user: string, path: string, body: object): Promise<boolean> =>
    cluster.request(user, path, { method: "POST", body }).then(
      ({ status }) => status === 201,
      () => false
    )
  const run = async (prefix: string) => {
    for (let number = 0; !stopping.signal.aborted; number++) {
      const name = `${prefix}-${number}`
      const configMap = { apiVersion: "v1", kind: "ConfigMap", metadata: { name } }
      if (await created("alice", "/api/v1/namespaces/shop/configmaps", configMap)) {
        expected.push(`alice created ConfigMap ${name} in shop`)
      }
      if (await created("admin", "/apis/events.k8s.io/v1/namespaces/shop/events", eventAbout(name))) {
        expected.push(`ConfigMap ${name} in shop: Checked ${name}`)
      }
      await pause(options.everyMillis, undefined, { signal: stopping.signal }).catch(() => undefined)
    }
  }
  const lanes = Array.from({ length: options.lanes ?? 1 }, (_, lane) => run(`${options.prefix}-${lane}`))
  return {
    expected: () => expected,
    stop: async () => {
      stopping.abort()
      await Promise.all(lanes)
      return expected
    }
  }
}

const eventAbout = (name: string) => ({
  apiVersion: "events.k8s.io/v1",
  kind: "Event",
  metadata: { name: `${name}.checked` },
  eventTime: new Date().toISOString().replace("Z", "000Z"),
  type: "Normal",
  reason: "Checked",
  action: "Check",
  note: `Checked ${name}`,
  reportingController: "shop.example.com/checker",
  reportingInstance: "checker-0",
  regarding: { apiVersion: "v1", kind: "ConfigMap", name, namespace: "shop" }
})

/** Waits until every sentence is told through the cluster's API, and fails when one is told twice. */
export const assertToldOnce = async (
  activity: Activity,
  sentences: ReadonlyArray<string>,
  deadlineMillis = 120_000
): Promise<void> => {
  let told: ReadonlyMap<string, number> = new Map()
  await eventually(
    `all of ${sentences.length} are told`,
    async () => {
      told = countsOf(await activity.activities("admin", "shop"))
      return sentences.every((sentence) => told.has(sentence))
    },
    { deadlineMillis }
  ).catch((cause: unknown) => {
    const missing = sentences.filter((sentence) => !told.has(sentence))
    throw new Error(`${missing.length} of ${sentences.length} are missing: ${missing.slice(0, 10).join("; ")}`, {
      cause
    })
  })
  const doubled = sentences.filter((sentence) => told.get(sentence) !== 1)
  assert.deepStrictEqual(doubled, [], "told twice")
}

const countsOf = (
  activities: ReadonlyArray<{ readonly spec: { readonly summary: string } }>
): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>()
  for (const { spec } of activities) counts.set(spec.summary, (counts.get(spec.summary) ?? 0) + 1)
  return counts
}
