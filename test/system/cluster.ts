/**
 * A Kubernetes cluster without nodes, for the tests of one file: etcd, kube-apiserver, kube-controller-manager and
 * kube-scheduler as processes of their own on loopback. Pods stay Pending; everything else is real. It is up in about
 * ten seconds, and a file shares one.
 *
 * ```ts
 * let cluster: Cluster
 * beforeAll(async () => {
 *   cluster = await startCluster({ users: { alice: ["developers"] } })
 * })
 * afterAll(() => cluster?.[Symbol.asyncDispose]())
 * showLogsOfFailures(() => cluster)
 *
 * it("alice may not create what nobody allowed her to", async () => {
 *   const answer = await cluster.kubectl("alice", ["create", "namespace", "shop"])
 *   assert.include(answer.stderr, `User "alice" cannot create resource "namespaces"`)
 *   await cluster.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: "shop" } })   // as admin
 *   await cluster.kubeApiserver.terminate()
 *   await cluster.kubeApiserver.start()                                                        // same port, same state
 * })
 * ```
 *
 * `cluster.kubeconfig("alice")` is a file for `--kubeconfig` of any program; user `admin` (system:masters) is always
 * there. {@link Cluster.serve} puts an aggregated API server of ours behind the cluster's.
 */
import { execFile } from "node:child_process"
import { generateKeyPairSync } from "node:crypto"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { Agent } from "node:https"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { afterEach } from "vitest"
import { stringify } from "yaml"
import { type Authority, type Certificate, makeAuthority } from "../support/certificates.ts"
import { eventually } from "../support/eventually.ts"
import { freePort } from "../support/freePort.ts"
import { findGoProgram } from "../support/goPrograms.ts"
import { type ServerProcess, serverProcess } from "../support/serverProcess.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"
import { type AuditOptions, prepareAudit } from "./clusterAudit.ts"
import { type ApiAnswer, type ApiRequest, sendPlain, sendWith } from "./clusterRequests.ts"
import { base64, kubeconfigText } from "./kubeconfigText.ts"

export interface ClusterOptions {
  /** Users with client certificates, and their groups. `admin` is there without being named. */
  readonly users?: Readonly<Record<string, ReadonlyArray<string>>>
  /** Where audit records go; nowhere when not given. */
  readonly audit?: AuditOptions
  /** kube-controller-manager and kube-scheduler; true when not given. Without them nothing is collected or scheduled. */
  readonly controllers?: boolean
  /** More flags of kube-apiserver; one that is set above is replaced. `--event-ttl=5m`. */
  readonly flags?: ReadonlyArray<string>
  /** More flags of kube-controller-manager. */
  readonly controllerFlags?: ReadonlyArray<string>
}

