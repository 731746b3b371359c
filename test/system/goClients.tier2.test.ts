/**
 * Go's own clients follow activities and ActivityPolicies through kube-apiserver: informers of client-go and a manager of
 * controller-runtime, once with WatchList and once without. They print what they see; the ledgers are judged here.
 */
import { jetstreamManager } from "@nats-io/jetstream"
import { connect } from "@nats-io/transport-node"
import { Effect } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { Nats } from "../../src/clients/nats/Nats.ts"
import { natsLayer } from "../../src/clients/nats/natsLayer.ts"
import { activities } from "../../src/domain/streams.ts"
import { messageFrom, type TestActivity } from "../serve/apiFixture.ts"
import { cleanEnvironment } from "../support/childProcess.ts"
import { eventually } from "../support/eventually.ts"
import { findGoClients } from "../support/goClients.ts"
import { type Activity, startActivityInCluster } from "./activity.ts"
import { showLogsOfFailures, startMillisMax } from "./cluster.ts"

const group = "/apis/activity.miloapis.com/v1alpha1"
const resources = ["activities", "activitypolicies"] as const
const informers = ["dynamic", "metadata", "typed"] as const
const clients = [...informers, "manager"] as const

/** One line of the program; test/system/goclients/main.go says what each means. */
interface Line {
  readonly client: string
  readonly type: "synced" | "add" | "update" | "delete" | "reconcile" | "request" | "holds"
  readonly resource: string
  readonly namespace?: string
  readonly name?: string
  readonly resourceVersion?: string
  readonly query?: string
  readonly status?: number
  readonly holds?: Readonly<Record<string, string>>
}

interface GoClients {
  readonly lines: ReadonlyArray<Line>
  readonly log: () => string
  /** Ends it: its last lines tell what each client holds. */
  readonly end: () => Promise<void>
}

const running = new Set<ChildProcess>()

const startGoClients = async (kubeconfig: string, watchList: boolean): Promise<GoClients> => {
  const child = spawn(await findGoClients(), ["--kubeconfig", kubeconfig], {
    env: { ...cleanEnvironment(), KUBE_FEATURE_WatchListClient: String(watchList) }
  })
  running.add(child)
  const lines: Array<Line> = []
  let log = ""
  let rest = ""
  child.stderr.setEncoding("utf8").on("data", (text: string) => (log += text))
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const parts = (rest + text).split("\n")
    rest = parts.pop() ?? ""
    lines.push(...parts.map((part): Line => JSON.parse(part)))
  })
  return {
    lines,
    log: () => log,
    end: async () => {
      const exited = once(child, "exit")
      child.stdin.end()
      const [code] = await exited
      running.delete(child)
      assert.strictEqual(code, 0, log)
    }
  }
}

const policy = (name: string, kindLabel = "thing") => ({
  apiVersion: "activity.miloapis.com/v1alpha1",
  kind: "ActivityPolicy",
  metadata: { name },
  spec: {
    resource: { apiGroup: "example.com", kind: name },
    kindLabel,
    auditRules: [{ name: "create", match: "audit.verb == 'create'", summary: "{{ actor }} created it" }]
  }
})

