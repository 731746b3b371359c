/**
 * The whole product in a cluster of its own: nats-server, the ClickHouse bridge (the HTTP interface in front of the
 * embedded engine, not a ClickHouse server), and every program as a process of its own, started from the bundle that the
 * image runs. Programs are known to the cluster by their service accounts, kube-apiserver sends its audit records to the
 * collector, and serves `activity.miloapis.com` through the API server's Service.
 *
 * ```ts
 * let activity: Activity
 * beforeAll(async () => {
 *   activity = await startActivityInCluster({ users: { alice: [] } })
 * })
 * afterAll(() => activity[Symbol.asyncDispose]())
 * showLogsOfFailures(() => activity?.cluster)
 *
 * await activity.cluster.kubectl("alice", ["get", "activities", "--namespace", "shop"])
 * await activity.programs.processor.kill()
 * await activity.programs.processor.start()
 * await activity.nats.kill()
 * ```
 */
import { createClient } from "@clickhouse/client"
import { jetstreamManager } from "@nats-io/jetstream"
import { connect } from "@nats-io/transport-node"
import { execFile } from "node:child_process"
import { randomBytes } from "node:crypto"
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { request } from "node:http"
import { join } from "node:path"
import { promisify } from "node:util"
import { parseAllDocuments, stringify } from "yaml"
import { buildInto } from "../../.ci/build.ts"
import { projectFolder } from "../../.ci/projectFolder.ts"
import { type Balancer, isReady, type Replica, startBalancer } from "../support/balancer.ts"
import { startClickHouseBridge } from "../support/clickhouseBridge.ts"
import { eventually } from "../support/eventually.ts"
import { freePort } from "../support/freePort.ts"
import { startNatsServer, type TestNatsServer } from "../support/natsServer.ts"
import { type ServerProcess, serverProcess } from "../support/serverProcess.ts"
import { type TemporaryFolder, temporaryFolder } from "../support/temporaryFolder.ts"
import { type Cluster, type ClusterOptions, clusterAuthority, startCluster } from "./cluster.ts"

export interface ActivityOptions extends Omit<ClusterOptions, "audit"> {
  /** An audit.k8s.io/v1 Policy; what `activity print audit-policy` says when not given. */
  readonly auditPolicy?: object | string
  /** Where every program listens; 127.0.0.1 when not given. */
  readonly listenAddress?: string
  /** Of the API server, behind one Service. */
  readonly apiserverReplicas?: 1 | 2
  /** None when not given: nobody writes policies' status, and reindex jobs wait. */
  readonly controllerReplicas?: 0 | 1 | 2
  /** More flags of a program. */
  readonly programFlags?: Readonly<Partial<Record<ProgramName, ReadonlyArray<string>>>>
  /** Files of ActivityPolicies; the samples of `infra/policies` when not given. */
  readonly policies?: ReadonlyArray<object | string>
}

export type ProgramName = "collector" | "exporter" | "processor" | "writer" | "apiserver" | "controller"

export interface Program extends ServerProcess {
  readonly operationsPort: number
  /** Text of `/metrics`. */
  readonly metrics: () => Promise<string>
}

export interface Activity extends AsyncDisposable {
  readonly cluster: Cluster
  readonly nats: TestNatsServer
  readonly clickHouse: { readonly stop: () => Promise<void>; readonly start: () => Promise<void> }
  /** The first replica of each; of the controller see {@link replicas}. */
  readonly programs: Readonly<Record<Exclude<ProgramName, "controller">, Program>>
  readonly replicas: Readonly<Record<ProgramName, ReadonlyArray<Program>>>
  /** Of the cluster, as its collector calls it. */
  readonly clusterName: string
  readonly collectorPort: number
  /** What kube-apiserver shows the collector. */
  readonly auditToken: string
  readonly apiserverPorts: ReadonlyArray<number>
  readonly folders: {
    readonly spool: string
    readonly nats: string
    readonly clickHouse: string
    readonly logs: string
  }
  /** Waits until every consumer of every stream has acknowledged everything: what was published is told and stored. */
  readonly settled: (deadlineMillis?: number) => Promise<void>
  readonly query: <Row>(sql: string) => Promise<ReadonlyArray<Row>>
  /** All activities that a user sees in a namespace, or in all; oldest first. */
  readonly activities: (user: string, namespace?: string) => Promise<ReadonlyArray<ListedActivity>>
}

