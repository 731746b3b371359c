/** Events as real clients write them: kubectl from files, and both event recorders of client-go. Standalone. */
import { execFile, spawn } from "node:child_process"
import { once } from "node:events"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { stringify } from "yaml"
import { cleanEnvironment } from "../support/childProcess.ts"
import { eventually } from "../support/eventually.ts"
import { findGoClients } from "../support/goClients.ts"
import { writeKubeconfig } from "../support/kubeconfig.ts"
import { findKubectl } from "../support/kubectl.ts"
import { type Api, startApi } from "./apiFixture.ts"

const event = {
  apiVersion: "v1",
  kind: "Event",
  metadata: { name: "web.1", namespace: "shop", labels: { app: "web" } },
  involvedObject: { kind: "Pod", namespace: "shop", name: "web", uid: "pod-1", apiVersion: "v1" },
  reason: "BackOff",
  message: "Back-off restarting failed container",
  source: { component: "kubelet", host: "node-1" },
  firstTimestamp: "2026-11-21T10:00:00Z",
  lastTimestamp: "2026-11-21T10:00:00Z",
  count: 1,
  type: "Warning"
}

const series = {
  apiVersion: "events.k8s.io/v1",
  kind: "Event",
  metadata: { name: "web.2", namespace: "shop" },
  eventTime: "2026-11-21T10:00:00.000000Z",
  series: { count: 2, lastObservedTime: "2026-11-21T10:01:00.000000Z" },
  reportingController: "example.com/controller",
  reportingInstance: "controller-1",
  action: "Pull",
  reason: "Pulling",
  regarding: { kind: "Pod", namespace: "shop", name: "web", uid: "pod-1", apiVersion: "v1" },
  note: "Pulling the image",
  type: "Normal"
}

