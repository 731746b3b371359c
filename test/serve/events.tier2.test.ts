/** Events as a person at a terminal sees them: the real kubectl prints ours as it prints a real cluster's. */
import { execFile } from "node:child_process"
import { writeFileSync } from "node:fs"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { promisify } from "node:util"
import { stringify } from "yaml"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { JsonObject } from "../../src/domain/AuditRecord.ts"
import { type Cluster, showLogsOfFailures, startCluster, startMillisMax } from "../system/cluster.ts"
import { eventually } from "../support/eventually.ts"
import { writeKubeconfig } from "../support/kubeconfig.ts"
import { findKubectl } from "../support/kubectl.ts"
import { type Api, startApi } from "./apiFixture.ts"
import { publishEvents } from "./eventMessages.ts"

const pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "web", namespace: "shop" },
  spec: { containers: [{ name: "main", image: "example.com/web" }] }
}

const about = (uid: string) => ({ kind: "Pod", namespace: "shop", name: "web", uid, apiVersion: "v1" })
const minutesAgo = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString()

/** Of an older reporter, seen often; and a series. The scheduler adds its own. */
const eventsAbout = (uid: string): ReadonlyArray<object> => [
  {
    apiVersion: "v1",
    kind: "Event",
    metadata: { name: "web.often", namespace: "shop" },
    involvedObject: { ...about(uid), fieldPath: "spec.containers{main}" },
    reason: "BackOff",
    message: "Back-off restarting failed container",
    source: { component: "kubelet", host: "node-1" },
    firstTimestamp: `${minutesAgo(200).slice(0, 19)}Z`,
    lastTimestamp: `${minutesAgo(20).slice(0, 19)}Z`,
    count: 42,
    type: "Warning"
  },
  {
    apiVersion: "events.k8s.io/v1",
    kind: "Event",
    metadata: { name: "web.series", namespace: "shop" },
    eventTime: minutesAgo(300).replace("Z", "000Z"),
    series: { count: 7, lastObservedTime: minutesAgo(30).replace("Z", "000Z") },
    reportingController: "example.com/controller",
    reportingInstance: "controller-1",
    action: "Pull",
    reason: "Pulling",
    regarding: about(uid),
    note: "Pulling the image",
    type: "Normal"
  }
]

/** Cells of a table, without ages, which are a second older in the second answer. */
const cells = (table: string): ReadonlyArray<string> =>
  table
    .split("\n")
    .filter((line) => line !== "")
    .map((line) =>
      line
        .trim()
        .split(/ {2,}/)
        .map((cell) => cell.replaceAll(/\b(\d+[dhms])+\b/g, "AGE"))
        .join(" | ")
    )
    .toSorted()

const eventList = (described: string): string => described.slice(described.indexOf("\nEvents:"))