/** What tests look at of an activity. */
export interface ListedActivity {
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly creationTimestamp: string }
  readonly spec: {
    readonly summary: string
    readonly changeSource: string
    readonly actor: { readonly type: string; readonly name: string }
    readonly resource: { readonly kind: string; readonly name: string }
    readonly origin: { readonly type: string; readonly id: string }
  }
}

const execute = promisify(execFile)

/** The namespace of all programs, as `infra` has it. */
export const namespace = "activity-system"

const clusterName = "test"

export const startActivityInCluster = async (options: ActivityOptions = {}): Promise<Activity> => {
  const folder = await temporaryFolder("activity")
  const at = (name: string) => join(folder.path, name)
  for (const name of ["tls", "logs", "spool", "clickhouse"]) mkdirSync(at(name))
  const listenAddress = options.listenAddress ?? "127.0.0.1"
  const write = (name: string, text: string | Uint8Array) => {
    writeFileSync(at(name), text, { mode: 0o600 })
    return at(name)
  }
  const closing: Array<() => Promise<void>> = [() => folder.remove()]
  const close = async () => {
    for (const one of closing.reverse()) await one()
  }
  try {
    const [bundle, nats, bridgePort] = await Promise.all([programBundle(), startNatsServer(), freePort()])
    closing.push(() => nats.stop())
    const openBridge = () => startClickHouseBridge({ folder: at("clickhouse"), port: bridgePort })
    let bridge = await openBridge()
    closing.push(() => bridge.stop())
    const clickHouseUrl = `${bridge.url}/activity`

    const authority = await clusterAuthority()
    const tlsOf = async (program: "collector" | "apiserver") => {
      const service = `activity-${program}`
      const hosts = [service, `${service}.${namespace}.svc`, "localhost", "127.0.0.1"]
      const pair = await authority.server(service, hosts)
      return [
        "--tls-certificate",
        write(`tls/${program}.crt`, pair.certificate),
        "--tls-key",
        write(`tls/${program}.key`, pair.key)
      ]
    }
    const auditToken = randomBytes(16).toString("hex")
    const auditTokens = write("audit-tokens.yaml", stringify([{ token: auditToken, cluster: clusterName }]))
    const cursorKey = write("cursor.key", randomBytes(32))
    const [collectorTls, apiserverTls] = await Promise.all([tlsOf("collector"), tlsOf("apiserver")])
    const collectorPort = await freePort()

    const program = async (
      name: ProgramName | "migrate",
      flags: ReadonlyArray<string>,
      suffix = ""
    ): Promise<Program> => {
      const operationsPort = await freePort()
      const operations = name === "migrate" ? [] : ["--ops-listen", `${listenAddress}:${operationsPort}`]
      const more = name === "migrate" ? [] : (options.programFlags?.[name] ?? [])
      const server = serverProcess({
        name: `${name}${suffix}`,
        command: process.execPath,
        arguments: ["--max-semi-space-size=8", join(bundle, "activity.js"), name, ...operations, ...flags, ...more],
        environment: { UV_THREADPOOL_SIZE: "16" },
        logFile: at(`logs/${name}${suffix}.log`),
        ready: () => name === "migrate" || isReady(operationsPort)
      })
      closing.push(() => server.kill())
      return { ...server, operationsPort, metrics: () => textAt(operationsPort, "/metrics") }
    }

    // The collector is there before the cluster says its first word.
    const natsFlags = ["--nats-url", nats.url]
    const collector = await program("collector", [
      ...natsFlags,
      "--audit-listen",
      `${listenAddress}:${collectorPort}`,
      "--spool",
      at("spool"),
      "--audit-tokens",
      auditTokens,
      ...collectorTls
    ])
    await collector.start()
    const cluster = await startCluster({
      ...options,
      audit: {
        url: `https://127.0.0.1:${collectorPort}/audit`,
        authority: "cluster",
        token: auditToken,
        policy: options.auditPolicy ?? (await printedAuditPolicy(bundle))
      }
    })
    closing.push(async () => cluster[Symbol.asyncDispose]())
    await cluster.apply(...(await permissionsOf(cluster)))
    /** As the program is known in the cluster: by the token of its service account. */
    const kubeconfigOf = async (name: string) =>
      cluster.tokenKubeconfig(`activity-${name}`, await cluster.serviceAccountToken(namespace, `activity-${name}`))

    const migrate = await program("migrate", [
      "--clickhouse-url",
      clickHouseUrl,
      "--policy-store",
      "kubernetes",
      "--kubeconfig",
      await kubeconfigOf("migrate")
    ])
    await migrate.start()
    await eventually("the tables are made", () => !migrate.running())
    if (!migrate.log().includes("Applied")) throw new Error(`migrate:\n${migrate.log()}`)

    const exporter = await program("exporter", [
      ...natsFlags,
      "--kubeconfig",
      await kubeconfigOf("exporter"),
      "--cluster",
      clusterName
    ])
    const processor = await program("processor", [
      ...natsFlags,
      "--policy-store",
      "kubernetes",
      "--kubeconfig",
      await kubeconfigOf("processor")
    ])
    const writer = await program("writer", [...natsFlags, "--clickhouse-url", clickHouseUrl])
    const apiserverKubeconfig = await kubeconfigOf("apiserver")
    const apiserverPorts: Array<number> = []
    const apiservers: Array<Program> = []
    for (const suffix of ["", "-2"].slice(0, options.apiserverReplicas ?? 1)) {
      const port = await freePort()
      apiserverPorts.push(port)
      apiservers.push(
        await program(
          "apiserver",
          [
            ...natsFlags,
            "--clickhouse-url",
            clickHouseUrl,
            "--api-listen",
            `${listenAddress}:${port}`,
            "--auth",
            "kubernetes",
            "--policy-store",
            "kubernetes",
            "--kubeconfig",
            apiserverKubeconfig,
            "--cluster",
            clusterName,
            "--cursor-key",
            cursorKey,
            // Ten looks of the balancer.
            "--shutdown-delay",
            "1s",
            ...apiserverTls
          ],
          suffix
        )
      )
    }
    const controllers: Array<Program> = []
    for (const suffix of ["", "-2"].slice(0, options.controllerReplicas ?? 0)) {
      const flags = [...natsFlags, "--clickhouse-url", clickHouseUrl, "--policy-store", "kubernetes"]
      const kubeconfig = await kubeconfigOf("controller")
      controllers.push(await program("controller", [...flags, "--kubeconfig", kubeconfig], suffix))
    }
    await Promise.all([exporter, processor, writer, ...controllers, ...apiservers].map(({ start }) => start()))
    const endpoints = apiservers.map(({ operationsPort }, index) => ({ port: apiserverPorts[index]!, operationsPort }))
    const balancer = await startBalancer(endpoints)
    closing.push(async () => balancer[Symbol.asyncDispose]())
    const balanced = apiservers.map((server, index) => behind(balancer, endpoints[index]!, server))
    await cluster.serve({
      group: "activity.miloapis.com",
      versions: ["v1alpha1", "v1"],
      namespace,
      service: "activity-apiserver",
      port: balancer.port
    })
    await cluster.apply(...(options.policies ?? samplePolicies()))

    const client = createClient({ url: bridge.url, database: "activity" })
    closing.push(() => client.close())
    const list: Activity["activities"] = async (user, one) => {
      const place = one === undefined ? "" : `/namespaces/${one}`
      const answer = await cluster.request(user, `/apis/activity.miloapis.com/v1alpha1${place}/activities?start=now-1d`)
      if (answer.status !== 200) throw new Error(`${answer.status}: ${answer.text}`)
      return answer.json().items.toReversed()
    }
    return {
      cluster: { ...cluster, logFiles: () => [...cluster.logFiles(), ...logFilesIn(at("logs"))] },
      nats,
      clickHouse: {
        stop: () => bridge.kill(),
        start: async () => {
          bridge = await openBridge()
        }
      },
      programs: { collector, exporter, processor, writer, apiserver: balanced[0]! },
      replicas: {
        collector: [collector],
        exporter: [exporter],
        processor: [processor],
        writer: [writer],
        controller: controllers,
        apiserver: balanced
      },
      clusterName,
      collectorPort,
      auditToken,
      apiserverPorts,
      folders: { spool: at("spool"), nats: nats.folder, clickHouse: at("clickhouse"), logs: at("logs") },
      settled: async (deadlineMillis = 60_000) => {
        await eventually("all consumers have everything", () => nothingPending(nats.url), { deadlineMillis })
      },
      query: async (sql) => (await client.query({ query: sql, format: "JSONEachRow" })).json(),
      activities: list,
      [Symbol.asyncDispose]: close
    }
  } catch (cause) {
    await close()
    throw cause
  }
}