describe("clients that write Events", () => {
  let api: Api
  let another: Awaited<ReturnType<Api["startAnother"]>>
  let kubeconfig = ""
  let kubectlProgram = ""
  const kubectl = async (...parameters: ReadonlyArray<string>): Promise<string> => {
    const flags = ["--kubeconfig", kubeconfig, "--cache-dir", `${kubeconfig}.cache`, "-n", "shop"]
    return (await promisify(execFile)(kubectlProgram, [...flags, ...parameters])).stdout
  }
  const file = (name: string, object: object): string => {
    const path = join(api.folder, name)
    writeFileSync(path, stringify(object))
    return path
  }
  const listed = async (selector: string) => {
    const path = `/apis/events.k8s.io/v1/namespaces/shop/events?fieldSelector=${encodeURIComponent(selector)}&start=now-7d`
    return (await another.request("master", path)).json().items
  }

  beforeAll(async () => {
    ;[api, kubectlProgram] = await Promise.all([startApi(), findKubectl()])
    another = await api.startAnother()
    kubeconfig = writeKubeconfig(api.folder, api.url, { token: "token-master" }, api.authority)
  })
  afterAll(async () => {
    await another?.[Symbol.asyncDispose]()
    await api?.[Symbol.asyncDispose]()
  })

  it("kubectl creates, patches, labels, applies, replaces and deletes an Event from a file", async () => {
    const created = file("event.yaml", event)
    expect(await kubectl("create", "-f", created)).toBe("event/web.1 created\n")
    await expect(kubectl("create", "-f", created)).rejects.toThrow(/AlreadyExists.*events "web.1" already exists/)
    expect(await kubectl("get", "events", "web.1", "--no-headers")).toMatch(
      /Warning +BackOff +pod\/web +Back-off restarting/
    )
    expect(await kubectl("patch", "event", "web.1", "-p", '{"count":2}')).toBe("event/web.1 patched\n")
    expect(
      await kubectl("patch", "event", "web.1", "--type=json", "-p", '[{"op":"replace","path":"/count","value":3}]')
    ).toBe("event/web.1 patched\n")
    expect(await kubectl("label", "event", "web.1", "seen=again", "app-")).toBe("event/web.1 labeled\n")
    const json = JSON.parse(await kubectl("get", "event", "web.1", "-o", "json"))
    expect([json.count, json.metadata.labels]).toEqual([3, { seen: "again" }])
    expect(await kubectl("apply", "-f", file("applied.yaml", { ...event, count: 4 }))).toContain(
      "event/web.1 configured"
    )
    const stale = file("stale.yaml", { ...json, count: 9 })
    await expect(kubectl("replace", "-f", stale)).rejects.toThrow(/the object has been modified/)
    expect(await kubectl("get", "event", "web.1", "-o", "jsonpath={.count}")).toBe("4")
    await expect(kubectl("patch", "event", "web.1", "-p", '{"reason":"Other"}')).rejects.toThrow(
      /reason: Invalid value: "Other": field is immutable/
    )
    expect(await kubectl("delete", "event", "web.1")).toContain('event "web.1" deleted')
    await expect(kubectl("get", "event", "web.1")).rejects.toThrow(/NotFound.*events "web.1" not found/)
  })

  it("kubectl creates one of events.k8s.io/v1, is told what is wrong with another, and deletes by label", async () => {
    expect(await kubectl("create", "-f", file("series.yaml", series))).toBe("event.events.k8s.io/web.2 created\n")
    expect(JSON.parse(await kubectl("get", "events.v1.events.k8s.io", "web.2", "-o", "json")).series).toEqual(
      series.series
    )
    const { eventTime: _, ...timeless } = series
    const refused = kubectl(
      "create",
      "-f",
      file("timeless.yaml", { ...timeless, metadata: { name: "web.3", namespace: "shop" } })
    )
    await expect(refused).rejects.toThrow(/eventTime: Required value/)
    const odd = kubectl("create", "-f", file("odd.yaml", { ...series, metadata: { name: "web.4" }, colour: "red" }))
    await expect(odd).rejects.toThrow(/unknown field "colour"/)
    expect(await kubectl("delete", "events.v1.events.k8s.io", "--all")).toContain('"web.2" deleted')
    expect(await listed("reason=Pulling")).toEqual([])
  })

  it("the event recorders of client-go write a series each, in core/v1 and in events.k8s.io/v1", async () => {
    const child = spawn(await findGoClients(), ["--kubeconfig", kubeconfig, "--record-in", "shop"], {
      env: cleanEnvironment()
    })
    let log = ""
    let said = ""
    child.stderr.setEncoding("utf8").on("data", (text: string) => (log += text))
    child.stdout.setEncoding("utf8").on("data", (text: string) => (said += text))
    try {
      await eventually(
        "the series of core/v1 is counted",
        async () => (await listed("reason=BackOff"))[0]?.deprecatedCount === 5
      )
      await eventually("the other has been counted too", () => said.includes('"recorder"'))
      const [older, ...more] = await listed("reason=BackOff")
      expect(more).toEqual([])
      expect(older).toMatchObject({
        type: "Warning",
        note: "Back-off restarting failed container",
        deprecatedSource: { component: "old-recorder", host: "node-1" },
        regarding: { kind: "Pod", name: "web", namespace: "shop", uid: "pod-1" },
        reportingController: "old-recorder"
      })
      expect(Date.parse(older.deprecatedLastTimestamp)).toBeGreaterThanOrEqual(
        Date.parse(older.deprecatedFirstTimestamp)
      )
      const newer = await listed("reason=Pulling")
      expect(newer.map((one: { series: { count: number } }) => one.series.count)).toEqual([5])
      expect(newer[0]).toMatchObject({
        reportingController: "example.com/new-recorder",
        action: "Pull",
        note: "Pulling the image"
      })
      expect(JSON.parse(said).resourceVersion).toBe(newer[0].metadata.resourceVersion)
      const asCore = JSON.parse(await kubectl("get", "event", newer[0].metadata.name, "-o", "json"))
      expect([asCore.series, asCore.eventTime]).toEqual([newer[0].series, newer[0].eventTime])
      const exited = once(child, "exit")
      child.stdin.end()
      expect([(await exited)[0], log.split("\n").filter((told) => told.startsWith("E"))]).toEqual([0, []])
    } finally {
      child.kill()
    }
  }, 600_000)
})
