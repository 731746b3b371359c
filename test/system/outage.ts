/**
 * Servers away while people and controllers go on: nothing that happened meanwhile is missing afterwards, and the
 * cluster does not notice.
 */
import { eventually } from "../support/eventually.ts"
import type { Activity } from "./activity.ts"
import type { Cluster } from "./cluster.ts"
import { startLoad } from "./clusterLoad.ts"

export interface Outage {
  readonly stop: () => Promise<void>
  readonly start: () => Promise<void>
}

export const natsOutage = ({ nats }: Activity): Outage => ({ stop: () => nats.kill(), start: () => nats.start() })

/**
 * Stops servers for `millis` under a load of ten requests a second, and lets the cluster delete a namespace and collect
 * garbage in the middle of it.
 *
 * @returns what has to be told, from before the outage until after it
 */
export const throughOutage = async (
  activity: Activity,
  outages: ReadonlyArray<Outage>,
  options: { readonly prefix: string; readonly millis: number }
): Promise<ReadonlyArray<string>> => {
  const load = startLoad(activity.cluster, { prefix: options.prefix, everyMillis: 200 })
  await eventually("the load runs", () => load.expected().length >= 5)
  const began = performance.now()
  for (const { stop } of outages) await stop()
  const housekeeping = await keepHouse(activity.cluster, options.prefix)
  await eventually("the outage is long enough", () => performance.now() - began > options.millis, {
    deadlineMillis: options.millis + 60_000
  })
  const before = load.expected().length
  for (const { start } of outages) await start()
  const seconds = Math.round((performance.now() - began) / 1_000)
  await eventually("the load went on", () => load.expected().length > before + 5)
  const expected = await load.stop()
  console.log(
    `${options.prefix}: ${seconds} s, ${expected.length} facts; ` +
      `namespace gone after ${housekeeping.namespaceMillis} ms, garbage after ${housekeeping.garbageMillis} ms`
  )
  return expected
}

export interface Housekeeping {
  readonly namespaceMillis: number
  readonly garbageMillis: number
}

/** Deletes an owner whose dependent is then garbage, and the namespace of both. @returns how long each took */
export const keepHouse = async (cluster: Cluster, name: string, deadlineMillis = 120_000): Promise<Housekeeping> => {
  const configMaps = await makeGarbage(cluster, name)
  const garbageMillis = await untilGone(cluster, `${configMaps}/owned`, deadlineMillis)
  await cluster.request("admin", `/api/v1/namespaces/${name}`, { method: "DELETE" })
  return { garbageMillis, namespaceMillis: await untilGone(cluster, `/api/v1/namespaces/${name}`, deadlineMillis) }
}

/** A namespace with a ConfigMap `owned`, whose owner has just been deleted. @returns the path of its ConfigMaps */
const makeGarbage = async (cluster: Cluster, name: string): Promise<string> => {
  const configMaps = `/api/v1/namespaces/${name}/configmaps`
  const create = (path: string, body: object) => cluster.request("admin", path, { method: "POST", body })
  await create("/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name } })
  const owner = await create(configMaps, { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "owner" } })
  const { uid } = owner.json().metadata
  await create(configMaps, {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "owned", ownerReferences: [{ apiVersion: "v1", kind: "ConfigMap", name: "owner", uid }] }
  })
  await cluster.request("admin", `${configMaps}/owner`, { method: "DELETE" })
  return configMaps
}

/** @returns how long it took */
export const untilGone = async (cluster: Cluster, path: string, deadlineMillis: number): Promise<number> => {
  const began = performance.now()
  await eventually(`${path} is gone`, async () => (await cluster.request("admin", path)).status === 404, {
    deadlineMillis
  })
  return Math.round(performance.now() - began)
}