/**
 * An API server that leaves as its pod does: `infra` lets it wait, before it hears SIGTERM, until no new connection comes.
 */
const behind = (balancer: Balancer, endpoint: Replica, server: Program): Program => ({
  ...server,
  terminate: (deadlineMillis) => {
    balancer.withdraw(endpoint)
    return server.terminate(deadlineMillis)
  },
  start: async () => {
    await server.start()
    balancer.restore(endpoint)
  }
})

const logFilesIn = (folder: string): ReadonlyArray<string> => readdirSync(folder).map((name) => join(folder, name))

/**
 * Made once for the process, from the sources as they are: what `npm run build` makes. ACTIVITY_BUNDLE names one that is
 * made already.
 */
let madeBundle: Promise<TemporaryFolder> | undefined

const programBundle = async (): Promise<string> => {
  const named = process.env["ACTIVITY_BUNDLE"]
  if (named !== undefined && named !== "") return named
  madeBundle ??= temporaryFolder("bundle").then(async (folder) => {
    process.once("exit", () => rmSync(folder.path, { recursive: true, force: true }))
    await buildInto(folder.path)
    return folder
  })
  return (await madeBundle).path
}

/** What `activity print audit-policy` recommends. */
const printedAuditPolicy = async (bundle: string): Promise<string> =>
  (await execute(process.execPath, [join(bundle, "activity.js"), "print", "audit-policy"])).stdout

