/** Bad input against a running `up`: a precise answer, nothing lost around it, and the process lives. */
import { assert, describe, it } from "@effect/vitest"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { afterAll, beforeAll } from "vitest"
import { eventually } from "../support/eventually.ts"
import { https } from "../support/httpsJson.ts"
import { temporaryFolder, type TemporaryFolder } from "../support/temporaryFolder.ts"
import { startUp, type Up } from "../support/up.ts"
import { readFileSync } from "node:fs"

const activities = "/apis/activity.miloapis.com/v1/activities"

let folder: TemporaryFolder
let up: Up
let sent = 0

/** A ConfigMap's creation, of now, that no other record is; `name` is found again by search. */
const record = (name: string, change: Readonly<Record<string, unknown>> = {}): Record<string, unknown> => ({
  kind: "Event",
  apiVersion: "audit.k8s.io/v1",
  level: "Metadata",
  auditID: `bad-input-${sent++}`,
  stage: "ResponseComplete",
  requestURI: "/api/v1/namespaces/team/configmaps",
  verb: "create",
  user: { username: "alice@example.com" },
  objectRef: { resource: "configmaps", namespace: "team", name, apiVersion: "v1" },
  responseStatus: { code: 201 },
  requestReceivedTimestamp: new Date().toISOString().replace("Z", "000Z"),
  ...change
})

const text = (name: string, change: Readonly<Record<string, unknown>> = {}): string =>
  JSON.stringify(record(name, change))

const isListed = (name: string) => async (): Promise<boolean> =>
  (await up.api(`${activities}?search=${name}`)).json().items.length === 1

const post = (body: string | Uint8Array, headers: Readonly<Record<string, string>> = {}) =>
  https(up.endpoints.audit, {
    authority: readFileSync(join(up.folder, "tls/ca.crt"), "utf8"),
    method: "POST",
    body,
    headers
  })

beforeAll(async () => {
  folder = await temporaryFolder("bad-input")
  up = await startUp(join(folder.path, "data"))
})

afterAll(async () => {
  assert.strictEqual((await up.process.terminate()).code, 0)
  await folder.remove()
})