export interface KubectlAnswer {
  /** 0 when it went well. */
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface ServedGroup {
  /** `activity.miloapis.com` */
  readonly group: string
  readonly versions: ReadonlyArray<string>
  /** Of the Service; the server's certificate must be good for `<service>.<namespace>.svc`. */
  readonly namespace: string
  readonly service: string
  /** Where it listens, on 127.0.0.1. */
  readonly port: number
  /** PEM; the cluster's own authority when not given. */
  readonly authority?: string
}

export interface Cluster extends AsyncDisposable {
  /** `https://127.0.0.1:PORT` */
  readonly url: string
  readonly port: number
  readonly folder: string
  /** PEM: signs the certificates of kube-apiserver and of all users. */
  readonly authority: string
  readonly authorityFile: string
  /** PEM: signs the certificate by which kube-apiserver is known to aggregated servers, of `front-proxy-client`. */
  readonly frontProxyAuthority: string
  readonly etcd: ServerProcess
  readonly kubeApiserver: ServerProcess
  readonly kubeControllerManager: ServerProcess
  readonly kubeScheduler: ServerProcess
  /** A file for `--kubeconfig`. */
  readonly kubeconfig: (user: string) => string
  /** Makes another user with a client certificate, and answers its kubeconfig. */
  readonly addUser: (name: string, groups?: ReadonlyArray<string>) => Promise<string>
  /** Writes a kubeconfig with a token in place of a certificate, and answers its path. */
  readonly tokenKubeconfig: (name: string, token: string) => string
  readonly clientCertificate: (user: string) => Certificate
  /** A certificate that the cluster's authority signed, for a server at `hosts`. */
  readonly serverCertificate: (name: string, hosts: ReadonlyArray<string>) => Promise<Certificate>
  /** Runs kubectl as a user. Whatever it ends with is an answer. */
  readonly kubectl: (
    user: string,
    parameters: ReadonlyArray<string>,
    options?: { readonly stdin?: string }
  ) => Promise<KubectlAnswer>
  /** `kubectl apply` as admin of objects, or of a YAML text. @throws Error with what kubectl said */
  readonly apply: (...objects: ReadonlyArray<object | string>) => Promise<void>
  /** A request to kube-apiserver as a user. @throws when there is no answer */
  readonly request: (user: string, path: string, request?: ApiRequest) => Promise<ApiAnswer>
  /** Registers an aggregated API server, and waits until kube-apiserver finds it available. */
  readonly serve: (served: ServedGroup) => Promise<void>
  /** Compacts etcd at its newest revision: watches from before are 410 Expired. Answers the revision. */
  readonly compact: () => Promise<number>
  /** A token of a service account, an hour long. */
  readonly serviceAccountToken: (namespace: string, name: string, audience?: string) => Promise<string>
  /** Every server's log file. */
  readonly logFiles: () => ReadonlyArray<string>
}

/** What `beforeAll` should allow for it, where six more clusters share the cores. */
export const startMillisMax = 300_000

/** Starts a cluster; the default namespace is ready for Pods. Dispose it in `afterAll`. */
export const startCluster = async (options: ClusterOptions = {}): Promise<Cluster> => {
  const folder = await temporaryFolder("cluster")
  const at = (name: string) => join(folder.path, name)
  for (const name of ["pki", "logs", "users", "kubectl-cache"]) mkdirSync(at(name))
  const write = (name: string, text: string) => {
    writeFileSync(at(name), text, { mode: 0o600 })
    return at(name)
  }
  const writePair = (name: string, pair: Certificate) => {
    write(`pki/${name}.crt`, pair.certificate)
    write(`pki/${name}.key`, pair.key)
    return pair
  }

  const [authority, frontProxyAuthority] = await Promise.all([
    clusterAuthority(),
    makeAuthority("front-proxy-authority")
  ])
  write("pki/ca.crt", authority.certificate)
  write("pki/front-proxy-ca.crt", frontProxyAuthority.certificate)
  const hosts = ["localhost", "127.0.0.1", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "10.0.0.1"]
  writePair("kube-apiserver", await authority.server("kube-apiserver", hosts))
  writePair("front-proxy-client", await frontProxyAuthority.client("front-proxy-client"))
  const serviceAccounts = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" }
  })
  write("pki/service-accounts.key", serviceAccounts.privateKey)
  write("pki/service-accounts.pub", serviceAccounts.publicKey)

  const [etcdPort, port] = [await freePort(), await freePort()]
  const url = `https://127.0.0.1:${port}`
  const certificates = new Map<string, Certificate>()
  const writeKubeconfig = (name: string, user: object) =>
    write(`users/${name}.kubeconfig`, kubeconfigText({ url, authority: authority.certificate, name, user }))
  const addUser = async (name: string, groups: ReadonlyArray<string> = []) => {
    const pair = await authority.client(name, groups)
    certificates.set(name, pair)
    return writeKubeconfig(name, {
      "client-certificate-data": base64(pair.certificate),
      "client-key-data": base64(pair.key)
    })
  }
  const users = { admin: ["system:masters"], ...options.users }
  for (const [name, groups] of Object.entries(users)) await addUser(name, groups)
  for (const name of ["system:kube-controller-manager", "system:kube-scheduler"]) await addUser(name)
  const clientCertificate = (user: string): Certificate => {
    const pair = certificates.get(user)
    if (pair === undefined) throw new Error(`there is no user ${user}: name it in the options, or addUser it`)
    return pair
  }
  const auditFlagsGiven = await prepareAudit(options.audit, { authority, addUser, certificates, write })

  const server = async (
    program: Parameters<typeof findGoProgram>[0],
    flags: ReadonlyArray<string>,
    ready: () => Promise<boolean>
  ) =>
    serverProcess({
      name: program,
      command: await findGoProgram(program),
      arguments: flags,
      logFile: at(`logs/${program}.log`),
      ready
    })

  const etcd = await server(
    "etcd",
    [
      `--data-dir=${at("etcd")}`,
      `--listen-client-urls=http://127.0.0.1:${etcdPort}`,
      `--advertise-client-urls=http://127.0.0.1:${etcdPort}`,
      "--listen-peer-urls=http://127.0.0.1:0",
      // The folder goes with the test: nothing has to survive the machine.
      "--unsafe-no-fsync",
      "--log-level=warn"
    ],
    async () => (await sendPlain(`http://127.0.0.1:${etcdPort}/health`, "GET")).includes("true")
  )
  const agent = new Map<string, Agent>()
  const agentOf = (user: string): Agent => {
    const { certificate, key } = clientCertificate(user)
    const known = agent.get(user) ?? new Agent({ keepAlive: true, ca: authority.certificate, cert: certificate, key })
    agent.set(user, known)
    return known
  }
  const request = (user: string, path: string, sending: ApiRequest = {}) =>
    sendWith(agentOf(user), `${url}${path}`, sending)

  const kubeApiserver = await server(
    "kube-apiserver",
    replaced(
      [
        `--etcd-servers=http://127.0.0.1:${etcdPort}`,
        "--bind-address=127.0.0.1",
        `--secure-port=${port}`,
        // Endpoints of a loopback address are refused, and nobody looks for them.
        "--endpoint-reconciler-type=none",
        `--tls-cert-file=${at("pki/kube-apiserver.crt")}`,
        `--tls-private-key-file=${at("pki/kube-apiserver.key")}`,
        `--client-ca-file=${at("pki/ca.crt")}`,
        `--requestheader-client-ca-file=${at("pki/front-proxy-ca.crt")}`,
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        `--proxy-client-cert-file=${at("pki/front-proxy-client.crt")}`,
        `--proxy-client-key-file=${at("pki/front-proxy-client.key")}`,
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        `--service-account-key-file=${at("pki/service-accounts.pub")}`,
        `--service-account-signing-key-file=${at("pki/service-accounts.key")}`,
        "--service-cluster-ip-range=10.0.0.0/16",
        "--authorization-mode=Node,RBAC",
        "--allow-privileged=true",
        "--enable-aggregator-routing=false",
        "--profiling=false",
        // At SIGTERM its own watches are ended, in place of being waited for. Those of aggregated servers, to which it only
        // passes them on, are waited for as long as a request may take: a minute when nothing is said.
        "--shutdown-watch-termination-grace-period=1s",
        "--request-timeout=20s",
        ...auditFlagsGiven
      ],
      options.flags ?? []
    ),
    async () => (await request("admin", "/readyz")).status === 200
  )
  const kubeControllerManager = await server(
    "kube-controller-manager",
    replaced(
      [
        `--kubeconfig=${at("users/system:kube-controller-manager.kubeconfig")}`,
        "--secure-port=0",
        "--leader-elect=false",
        "--use-service-account-credentials=true",
        `--service-account-private-key-file=${at("pki/service-accounts.key")}`,
        `--root-ca-file=${at("pki/ca.crt")}`,
        "--kube-api-qps=200",
        "--kube-api-burst=400"
      ],
      options.controllerFlags ?? []
    ),
    async () => (await request("admin", "/api/v1/namespaces/default/serviceaccounts/default")).status === 200
  )
  const kubeScheduler = await server(
    "kube-scheduler",
    [
      `--kubeconfig=${at("users/system:kube-scheduler.kubeconfig")}`,
      "--secure-port=0",
      "--leader-elect=false",
      "--kube-api-qps=200",
      "--kube-api-burst=400"
    ],
    async () => true
  )

  const servers = [kubeScheduler, kubeControllerManager, kubeApiserver, etcd]
  const stop = async () => {
    for (const { thaw } of servers) thaw()
    for (const { kill } of servers) await kill()
    for (const [, one] of agent) one.destroy()
    await folder.remove()
  }
  const kubectlProgram = await findGoProgram("kubectl")
  const kubectl: Cluster["kubectl"] = (user, parameters, { stdin = "" } = {}) =>
    new Promise((resolve) => {
      const flags = ["--kubeconfig", at(`users/${user}.kubeconfig`), "--cache-dir", at(`kubectl-cache/${user}`)]
      const child = execFile(
        kubectlProgram,
        [...flags, ...parameters],
        { timeout: 120_000, maxBuffer: 256 * 1024 * 1024 },
        (_failure, stdout, stderr) => resolve({ code: child.exitCode ?? -1, stdout, stderr })
      )
      child.stdin?.on("error", () => undefined).end(stdin)
    })
  const apply: Cluster["apply"] = async (...objects) => {
    if (objects.length === 0) return
    const text = objects.map((one) => (typeof one === "string" ? one : stringify(one))).join("\n---\n")
    const answer = await kubectl("admin", ["apply", "--filename", "-"], { stdin: text })
    if (answer.code !== 0) throw new Error(`kubectl apply: ${answer.stderr}${answer.stdout}`)
  }

  const cluster: Cluster = {
    url,
    port,
    folder: folder.path,
    authority: authority.certificate,
    authorityFile: at("pki/ca.crt"),
    frontProxyAuthority: frontProxyAuthority.certificate,
    etcd,
    kubeApiserver,
    kubeControllerManager,
    kubeScheduler,
    kubeconfig: (user) => at(`users/${user}.kubeconfig`),
    addUser,
    tokenKubeconfig: (name, token) => writeKubeconfig(name, { token }),
    clientCertificate,
    serverCertificate: authority.server,
    kubectl,
    apply,
    request,
    serve: async (served) => {
      await apply(...servedObjects(served, served.authority ?? authority.certificate))
      for (const version of served.versions) {
        const path = `/apis/${served.group}/${version}`
        // The condition Available says little: only an answer shows that the certificate is trusted.
        await eventually(`${path} is served`, async () => (await request("admin", path)).status === 200)
      }
    },
    compact: async () => {
      const etcdUrl = `http://127.0.0.1:${etcdPort}/v3`
      const { header } = JSON.parse(await sendPlain(`${etcdUrl}/maintenance/status`, "POST", "{}"))
      await sendPlain(`${etcdUrl}/kv/compaction`, "POST", JSON.stringify({ revision: header.revision, physical: true }))
      return Number(header.revision)
    },
    serviceAccountToken: async (namespace, name, audience) => {
      const answer = await request("admin", `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`, {
        method: "POST",
        body: {
          apiVersion: "authentication.k8s.io/v1",
          kind: "TokenRequest",
          spec: audience === undefined ? {} : { audiences: [audience] }
        }
      })
      if (answer.status !== 201) throw new Error(`no token for ${namespace}/${name}: ${answer.text}`)
      return answer.json().status.token
    },
    logFiles: () => readdirSync(at("logs")).map((name) => at(`logs/${name}`)),
    [Symbol.asyncDispose]: stop
  }

  try {
    await etcd.start()
    await kubeApiserver.start()
    if (options.controllers !== false) await Promise.all([kubeControllerManager.start(), kubeScheduler.start()])
    return cluster
  } catch (cause) {
    await stop()
    throw cause
  }
}