describe("clients written in Go", () => {
  let activity: Activity
  beforeAll(async () => {
    activity = await startActivityInCluster({ policies: [], apiserverReplicas: 2, users: { robot: ["robots"] } })
    await activity.cluster.apply(
      {
        apiVersion: "rbac.authorization.k8s.io/v1",
        kind: "ClusterRole",
        metadata: { name: "robots" },
        rules: [
          { apiGroups: ["activity.miloapis.com"], resources: [...resources], verbs: ["get", "list", "watch"] },
          {
            apiGroups: ["activity.miloapis.com"],
            resources: ["scopes"],
            resourceNames: ["platform"],
            verbs: ["get"]
          }
        ]
      },
      {
        apiVersion: "rbac.authorization.k8s.io/v1",
        kind: "ClusterRoleBinding",
        metadata: { name: "robots" },
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "robots" },
        subjects: [{ kind: "Group", apiGroup: "rbac.authorization.k8s.io", name: "robots" }]
      }
    )
  }, 240_000)
  afterAll(async () => {
    for (const child of running) child.kill("SIGKILL")
    await activity?.[Symbol.asyncDispose]()
  }, startMillisMax)
  showLogsOfFailures(() => activity?.cluster)

  // One time for all: an activity keeps its own through all of its versions.
  const now = Date.now()
  const publish = (tests: ReadonlyArray<TestActivity>) =>
    Effect.runPromise(
      Nats.use((nats) =>
        nats.publish(tests.map((test) => messageFrom({ cluster: activity.clusterName, ...test }, now)))
      ).pipe(Effect.provide(natsLayer({ servers: [activity.nats.url], name: "test" })), Effect.scoped)
    )
  const batch = (prefix: string, count: number): ReadonlyArray<TestActivity> =>
    Array.from({ length: count }, (_, index) => ({
      id: `${prefix}-${index}`,
      namespace: `team-${index % 5}`,
      order: 1
    }))
  const write = async (method: string, name: string, body: object, type = "application/merge-patch+json") => {
    const answer = await activity.cluster.request("admin", `${group}/activitypolicies${name}`, {
      method,
      body,
      headers: method === "PATCH" ? { "content-type": type } : {}
    })
    assert.oneOf(answer.status, [200, 201], answer.text)
  }
  /** By "namespace/name", the resourceVersion that a list gives. */
  const listed = async (resource: string): Promise<Readonly<Record<string, string>>> => {
    const answer = await activity.cluster.request("robot", `${group}/${resource}`)
    assert.strictEqual(answer.status, 200, answer.text)
    return Object.fromEntries(
      answer
        .json()
        .items.map(({ metadata }: { metadata: { namespace?: string; name: string; resourceVersion: string } }) => [
          `${metadata.namespace ?? ""}/${metadata.name}`,
          metadata.resourceVersion
        ])
    )
  }
  const listHas = async (what: string, count: number): Promise<void> => {
    let found = 0
    await eventually(what, async () => (found = Object.keys(await listed("activities")).length) === count).catch(
      (cause: unknown) => {
        throw new Error(`${what}: ${found} of ${count}`, { cause })
      }
    )
  }

  /** Of all keys, deleted ones among them: asked of the store, when the API is not there. */
  const storedCount = async (): Promise<number> => {
    const [row] = await activity.query<{ readonly ids: string }>("SELECT uniqExact(id) AS ids FROM activities")
    return Number(row?.ids ?? 0)
  }

  it("miss nothing, through killed servers, versions that are gone and resyncs", { timeout: 240_000 }, async () => {
    await publish(batch("before", 300))
    for (const name of ["first", "second", "third"]) await write("POST", "", policy(name))
    await listHas("the first are stored", 300)

    const kubeconfig = activity.cluster.kubeconfig("robot")
    const modes = { on: await startGoClients(kubeconfig, true), off: await startGoClients(kubeconfig, false) }
    const everyone = Object.values(modes)
    const everybodySaw = (what: string, seen: (lines: ReadonlyArray<Line>) => boolean) =>
      eventually(what, () => everyone.every(({ lines }) => seen(lines))).catch((cause: unknown) => {
        throw new Error(everyone.map((one) => one.log().slice(-4_000)).join("\n---\n"), { cause })
      })
    await everybodySaw("everything is synced", (lines) =>
      clients.every((client) =>
        resources.every((resource) =>
          lines.some((line) => line.type === "synced" && line.client === client && line.resource === resource)
        )
      )
    )

    const [one, other] = activity.replicas.apiserver
    assert.isDefined(one)
    assert.isDefined(other)
    // Changes of every kind, while each replica is killed and started in its turn.
    await publish(batch("early", 200))
    await one!.kill()
    await publish(batch("during", 200))
    await publish(batch("early", 50).map((test) => ({ ...test, order: 2, mark: "modified", summary: "again" })))
    await publish(batch("before", 20).map((test) => ({ ...test, order: 2, mark: "deleted" })))
    await one!.start()
    await write("PATCH", "/first", { spec: { kindLabel: "changed" } })
    await write("DELETE", "/second", {})
    await write("POST", "", policy("fourth"))
    await other!.terminate()
    await publish(batch("late", 200))
    await other!.start()

    await listHas("all are stored", 300 - 20 + 600)

    // The stream goes on, and is trimmed, while both replicas stand still without a connection: what follows for their
    // watches is gone, these end, and whoever goes on from there is told 410.
    for (const { freeze } of [one!, other!]) freeze()
    await activity.nats.kill()
    await activity.nats.start()
    await publish(batch("missed", 100))
    await eventually("the missed are stored", async () => (await storedCount()) >= 300 + 600 + 100)
    await purgeActivities(activity.nats.url)
    for (const { thaw } of [one!, other!]) thaw()
    await publish(batch("after", 50))
    await write("POST", "", policy("fifth"))
    await listHas("these are stored too", 300 - 20 + 600 + 150)

    const wanted = { activities: await listed("activities"), activitypolicies: await listed("activitypolicies") }
    await everybodySaw("everybody has the last of all", (lines) =>
      clients.every((client) =>
        resources.every((resource) => {
          const seen = latestOf(lines, client, resource)
          return Object.entries(wanted[resource]).every(([key, version]) => seen.get(key) === version)
        })
      )
    )
    await everybodySaw("a resync has told everything again", (lines) =>
      informers.every((client) => lines.some((line, index) => isResync(lines, line, index, client)))
    )
    for (const [mode, { end, lines }] of Object.entries(modes)) {
      await end()
      for (const resource of resources) {
        for (const client of clients) {
          const held = lines.findLast(
            (line) => line.type === "holds" && line.client === client && line.resource === resource
          )
          assert.deepStrictEqual(held?.holds, wanted[resource], `${client} ${resource} with WatchList ${mode}`)
        }
        for (const client of informers) judgeInformer(lines, client, resource)
      }
      judgeRequests(lines, mode === "on")
    }
  })
})

