/** The real kubectl and curl against `up`: what the README and the printed lines promise. */
import { assert, describe, it } from "@effect/vitest"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll } from "vitest"
import { type ChildProcess, startProcess } from "../support/childProcess.ts"
import { eventually } from "../support/eventually.ts"
import { findKubectl } from "../support/kubectl.ts"
import { auditRecordLines } from "../support/recordedData.ts"
import { temporaryFolder, type TemporaryFolder } from "../support/temporaryFolder.ts"
import { startUp, type Up } from "../support/up.ts"

let folder: TemporaryFolder
let up: Up
let kubectlPath: string

const start = (...parameters: ReadonlyArray<string>): ChildProcess =>
  startProcess({ command: kubectlPath, arguments: ["--kubeconfig", up.kubeconfig, ...parameters] })

const kubectl = async (
  ...parameters: ReadonlyArray<string>
): Promise<{ code: number | undefined; out: string; all: string }> => {
  const running = start(...parameters)
  const { code } = await running.exited
  return { code, out: running.stdout(), all: running.log() }
}

/** Recorded records with times of this minute, so that the default window of an hour shows them. */
const recentRecords = (): ReadonlyArray<string> => {
  const now = new Date().toISOString().slice(0, 17)
  return auditRecordLines()
    .slice(1_845, 2_245)
    .map((line) =>
      line.replace(/"requestReceivedTimestamp":\s*"\d{4}-\d\d-\d\dT\d\d:\d\d:/, `"requestReceivedTimestamp":"${now}`)
    )
}

const policyText = (summary: string, match = "audit.verb == 'create'") => `apiVersion: activity.miloapis.com/v1alpha1
kind: ActivityPolicy
metadata:
  name: my-daemonsets
spec:
  resource: { apiGroup: apps, kind: DaemonSet }
  auditRules:
    - name: create
      match: "${match}"
      summary: "${summary}"
`

beforeAll(async () => {
  folder = await temporaryFolder("kubectl")
  kubectlPath = await findKubectl()
  up = await startUp(join(folder.path, "data"))
  const posted = await up.post(recentRecords())
  assert.strictEqual(posted.status, 200, posted.text)
  await eventually(
    "the records are listed",
    async () => (await up.api("/apis/activity.miloapis.com/v1/activities?search=proxy")).json().items.length > 0
  )
})

afterAll(async () => {
  assert.strictEqual((await up.process.terminate()).code, 0)
  await folder.remove()
})

describe("kubectl", () => {
  it("get -A prints a table, newest first", async () => {
    const { code, out } = await kubectl("get", "activities", "-A")
    assert.strictEqual(code, 0)
    const [head = "", ...rows] = out.trim().split("\n")
    assert.deepStrictEqual(head.split(/\s+/), ["NAMESPACE", "NAME", "SUMMARY", "ACTOR", "RESOURCE", "SOURCE", "AGE"])
    assert(
      rows.some((row) =>
        /alice@example\.com created HTTP proxy edge in team-\S+\s+alice@example\.com\s+HTTPProxy\/edge\s+human/.test(
          row
        )
      )
    )
  })

  it("-o wide has more columns, -o yaml the objects, describe one of them", async () => {
    const wide = await kubectl("get", "activities", "-A", "-o", "wide")
    assert.match(wide.out.split("\n")[0] ?? "", /OUTCOME.*TENANT.*POLICY.*ORIGIN/)
    const yaml = await kubectl("get", "activities", "-A", "-o", "yaml")
    assert.match(yaml.out, /kind: Activity\n[\s\S]*summary: alice@example\.com created HTTP proxy edge/)
    const [line = ""] = wide.out.split("\n").filter((row) => row.includes("created HTTP proxy edge"))
    const [namespace = "", name = ""] = line.split(/\s+/)
    const described = await kubectl("describe", "activity", "-n", namespace, name)
    assert.match(described.out, /Change Source:\s+human/)
  })

  it("-l and --field-selector select, --chunk-size reads pages", async () => {
    const people = await kubectl(
      "get",
      "activities",
      "-A",
      "-l",
      "activity.miloapis.com/change-source=human",
      "-o",
      "name"
    )
    const everybody = await kubectl("get", "activities", "-A", "-o", "name", "--chunk-size=7")
    assert.isAbove(everybody.out.split("\n").length, people.out.split("\n").length)
    assert.strictEqual(new Set(everybody.out.trim().split("\n")).size, everybody.out.trim().split("\n").length)
    const bobs = await kubectl("get", "activities", "-A", "--field-selector", "spec.actor.name=bob@example.com")
    assert(
      bobs.out
        .trim()
        .split("\n")
        .slice(1)
        .every((row) => row.includes("bob@example.com"))
    )
    const wrong = await kubectl("get", "activities", "-A", "--field-selector", "spec.nothing=1")
    assert.match(wrong.all, /field label not supported: spec\.nothing/)
  })

  it("explain knows the fields of both kinds", async () => {
    const spec = await kubectl("explain", "activity.spec")
    assert.match(spec.out, /KIND:\s+Activity\n/)
    for (const field of ["summary", "changeSource", "actor", "resource", "links", "tenant", "origin"]) {
      assert.match(spec.out, new RegExp(`^  ${field}\t<`, "m"))
    }
    assert.match((await kubectl("explain", "activitypolicy.spec.auditRules.match")).out, /CEL/)
  })

  it("get --raw takes filter and search", async () => {
    const query = new URLSearchParams({
      filter: "spec.actor.name == 'alice@example.com' && spec.resource.kind == 'HTTPProxy'"
    })
    const filtered = await kubectl("get", "--raw", `/apis/activity.miloapis.com/v1/activities?${query}`)
    const items: ReadonlyArray<{ spec: { actor: { name: string }; resource: { kind: string } } }> = JSON.parse(
      filtered.out
    ).items
    assert.isAbove(items.length, 0)
    assert(items.every(({ spec }) => spec.actor.name === "alice@example.com" && spec.resource.kind === "HTTPProxy"))
    const searched = await kubectl("get", "--raw", "/apis/activity.miloapis.com/v1/activities?search=PROXY+created")
    assert(
      JSON.parse(searched.out).items.every((item: { spec: { summary: string } }) =>
        /created HTTP proxy/.test(item.spec.summary)
      )
    )
  })

  it("-w prints what a curl posts", async () => {
    await using watch = start("get", "activities", "-A", "-w", "--no-headers")
    await watch.waitForLine(/edge/)
    const record = recentRecords()
      .map((line) => JSON.parse(line))
      .find(({ objectRef, verb }) => verb === "create" && objectRef.resource === "httpproxies")
    record.auditID = "posted-by-curl"
    record.user.username = "carol@example.com"
    record.requestReceivedTimestamp = new Date().toISOString().replace("Z", "000Z")
    const batch = join(folder.path, "batch.json")
    writeFileSync(batch, JSON.stringify({ kind: "EventList", apiVersion: "audit.k8s.io/v1", items: [record] }))
    const began = performance.now()
    const posted = startProcess({
      command: "curl",
      arguments: ["-sS", "--cacert", join(up.folder, "tls/ca.crt"), "--data-binary", `@${batch}`, up.endpoints.audit]
    })
    await watch.waitForLine(/carol@example\.com created HTTP proxy edge/)
    const watched = performance.now() - began
    await eventually(
      "the list has it",
      async () => (await up.api("/apis/activity.miloapis.com/v1/activities?search=carol")).json().items.length === 1
    )
    const listed = performance.now() - began
    assert.match((await posted.exited, posted.stdout()), /"accepted":1,/)
    console.log(`seen by kubectl -w ${Math.round(watched)} ms, by a list ${Math.round(listed)} ms after curl began`)
  })

  it("apply, diff, get, edit in place and delete work on policies; a fault names rule, field, line and column", async () => {
    const path = join(folder.path, "policies")
    mkdirSync(path)
    const file = join(path, "policy.yaml")
    const write = (text: string) => writeFileSync(file, text)
    write(policyText("{{ actor }} rolled out {{ kind }}", "audit.verb == 'create' && foo"))
    const broken = await kubectl("apply", "-f", file)
    assert.strictEqual(broken.code, 1)
    assert.match(broken.all, /spec\.auditRules\[0\]\.match: .*rule "create", line 1, column 27: .*foo/)
    write(policyText("{{ actor }} rolled out {{ kind }}"))
    assert.match((await kubectl("apply", "-f", file)).out, /my-daemonsets created/)
    assert.match((await kubectl("apply", "-f", file)).out, /my-daemonsets unchanged/)
    write(policyText("{{ actor }} rolled out {{ kind }} {{ audit.objectRef.name }}"))
    assert.match((await kubectl("diff", "-f", file)).out, /\+ .*audit\.objectRef\.name/)
    assert.match((await kubectl("apply", "-f", file)).out, /my-daemonsets configured/)
    assert.match((await kubectl("get", "activitypolicies")).out, /my-daemonsets\s+apps\s+DaemonSet\s+1\s+0\s+True/)
    const patched = await kubectl(
      "patch",
      "activitypolicy",
      "my-daemonsets",
      "--type=merge",
      "-p",
      `{"spec":{"kindLabel":"daemon set"}}`
    )
    assert.match(patched.out, /patched/)
    const dry = await kubectl("apply", "-f", file, "--dry-run=server")
    assert.match(dry.out, /server dry run/)
    assert.match((await kubectl("apply", "--server-side", "-f", file)).all, /client-side apply/)
    assert.match((await kubectl("delete", "activitypolicy", "my-daemonsets")).out, /deleted/)
    assert.match((await kubectl("get", "activitypolicy", "my-daemonsets")).all, /NotFound/)
  })
})