describe("kubectl and our Events", () => {
  let cluster: Cluster
  let api: Api
  let kubectl = ""
  let proxy: Server
  let ours = ""
  let throughProxy = ""
  const run = async (kubeconfig: string, ...parameters: ReadonlyArray<string>): Promise<string> => {
    const cache = `${kubeconfig}.cache`
    const { stdout } = await promisify(execFile)(kubectl, [
      "--kubeconfig",
      kubeconfig,
      "--cache-dir",
      cache,
      ...parameters
    ])
    return stdout
  }

  beforeAll(async () => {
    ;[cluster, api, kubectl] = await Promise.all([startCluster(), startApi(), findKubectl()])
    await cluster.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: "shop" } })
    await eventually("the Pod is there", () => cluster.apply(pod).then(() => true))
    const get = async (path: string) => JSON.parse((await cluster.request("admin", path)).text)
    const { metadata } = await get("/api/v1/namespaces/shop/pods/web")
    await cluster.apply(...eventsAbout(metadata.uid))
    const events = async () => (await get("/apis/events.k8s.io/v1/namespaces/shop/events")).items
    const said = (list: ReadonlyArray<JsonObject>) => list.some(({ reason }) => reason === "FailedScheduling")
    await eventually("the scheduler has said something", async () => said(await events()))
    // From now on nothing is added to it.
    await cluster.kubeScheduler.kill()
    const list: ReadonlyArray<JsonObject> = await events()
    await publishEvents(
      api,
      list.map((event) => ({ event }))
    )
    await eventually(
      "they are stored",
      async () => (await api.request("admin", "/api/v1/namespaces/shop/events")).json().items.length === list.length
    )
    // What a proxy in front of both does: Events from us, everything else from the cluster.
    proxy = createServer((request, response) => {
      const path = request.url ?? ""
      const headers = { accept: request.headers.accept ?? "" }
      const isOfEvents = /^\/api\/v1\/(namespaces\/[^/]+\/)?events/.test(path)
      const answer = isOfEvents ? api.request("admin", path, { headers }) : cluster.request("admin", path, { headers })
      answer.then(
        ({ headers: answered, status, text }) => {
          response.writeHead(status, { "content-type": String(answered["content-type"] ?? "application/json") })
          response.end(text)
        },
        () => response.destroy()
      )
    })
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve))
    // It listens on a port, so its address is no text.
    const { port } = proxy.address() as AddressInfo
    throughProxy = writeKubeconfig(api.folder, `http://127.0.0.1:${port}`)
    ours = writeKubeconfig(api.folder, api.url, { token: "token-admin" })
  }, startMillisMax)
  afterAll(async () => {
    proxy?.close()
    await api?.[Symbol.asyncDispose]()
    await cluster?.[Symbol.asyncDispose]()
  })
  showLogsOfFailures(() => cluster)

  it("describe pod has the Events that the cluster itself tells", async () => {
    const own = eventList((await cluster.kubectl("admin", ["describe", "pod", "web", "-n", "shop"])).stdout)
    const through = eventList(await run(throughProxy, "describe", "pod", "web", "-n", "shop"))
    expect(cells(through)).toEqual(cells(own))
    expect(cells(own).join("\n")).toMatch(/BackOff.*\(x42 over AGE\)/)
    expect(cells(own).length).toBeGreaterThanOrEqual(6)
  })

  it.each([[[]], [["-o", "wide"]]])("get events prints what it prints of the cluster: %s", async (wide) => {
    const own = await cluster.kubectl("admin", ["get", "events", "-n", "shop", ...wide])
    for (const [kubeconfig, resource] of [
      [throughProxy, "events"],
      [ours, "events"],
      [ours, "events.events.k8s.io"],
      [ours, "eventrecords"]
    ] as const) {
      const flags = kubeconfig === ours ? ["--insecure-skip-tls-verify"] : []
      expect(cells(await run(kubeconfig, "get", resource, "-n", "shop", ...wide, ...flags))).toEqual(cells(own.stdout))
    }
  })

  it("describe pod has what was written here, and what its cluster told of it", async () => {
    const { metadata } = JSON.parse(
      (await cluster.kubectl("admin", ["get", "pod", "web", "-n", "shop", "-o", "json"])).stdout
    )
    const writer = writeKubeconfig(api.folder, api.url, { token: "token-master" }, api.authority)
    const [often] = eventsAbout(metadata.uid)
    const file = join(api.folder, "written.yaml")
    const written = { ...often, metadata: { name: "web.written", namespace: "shop" }, reason: "Written", count: 5 }
    writeFileSync(file, stringify({ ...written, message: "Said by hand" }))
    expect(await run(writer, "create", "-f", file)).toBe("event/web.written created\n")
    const described = cells(eventList(await run(throughProxy, "describe", "pod", "web", "-n", "shop")))
    expect(described.filter((line) => line.includes("Said by hand"))).toEqual([
      expect.stringMatching(/^Warning \| Written \| AGE \(x5 over AGE\) \| kubelet \| Said by hand$/)
    ])
    const own = cells(eventList((await cluster.kubectl("admin", ["describe", "pod", "web", "-n", "shop"])).stdout))
    expect(described.filter((line) => !line.includes("Said by hand"))).toEqual(own)
    expect(await run(writer, "delete", "event", "web.written", "-n", "shop")).toContain("deleted")
    expect(cells(eventList(await run(throughProxy, "describe", "pod", "web", "-n", "shop")))).toEqual(own)
  })

  it("what may be written is what kube-apiserver lets pass, refused with the same causes", async () => {
    const uid = "pod-1"
    const [often = {}, series = {}] = eventsAbout(uid)
    const { eventTime: _, ...timeless } = series as Readonly<Record<string, unknown>>
    const creates: ReadonlyArray<readonly [string, object]> = [
      ["core", often],
      ["core, of another namespace", { ...often, involvedObject: { ...about(uid), namespace: "other" } }],
      ["core, about nothing", { ...often, involvedObject: {} }],
      ["core, new, without a word about its reporter", { ...often, eventTime: "2026-11-21T10:00:00.000000Z" }],
      ["core, named as no DNS name is", { ...often, metadata: { namespace: "shop", name: "Web_1" } }],
      ["core, with a series of one", { ...often, series: { count: 1 } }],
      ["new", series],
      ["new, without its time", timeless],
      ["new, of an odd type", { ...series, type: "Odd" }],
      ["new, with a series of one", { ...series, series: { count: 1 } }],
      ["new, with old fields", { ...series, deprecatedCount: 2, deprecatedSource: { component: "x" } }],
      ["new, with old times", { ...series, deprecatedFirstTimestamp: "2026-11-21T10:00:00Z" }],
      ["new, too long", { ...series, note: "x".repeat(1025), reason: "r".repeat(129), action: "a".repeat(129) }],
      [
        "new, of a reporter with an odd name",
        { ...series, reportingController: "a b", reportingInstance: "i".repeat(129) }
      ],
      ["new, named as no DNS name is", { ...series, metadata: { namespace: "shop", name: "Web_1" } }],
      ["new, about nothing", { ...series, regarding: undefined }],
      ["of another namespace than the path", { ...series, metadata: { namespace: "other", name: "web" } }]
    ]
    const changes: ReadonlyArray<readonly [string, object]> = [
      ["the series goes on", { series: { count: 9, lastObservedTime: "2026-11-21T10:00:00.000000Z" } }],
      ["the series goes back to one", { series: { count: 1, lastObservedTime: null } }],
      ["it ends", { series: null }],
      ["another note", { note: "other" }],
      ["another reason and type", { reason: "Other", type: "Warning" }],
      ["about something else", { regarding: { name: "other" } }],
      ["another time", { eventTime: "2026-11-21T11:00:00.000000Z" }],
      ["an old field", { deprecatedCount: 5 }],
      ["a label", { metadata: { labels: { a: "b" } } }],
      ["no label", { metadata: { labels: { "a b": "c d" } } }],
      ["a stale version", { metadata: { resourceVersion: "1" } }],
      ["another uid", { metadata: { uid: "other" } }]
    ]
    const servers = [
      (method: string, path: string, body: object, type: string) =>
        cluster.request("admin", path, { method, body: JSON.stringify(body), headers: { "content-type": type } }),
      (method: string, path: string, body: object, type: string) =>
        api.request("master", path, { method, body: JSON.stringify(body), headers: { "content-type": type } })
    ]
    const json = "application/json"
    const answers = servers.map(async (send) => {
      const said: Array<readonly [string, number, unknown]> = []
      const note = (title: string, { status, text }: { readonly status: number; readonly text: string }) => {
        const { details, reason } = JSON.parse(text)
        const causes = details?.causes?.map(
          (cause: { field: string; reason: string }) => `${cause.field} ${cause.reason}`
        )
        said.push([title, status, status < 300 ? undefined : [reason, [...new Set(causes ?? [])].toSorted()]])
      }
      for (const [index, [title, body]] of creates.entries()) {
        const group = Object(body).apiVersion === "v1" ? "/api/v1" : "/apis/events.k8s.io/v1"
        const metadata = { ...Object(body).metadata }
        if (metadata.name.startsWith("web.")) metadata.name = `judged.${index}`
        note(title, await send("POST", `${group}/namespaces/shop/events`, { ...body, metadata }, json))
      }
      const base = "/apis/events.k8s.io/v1/namespaces/shop/events"
      note(
        "to change",
        await send("POST", base, { ...series, metadata: { name: "changing", namespace: "shop" } }, json)
      )
      for (const type of ["application/merge-patch+json", "application/strategic-merge-patch+json"]) {
        for (const [title, patch] of changes) note(title, await send("PATCH", `${base}/changing`, patch, type))
      }
      note("missing", await send("PATCH", `${base}/missing`, {}, "application/merge-patch+json"))
      note("again", await send("POST", base, { ...series, metadata: { name: "changing", namespace: "shop" } }, json))
      note("other precondition", await send("DELETE", `${base}/changing`, { preconditions: { uid: "other" } }, json))
      note("deleted", await send("DELETE", `${base}/changing`, {}, json))
      return said
    })
    const [theirs, own] = await Promise.all(answers)
    expect(own).toEqual(theirs)
  }, 120_000)

  it("standalone, kubectl takes us for no whole cluster, and explains what we have", async () => {
    const flag = "--insecure-skip-tls-verify"
    await expect(run(ours, "get", "pods", flag)).rejects.toThrow(`the server doesn't have a resource type "pods"`)
    expect((await run(ours, "api-resources", "-o", "name", flag)).split("\n")).toEqual(
      expect.arrayContaining(["events", "events.events.k8s.io", "eventrecords.activity.miloapis.com"])
    )
    expect(await run(ours, "explain", "eventrecord.event.series.lastObservedTime", flag)).toContain(
      "When it was last seen."
    )
  })
})