const samplePolicies = (): ReadonlyArray<string> => {
  const folder = join(projectFolder, "infra/policies")
  return readdirSync(folder)
    .filter((name) => name.endsWith(".yaml"))
    .map((name) => readFileSync(join(folder, name), "utf8"))
}

/** What of `infra/base` says who is there and what they may do. The CRDs are applied by `migrate`. */
const permissionKinds = new Set([
  "Namespace",
  "ServiceAccount",
  "Role",
  "ClusterRole",
  "RoleBinding",
  "ClusterRoleBinding"
])

const permissionsOf = async (cluster: Cluster): Promise<ReadonlyArray<object>> => {
  const built = await cluster.kubectl("admin", ["kustomize", join(projectFolder, "infra/base")])
  if (built.code !== 0) throw new Error(`kubectl kustomize infra/base: ${built.stderr}`)
  const objects: ReadonlyArray<{ readonly kind: string }> = parseAllDocuments(built.stdout).map((one) => one.toJS())
  return objects.filter(({ kind }) => permissionKinds.has(kind))
}

const nothingPending = async (natsUrl: string): Promise<boolean> => {
  const connection = await connect({ servers: natsUrl, reconnect: false, timeout: 2_000 })
  try {
    const manager = await jetstreamManager(connection)
    for await (const stream of manager.streams.list()) {
      for await (const consumer of manager.consumers.list(stream.config.name)) {
        // Readers of a moment, such as a watch's, come and go.
        if (consumer.config.durable_name === undefined) continue
        if (consumer.num_pending > 0 || consumer.num_ack_pending > 0) return false
      }
    }
    return true
  } finally {
    await connection.close()
  }
}

const textAt = (port: number, path: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const asking = request({ host: "127.0.0.1", port, path }, (response) => {
      let text = ""
      response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk))
      response.on("end", () => resolve(text))
    })
    asking.once("error", reject)
    asking.end()
  })
