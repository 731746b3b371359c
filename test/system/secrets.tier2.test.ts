/** What is secret in a cluster is nowhere in what we keep, and nothing that we serve is served to strangers. */
import { jetstreamManager } from "@nats-io/jetstream"
import { connect } from "@nats-io/transport-node"
import { randomBytes } from "node:crypto"
import { readdirSync, readFileSync, statSync } from "node:fs"
import { request as plainRequest } from "node:http"
import { request as tlsRequest } from "node:https"
import { networkInterfaces } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { eventually } from "../support/eventually.ts"
import { listeningPorts } from "../support/listeningPorts.ts"
import { type Activity, startActivityInCluster } from "./activity.ts"
import { defaultAuditPolicy } from "./clusterAudit.ts"
import { showLogsOfFailures, startMillisMax } from "./cluster.ts"

/** A text that is nowhere else, and names the place it was put in. */
const canary = (place: string): string => `canary-${place}-${randomBytes(8).toString("hex")}`

/** Tells Secrets by their content: what is redacted makes it fail, and the record a dead letter. */
const indiscreetPolicy = {
  apiVersion: "activity.miloapis.com/v1alpha1",
  kind: "ActivityPolicy",
  metadata: { name: "a-secret-in-words" },
  spec: {
    resource: { apiGroup: "", kind: "Secret" },
    auditRules: [
      {
        match: "audit.objectRef.name == 'told'",
        summary: "{{ actor }} set {{ audit.requestObject.stringData.password }}"
      }
    ]
  }
}