describe("bad input", () => {
  const items: ReadonlyArray<{ readonly what: string; readonly item: () => string; readonly unreadable: boolean }> = [
    { what: "an unknown stage", item: () => text("x", { stage: "Later" }), unreadable: true },
    { what: "no times", item: () => text("x", { requestReceivedTimestamp: undefined }), unreadable: true },
    {
      what: "a future time",
      item: () => text("x", { requestReceivedTimestamp: "2030-01-01T00:00:00Z" }),
      unreadable: false
    },
    {
      what: "a key __proto__",
      item: () => text("x").replace("{", `{"__proto__":{"stage":"Later"},`),
      unreadable: false
    },
    { what: "half a surrogate pair", item: () => text("x").replace(`"alice`, `"\\ud800alice`), unreadable: false },
    { what: "a number beyond all numbers", item: () => text("x").replace("201", "1e999"), unreadable: false },
    {
      what: "100,000 brackets",
      item: () => text("x").replace("{", `{"deep":${"[".repeat(100_000)}${"]".repeat(100_000)},`),
      unreadable: false
    },
    { what: "a name of 6,000 characters", item: () => text("n".repeat(6_000)), unreadable: false },
    {
      what: "a user name of 100 KB",
      item: () => text("x", { user: { username: "u".repeat(100_000) } }),
      unreadable: false
    },
    {
      what: "a tenant with a line break",
      item: () =>
        text("x", {
          user: {
            username: "a",
            extra: { "iam.miloapis.com/parent-type": ["Project"], "iam.miloapis.com/parent-name": ["p\n"] }
          }
        }),
      unreadable: false
    },
    { what: "9 MiB of body", item: () => text("x", { requestObject: "b".repeat(9 * 1024 * 1024) }), unreadable: false }
  ]
  for (const [index, { what, item, unreadable }] of items.entries()) {
    it(`${what}: its neighbours become activities`, async () => {
      const [before, after] = [`before${index}`, `after${index}`]
      const answer = await up.post([text(before), item(), text(after)])
      assert.strictEqual(answer.status, 200, answer.text)
      assert.deepStrictEqual(
        answer.json().unreadable.map(({ index: at }: { index: number }) => at),
        unreadable ? [1] : []
      )
      await eventually(
        "both neighbours are listed",
        async () => (await isListed(before)()) && (await isListed(after)())
      )
    })
  }

  it("bodies that are no list are answered, and the next is taken", async () => {
    const refused: ReadonlyArray<readonly [string | Uint8Array, Readonly<Record<string, string>>, number]> = [
      ["nonsense", {}, 400],
      [`{"kind":"PodList","apiVersion":"v1","items":[]}`, {}, 400],
      [Uint8Array.from([0x7b, 0x22, 0xff]), {}, 400],
      ["x".repeat(20 * 1024 * 1024), {}, 413],
      [gzipSync(Buffer.alloc(200 * 1024 * 1024)), { "content-encoding": "gzip" }, 413]
    ]
    for (const [body, headers, status] of refused) assert.strictEqual((await post(body, headers)).status, status)
    assert.strictEqual((await up.post([text("afterbodies")])).status, 200)
    await eventually("it is listed", isListed("afterbodies"))
  })

  it("filters without end are refused with a sentence, and at once", async () => {
    const nodes = (count: number) => Array.from({ length: count }, () => "spec.summary==''").join("||")
    const filters: ReadonlyArray<readonly [string, number, RegExp]> = [
      [nodes(60_000), 431, /larger than 131072 bytes/],
      [nodes(1_500), 422, /./],
      [`${"(".repeat(5_000)}true${")".repeat(5_000)}`, 422, /./],
      ["spec.summary.matches('((a{100}){100}){100}')", 422, /repeats too much|steps together/],
      ["spec.nothing == 1", 422, /line 1, column/]
    ]
    for (const [filter, status, says] of filters) {
      const answer = await up.api(`${activities}?filter=${encodeURIComponent(filter)}`)
      assert.strictEqual(answer.status, status, `${filter.slice(0, 80)}: ${answer.text.slice(0, 300)}`)
      assert.match(answer.json().message, says)
    }
  })

  it("a policy whose regular expression would explode elsewhere is evaluated in time", async () => {
    const policy = {
      apiVersion: "activity.miloapis.com/v1",
      kind: "ActivityPolicy",
      metadata: { name: "a-first" },
      spec: {
        resource: { apiGroup: "", kind: "ConfigMap" },
        auditRules: [{ match: "audit.objectRef.name.matches('^(a+)+$')", summary: "{{ actor }} made only a" }]
      }
    }
    const made = await up.api("/apis/activity.miloapis.com/v1/activitypolicies", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(policy)
    })
    assert.strictEqual(made.status, 201, made.text)
    assert.strictEqual((await up.post([text(`${"a".repeat(60)}b`), text("afterregex")])).status, 200)
    await eventually("what came after it is listed", isListed("afterregex"))
  })

  it("the metrics account for every record and every message", async () => {
    const metric = (metrics: string, name: string): number => {
      const line = metrics.split("\n").find((one) => one.startsWith(`${name} `))
      assert(line !== undefined, `${name} is in the metrics`)
      return Number(line.slice(name.length + 1))
    }
    const sum = (metrics: string, name: string, label: string, values: ReadonlyArray<string>): number =>
      values.reduce((total, value) => total + metric(metrics, `${name}{${label}="${value}"}`), 0)
    await eventually("nothing is in flight", async () => {
      const metrics = await (await fetch(`${up.endpoints.ops}/metrics`)).text()
      const intake = "activity_collector_intake_messages"
      const processed = "activity_processor_messages_total"
      return (
        metric(metrics, `${intake}{outcome="received"}`) ===
          sum(metrics, intake, "outcome", ["published", "duplicates", "spooled", "refused", "returned"]) &&
        metric(metrics, "activity_processor_received_total") ===
          sum(metrics, processed, "outcome", ["published", "duplicate", "filtered", "dead_letter"]) &&
        metric(metrics, "activity_processor_received_total") > 30 &&
        metric(metrics, "activity_writer_rows_total") > 30 &&
        metric(metrics, `activity_nats_consumer_lag_messages{stream="ACTIVITIES",consumer="writer"}`) === 0 &&
        metric(metrics, "process_resident_memory_bytes") > 0
      )
    })
  })

  it("is still ready at the end", async () => {
    const answer = await fetch(`${up.endpoints.ops}/readyz`)
    assert.strictEqual(answer.status, 200, await answer.text())
  })
})