/** How much of each log a failed test shows, in lines, and in characters of a line. */
const shownLinesMax = 20
const shownLineLengthMax = 240

/** Call it beside `beforeAll`: a test that fails prints the ends of the logs, and keeps copies of them. */
export const showLogsOfFailures = (cluster: () => Pick<Cluster, "logFiles"> | undefined): void => {
  afterEach(({ task }) => {
    const shown = cluster()
    if (shown === undefined || task.result?.state !== "fail") return
    const kept = mkdtempSync(join(tmpdir(), "activity-failed-"))
    for (const file of shown.logFiles()) {
      const text = readFileSync(file, "utf8")
      writeFileSync(join(kept, basename(file)), text)
      const lines = text.trimEnd().split("\n").slice(-shownLinesMax)
      console.error(`--- ${basename(file)}\n${lines.map((line) => line.slice(0, shownLineLengthMax)).join("\n")}`)
    }
    console.error(`--- All logs are in ${kept}`)
  })
}

/** One for the whole process, so that it can be named before the cluster is there. */
let madeAuthority: Promise<Authority> | undefined

/** Signs everything but the front proxy. */
export const clusterAuthority = (): Promise<Authority> => (madeAuthority ??= makeAuthority("cluster-authority"))

/** Flags, those that `more` names left out, and `more`. */
const replaced = (flags: ReadonlyArray<string>, more: ReadonlyArray<string>): ReadonlyArray<string> => {
  const names = new Set(more.map((flag) => flag.split("=")[0]))
  return [...flags.filter((flag) => !names.has(flag.split("=")[0])), ...more]
}

/**
 * A Service of the name `localhost`, at which kube-apiserver finds a server of this machine as long as it does not route
 * to endpoints itself, and an APIService for each version.
 */
const servedObjects = (served: ServedGroup, authority: string): ReadonlyArray<object> => [
  { apiVersion: "v1", kind: "Namespace", metadata: { name: served.namespace } },
  {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: served.service, namespace: served.namespace },
    spec: { type: "ExternalName", externalName: "localhost" }
  },
  ...served.versions.map((version, index) => ({
    apiVersion: "apiregistration.k8s.io/v1",
    kind: "APIService",
    metadata: { name: `${version}.${served.group}` },
    spec: {
      group: served.group,
      version,
      groupPriorityMinimum: 2_000,
      versionPriority: 100 - index,
      caBundle: base64(authority),
      service: { name: served.service, namespace: served.namespace, port: served.port }
    }
  }))
]