describe("secrets of a cluster", () => {
  let activity: Activity
  const canaries = new Map<string, string>()
  const control = canary("control")
  const put = (place: string): string => {
    const text = canary(place)
    canaries.set(place, text)
    return text
  }

  const send = async (method: string, path: string, body: object) => {
    const headers = method === "PATCH" ? { headers: { "content-type": "application/merge-patch+json" } } : {}
    const answer = await activity.cluster.request("admin", path, { method, body, ...headers })
    assert.isBelow(answer.status, 300, `${method} ${path}: ${answer.text}`)
    return answer.json()
  }
  const secrets = "/api/v1/namespaces/default/secrets"
  const secret = (name: string, more: object) => ({ apiVersion: "v1", kind: "Secret", metadata: { name }, ...more })

  /** Everything of a Secret, a token, an Event, in every way in which it gets into an audit record. */
  const live = async (round: string) => {
    const base64 = (text: string) => Buffer.from(text).toString("base64")
    await send("POST", secrets, secret(`data-${round}`, { data: { password: base64(put(`${round}-data`)) } }))
    await send("POST", secrets, secret(`text-${round}`, { stringData: { password: put(`${round}-string-data`) } }))
    await send("PATCH", `${secrets}/data-${round}`, { stringData: { password: put(`${round}-patch`) } })
    await send(
      "PUT",
      `${secrets}/text-${round}`,
      secret(`text-${round}`, { stringData: { a: put(`${round}-update`) } })
    )
    // kubectl writes what it applied into an annotation.
    await activity.cluster.apply(secret(`applied-${round}`, { stringData: { password: put(`${round}-applied`) } }))
    await activity.cluster.apply(
      secret(`applied-${round}`, { stringData: { password: put(`${round}-applied-again`) } })
    )
    await activity.cluster.kubectl("admin", ["get", "secrets", "--output", "yaml"])
    await send("DELETE", `${secrets}/data-${round}`, {})
    await send("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenReview",
      spec: { token: put(`${round}-reviewed-token`) }
    })
    canaries.set(`${round}-token`, await activity.cluster.serviceAccountToken("default", "default"))
    await send("POST", "/apis/events.k8s.io/v1/namespaces/default/events", {
      apiVersion: "events.k8s.io/v1",
      kind: "Event",
      metadata: {
        name: `leaky-${round}`,
        annotations: {
          "kubectl.kubernetes.io/last-applied-configuration": `{"password":"${put(`${round}-annotation`)}"}`
        }
      },
      eventTime: new Date().toISOString().replace("Z", "000Z"),
      type: "Warning",
      reason: "Leaky",
      action: "Leak",
      note: `cannot open https://user:${put(`${round}-note-url`)}@example.com: password=${put(`${round}-note`)} token: Bearer ${put(`${round}-note-bearer`)}`,
      reportingController: "example.com/leaky",
      reportingInstance: "leaky-0",
      regarding: { apiVersion: "v1", kind: "Secret", name: `data-${round}`, namespace: "default" }
    })
  }

  beforeAll(async () => {
    // Every body leaves kube-apiserver: that nothing is kept of it is the collector's work.
    activity = await startActivityInCluster({ listenAddress: "0.0.0.0", auditPolicy: defaultAuditPolicy })
    await activity.cluster.apply(indiscreetPolicy)
    await eventually("the policy counts", async () => {
      await activity.cluster.kubectl("admin", ["delete", "secret", "told"])
      await send("POST", secrets, secret("told", { stringData: { password: put("told") } }))
      return (await everyMessage(activity.nats.url)).some(({ subject }) => subject.startsWith("dead."))
    })
    await live("calm")
    // What is no secret is kept, and found.
    await activity.cluster.apply({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "control", namespace: "default" },
      data: { text: control }
    })
    await activity.settled()
  }, startMillisMax)
  afterAll(async () => activity?.[Symbol.asyncDispose]())
  showLogsOfFailures(() => activity?.cluster)

  it("are in the spool of a collector without a bus neither", async () => {
    await activity.nats.kill()
    await live("spooled")
    const spooled = await eventually("records are in the spool", () => {
      const files = filesIn(activity.folders.spool)
      return files.some(({ text }) => text.includes("text-spooled")) ? files : undefined
    })
    assert.deepStrictEqual(leaks(canaries, spooled), [])
    await activity.nats.start()
    await eventually("the spool is empty, and what was in it is stored", async () => {
      const [audited, observed] = await Promise.all([
        activity.query("SELECT 1 FROM audit_logs WHERE verb = 'patch' AND resource_name = 'applied-spooled'"),
        activity.query("SELECT 1 FROM k8s_events WHERE name = 'leaky-spooled'")
      ])
      return audited.length > 0 && observed.length > 0
    })
    await activity.settled()
  })

  it("are in no stream, dead letter, table or log", async () => {
    const messages = await everyMessage(activity.nats.url)
    assert.isAbove(messages.filter(({ subject }) => subject.startsWith("dead.")).length, 0)
    assert.isTrue(messages.some(({ text }) => text.includes("applied-spooled")))
    const stored = await everyRow(activity)
    assert.isTrue(stored.some(({ text }) => text.includes("applied-spooled")))
    assert.includeMembers(
      [...leaks(new Map([["control", control]]), [...texts(messages), ...stored])],
      [`control in message audit.k8s.${activity.clusterName}`, "control in table audit_logs"]
    )
    const logs = activity.cluster.logFiles().filter((name) => name.startsWith(activity.folders.logs))
    const found = leaks(canaries, [
      ...texts(messages),
      ...stored,
      ...filesIn(activity.folders.nats),
      ...filesIn(activity.folders.clickHouse),
      ...filesIn(activity.folders.spool),
      ...logs.map((name) => ({ name, text: readFileSync(name, "latin1") }))
    ])
    assert.deepStrictEqual(found, [])
    for (const name of logs) assert.notInclude(readFileSync(name, "utf8"), activity.auditToken, name)
  })

  it("strangers get nothing but probes and metrics from any listener", async () => {
    const address = Object.values(networkInterfaces())
      .flat()
      .find((one) => one?.family === "IPv4" && !one.internal)?.address
    const answered: Array<string> = []
    for (const program of Object.values(activity.replicas).flat()) {
      const ports = listeningPorts(program.pid())
      assert.include(ports, program.operationsPort)
      for (const port of ports) {
        for (const path of strangersPaths) {
          for (const scheme of ["http", "https"] as const) {
            for (const method of ["GET", "POST"]) {
              const status = await statusOf(`${scheme}://${address ?? "127.0.0.1"}:${port}${path}`, method)
              if (status === undefined || status >= 400) continue
              answered.push(`${program.name}${port === program.operationsPort ? " operations" : ""}: ${path}`)
            }
          }
        }
      }
    }
    const programs = Object.values(activity.replicas).flat()
    const allowed = programs.flatMap(({ name }) => openPaths.map((path) => `${name} operations: ${path}`))
    // kubelet may also ask the API's own port, as it asks kube-apiserver's.
    const probes = ["/livez", "/readyz", "/healthz"].map((path) => `apiserver: ${path}`)
    assert.deepStrictEqual(
      answered.filter((one) => ![...allowed, ...probes].includes(one)),
      []
    )
    assert.includeMembers(answered, allowed)
  })
})