/** By "namespace/name", the version that a client saw last. */
const latestOf = (lines: ReadonlyArray<Line>, client: string, resource: string): ReadonlyMap<string, string> =>
  new Map(
    lines
      .filter((line) => line.client === client && line.resource === resource && line.name !== undefined)
      .map((line) => [`${line.namespace ?? ""}/${line.name}`, line.resourceVersion ?? ""])
  )

/** An update to the version that the client had already. */
const isResync = (lines: ReadonlyArray<Line>, line: Line, index: number, client: string): boolean =>
  line.client === client &&
  line.type === "update" &&
  lines
    .slice(0, index)
    .findLast((before) => before.client === client && before.resource === line.resource && before.name === line.name)
    ?.resourceVersion === line.resourceVersion

/**
 * Each name is added once, versions never go back, and what is deleted stays away. A list may be newer than its version:
 * an informer that missed a deletion there hears of it again from the watch.
 */
const judgeInformer = (lines: ReadonlyArray<Line>, client: string, resource: string): void => {
  const versions = new Map<string, bigint>()
  const faults: Array<string> = []
  const gone = new Set<string>()
  for (const line of lines) {
    if (line.client !== client || line.resource !== resource || line.name === undefined) continue
    const key = `${line.namespace ?? ""}/${line.name}`
    const version = BigInt(line.resourceVersion ?? "0")
    const before = versions.get(key)
    if (gone.has(key) && line.type !== "delete") faults.push(`${line.type} ${key} after its deletion`)
    if (line.type === "add" && before !== undefined) faults.push(`${key} was added again`)
    if (line.type !== "add" && before === undefined) faults.push(`${line.type} ${key} before it was added`)
    if (before !== undefined && version < before) faults.push(`${key} went back from ${before} to ${version}`)
    if (line.type === "delete") gone.add(key)
    versions.set(key, version)
  }
  assert.deepStrictEqual(faults, [], `${client} ${resource}`)
  assert.strictEqual(gone.size, resource === "activities" ? 20 : 1, `what ${client} saw deleted of ${resource}`)
}

/** The program did what its mode says, and met what it was meant to meet. */
const judgeRequests = (lines: ReadonlyArray<Line>, watchList: boolean): void => {
  for (const client of clients) {
    for (const resource of resources) {
      const sent = lines
        .filter((line) => line.type === "request" && line.client === client && line.resource === resource)
        .map((line) => ({ query: new URLSearchParams(line.query), status: line.status ?? 0 }))
      const initial = sent.filter(({ query }) => query.get("sendInitialEvents") === "true")
      const lists = sent.filter(({ query }) => !query.has("watch"))
      const of = `${client} ${resource}`
      assert.strictEqual(
        initial.some(({ status }) => status === 200),
        watchList,
        `${of}: initial events were asked for`
      )
      if (!watchList)
        assert.isTrue(
          lists.some(({ status }) => status === 200),
          `${of}: it listed`
        )
      // 400, 405, 406, 415 and 422 would say that we do not understand each other.
      const refused = sent.filter(({ status }) => status >= 400 && ![410, 429, 503, 504].includes(status))
      assert.deepStrictEqual(refused, [], of)
    }
    const expired = lines.filter(
      (line) => line.client === client && line.resource === "activities" && line.status === 410
    )
    assert.isNotEmpty(expired, `${client}: its version was gone`)
  }
}

const purgeActivities = async (url: string): Promise<void> => {
  const connection = await connect({ servers: [url] })
  const manager = await jetstreamManager(connection)
  await manager.streams.purge(activities.name)
  await connection.close()
}