const openPaths = ["/livez", "/readyz", "/healthz", "/metrics"]

const strangersPaths = [
  ...openPaths,
  "/",
  "/version",
  "/api",
  "/apis",
  "/apis/activity.miloapis.com/v1alpha1",
  "/apis/activity.miloapis.com/v1alpha1/activities",
  "/apis/activity.miloapis.com/v1alpha1/activitypolicies",
  "/openapi/v2",
  "/openapi/v3",
  "/audit",
  "/audit/other",
  "/debug/pprof"
]

/** Undefined where nobody speaks this protocol. */
const statusOf = (url: string, method: string): Promise<number | undefined> =>
  new Promise((resolve) => {
    const options = { method, rejectUnauthorized: false, timeout: 5_000 }
    const asking = (url.startsWith("https") ? tlsRequest : plainRequest)(url, options, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
    asking.once("timeout", () => asking.destroy())
    asking.once("error", () => resolve(undefined))
    asking.end(method === "POST" ? "{}" : undefined)
  })

interface Place {
  readonly name: string
  readonly text: string
}

/** Which canary is where, as it is or in base64. */
const leaks = (canaries: ReadonlyMap<string, string>, places: ReadonlyArray<Place>): ReadonlyArray<string> =>
  places.flatMap(({ name, text }) =>
    [...canaries].flatMap(([place, value]) => {
      // A JWT is searched by its signature: its head is the same for all.
      const plain = value.split(".").at(-1)!
      return [plain, Buffer.from(value).toString("base64").replace(/=+$/, "")].some((form) => text.includes(form))
        ? [`${place} in ${name}`]
        : []
    })
  )

const texts = (messages: ReadonlyArray<{ readonly subject: string; readonly text: string }>): ReadonlyArray<Place> =>
  messages.map(({ subject, text }) => ({ name: `message ${subject}`, text }))

const filesIn = (folder: string): ReadonlyArray<Place> =>
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, name))
    .flatMap((name) => {
      try {
        return statSync(name).isFile() ? [{ name, text: readFileSync(name, "latin1") }] : []
      } catch {
        return [] // Removed since.
      }
    })

/** Of every stream, those of key-value buckets included. */
const everyMessage = async (
  url: string
): Promise<ReadonlyArray<{ readonly subject: string; readonly text: string }>> => {
  const connection = await connect({ servers: url })
  try {
    const manager = await jetstreamManager(connection)
    const messages: Array<{ readonly subject: string; readonly text: string }> = []
    for await (const { config, state } of manager.streams.list()) {
      for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
        const message = await manager.streams.getMessage(config.name, { seq })
        if (message === null) continue
        messages.push({ subject: message.subject, text: `${message.header.toString()}${message.string()}` })
      }
    }
    return messages
  } finally {
    await connection.close()
  }
}

const everyRow = async (activity: Activity): Promise<ReadonlyArray<Place>> => {
  const tables = await activity.query<{ name: string }>(
    "SELECT name FROM system.tables WHERE database = 'activity' AND engine NOT LIKE '%View'"
  )
  const rows = await Promise.all(
    tables.map(async ({ name }) =>
      (await activity.query<object>(`SELECT * FROM activity.${name}`)).map((row) => ({
        name: `table ${name}`,
        text: JSON.stringify(row)
      }))
    )
  )
  return rows.flat()
}
