/** What a person at a terminal sees: the real kubectl against the API server. */
import { execFile, spawn } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Effect } from "effect"
import { stringify } from "yaml"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { placePolicies, readPolicyFiles } from "../../src/programs/up/policyFiles.ts"
import { insertRows } from "../../src/store/insertRows.ts"
import type { StoredLine, StoredTable } from "../../src/store/rows.ts"
import { eventually } from "../support/eventually.ts"
import { findKubectl } from "../support/kubectl.ts"
import { activityRow } from "../store/storeLayer.ts"
import { recordRow } from "../support/factRows.ts"
import { type Api, defaultTenant, nameOf, startApi } from "./apiFixture.ts"
import { explainedKinds } from "./explainedKinds.ts"

interface Run {
  readonly code: number
  readonly out: string
  readonly err: string
}

const policy = (auditRules: ReadonlyArray<object>) =>
  stringify({
    apiVersion: "activity.miloapis.com/v1alpha1",
    kind: "ActivityPolicy",
    metadata: { name: "deployments" },
    spec: { resource: { apiGroup: "apps", kind: "Deployment" }, auditRules }
  })

const fine = policy([{ name: "create", match: "audit.verb == 'create'", summary: "{{ actor }} created a deployment" }])

describe("kubectl", () => {
  let api: Api
  let kubectl = ""
  const file = (name: string) => join(api.folder, name)

  const run = (parameters: ReadonlyArray<string>, user = "admin"): Promise<Run> =>
    new Promise((resolve) => {
      execFile(
        kubectl,
        ["--kubeconfig", file(`${user}.kubeconfig`), "--cache-dir", file("cache"), ...parameters],
        (error, out, err) =>
          resolve({ code: typeof error?.code === "number" ? error.code : error === null ? 0 : 1, out, err })
      )
    })

  beforeAll(async () => {
    api = await startApi()
    kubectl = await findKubectl()
    for (const user of ["admin", "viewer"]) {
      writeFileSync(
        file(`${user}.kubeconfig`),
        stringify({
          apiVersion: "v1",
          kind: "Config",
          clusters: [
            {
              name: "api",
              cluster: { server: api.url, "certificate-authority-data": Buffer.from(api.authority).toString("base64") }
            }
          ],
          users: [{ name: user, user: { token: `token-${user}` } }],
          contexts: [{ name: "api", context: { cluster: "api", user } }],
          "current-context": "api"
        })
      )
    }
    await api.publish(
      Array.from({ length: 25 }, (_, index) => ({
        id: `a-${index}`,
        ageSeconds: 10 + index,
        summary: `alice created thing ${index}`
      }))
    )
    await eventually(
      "all are stored",
      async () => (await run(["get", "activities", "-A", "-o", "name"])).out.split("\n").length === 26
    )
  }, 240_000)
  afterAll(() => api[Symbol.asyncDispose]())

  it("get prints a table with the namespace in front, wide prints more", async () => {
    const { out } = await run(["get", "activities", "-A"])
    expect(out.split("\n")[0]?.trim().split(/\s+/)).toEqual([
      "NAMESPACE",
      "NAME",
      "SUMMARY",
      "ACTOR",
      "RESOURCE",
      "SOURCE",
      "AGE"
    ])
    expect(out.split("\n")[1]).toMatch(
      new RegExp(`^team-1 +${nameOf("a-0")} +alice created thing 0 +alice +Deployment/a-0 +human +\\d+s$`)
    )
    const wide = (await run(["get", "act", "-n", "team-1", "-o", "wide"])).out
    expect(wide.split("\n")[0]).toMatch(/OUTCOME.*TENANT.*POLICY.*ORIGIN/)
  })

  it("get by name, as YAML, by selectors, in pages", async () => {
    const one = await run(["get", "activity", nameOf("a-3"), "-n", "team-1", "-o", "yaml"])
    expect(one.out).toContain("summary: alice created thing 3")
    const selected = await run([
      "get",
      "activities",
      "-n",
      "team-1",
      "--field-selector",
      "spec.resource.name=a-4",
      "-l",
      "activity.miloapis.com/origin-type=audit",
      "-o",
      "name"
    ])
    expect(selected.out).toBe(`activity.activity.miloapis.com/${nameOf("a-4")}\n`)
    const paged = await run(["get", "activities", "-A", "--chunk-size=10", "-o", "name"])
    expect(new Set(paged.out.trim().split("\n")).size).toBe(25)
  })

  it("get --raw takes filter and search", async () => {
    const { out } = await run([
      "get",
      "--raw",
      `/apis/activity.miloapis.com/v1/activities?${new URLSearchParams({ filter: "spec.resource.name == 'a-7'", search: "THING" })}`
    ])
    expect(JSON.parse(out).items.map((item: { metadata: { name: string } }) => item.metadata.name)).toEqual([
      nameOf("a-7")
    ])
  })

  it("get -w prints what happens, and ends with 0 when the server stops", async () => {
    const child = spawn(kubectl, [
      "--kubeconfig",
      file("admin.kubeconfig"),
      "--cache-dir",
      file("cache"),
      "get",
      "activities",
      "-A",
      "-w"
    ])
    let out = ""
    child.stdout.on("data", (data) => (out += String(data)))
    const exited = new Promise((resolve) => child.once("exit", resolve))
    await eventually("the list", () => out.includes("thing 24"))
    await api.publish([{ id: "live", summary: "bob did it live" }])
    await eventually("the live one", () => out.includes("bob did it live"))
    await api.stopServer()
    expect(await exited).toBe(0)
    await api.startServer()
    // The port is the same, so kubeconfigs still hold.
    expect((await run(["get", "activities", "-A"])).code).toBe(0)
  })

  it("an activity that is not there is not found, in a namespace too", async () => {
    const notFound = 'Error from server (NotFound): activities.activity.miloapis.com "nope" not found\n'
    expect((await run(["get", "activity", "-n", "team-1", "nope"])).err).toBe(notFound)
    expect((await run(["get", "activity", "nope"])).err).toBe(notFound)
  })

  it("an empty answer is printed with the reason that it may be empty for", async () => {
    const { err } = await run(["get", "activities", "-n", "empty"])
    expect(err).toBe(
      "Warning: activities of the last hour only; ask with ?start=now-7d for more\nNo resources found in empty namespace.\n"
    )
  })

  it("get of one activity shows what was changed, and explain says what that is", async () => {
    const state = (replicas: number) => ({
      kind: "Deployment",
      apiVersion: "apps/v1",
      metadata: { name: "web", namespace: "team-1", generation: replicas, resourceVersion: String(replicas) },
      spec: { replicas }
    })
    const record = (auditID: string, received: string, verb: string, replicas: number) =>
      recordRow({
        ...{ auditID, received, verb, tenant: defaultTenant },
        objectRef: { apiGroup: "apps", resource: "deployments" },
        more: { level: "RequestResponse", requestObject: { spec: { replicas } }, responseObject: state(replicas) }
      })
    const changed = "2026-11-21T09:00:02.000000Z"
    const rows = [record("before", "2026-11-21T09:00:01.000000Z", "create", 1), record("changed", changed, "patch", 2)]
    const origin = rows[1]!.id
    const activity = activityRow({
      ...{ origin, cluster: "local", tenant: defaultTenant, namespace: "team-1", timestamp: changed, sequence: 1 },
      spec: { verb: "patch", statusCode: 200, origin: { type: "audit", id: "changed" } }
    })
    const insert = (table: StoredTable, lines: ReadonlyArray<StoredLine>) =>
      api.run(insertRows({ table, rows: lines, onPoison: (_, refused) => Effect.die(refused) }))
    await insert("audit_logs", rows)
    await insert("activities", [activity])
    expect((await run(["get", "activity", nameOf(origin), "-n", "team-1", "-o", "yaml"])).out).toContain(
      '  changes:\n  - field: spec.replicas\n    new: "2"\n    old: "1"\n'
    )
    const fields = await run(["explain", "activity.spec.changes"])
    expect(fields.out).toMatch(/field\t<string> -required-[^]*new\t<string>[^]*old\t<string>/)
  })

  it("explain knows fields of both kinds", async () => {
    expect((await run(["explain", "activity.spec"])).out).toMatch(/summary\t<string> -required-/)
    expect((await run(["explain", "activitypolicy.spec.auditRules"])).out).toContain("match\t<string> -required-")
    expect((await run(["explain", "activity.spec", "--api-version=activity.miloapis.com/v1"])).out).toContain(
      "VERSION:    v1\n"
    )
  })

  it.each(explainedKinds)("explain knows %s", async (path, field) => {
    for (const version of ["v1alpha1", "v1"]) {
      const { code, err, out } = await run(["explain", path, `--api-version=activity.miloapis.com/${version}`])
      expect([code, err]).toEqual([0, ""])
      expect(out).toMatch(/^GROUP: +activity\.miloapis\.com\n/)
      expect(out).toContain(`VERSION:    ${version}\n`)
      expect(out).toMatch(field)
    }
  })

  it("apply creates, changes and leaves alone; diff and dry run tell before", async () => {
    writeFileSync(file("policy.yaml"), fine)
    expect((await run(["diff", "-f", file("policy.yaml")])).code).toBe(1)
    expect((await run(["apply", "-f", file("policy.yaml"), "--dry-run=server"])).out).toContain(
      "created (server dry run)"
    )
    expect((await run(["apply", "-f", file("policy.yaml")])).out).toContain("created")
    expect((await run(["apply", "-f", file("policy.yaml")])).out).toContain("unchanged")
    expect((await run(["diff", "-f", file("policy.yaml")])).code).toBe(0)
    writeFileSync(file("policy.yaml"), fine.replace("a deployment", "another"))
    expect((await run(["apply", "-f", file("policy.yaml")])).out).toContain("configured")
    expect((await run(["get", "ap", "deployments"])).out).toMatch(/deployments +apps +Deployment +1 +0 +True/)
  })

  it("what get printed as a list can be applied again, and is checked by the server", async () => {
    writeFileSync(file("listed.json"), (await run(["get", "ap", "-o", "json"])).out)
    const again = await run(["apply", "-f", file("listed.json")])
    expect([again.err, again.out]).toEqual(["", "activitypolicy.activity.miloapis.com/deployments configured\n"])
    const list = JSON.parse(readFileSync(file("listed.json"), "utf8"))
    list.items[0].spec.unknown = 1
    writeFileSync(file("listed.json"), JSON.stringify(list))
    expect((await run(["apply", "-f", file("listed.json")])).err).toContain('unknown field "spec.unknown"')
  })

  it("policies that up placed from files are applied without a warning: unchanged, or configured", async () => {
    const folder = fileURLToPath(new URL("../../infra/policies", import.meta.url))
    await api.run(Effect.flatMap(readPolicyFiles(folder), placePolicies))
    const same = await run(["apply", "-f", folder])
    expect([same.err, new Set(same.out.match(/ \w+$/gm))]).toEqual(["", new Set([" unchanged"])])
    const text = readFileSync(join(folder, "core-pod.yaml"), "utf8")
    writeFileSync(file("core-pod.yaml"), text.replace("kind: Pod\n", "kind: Pod\n  kindLabel: pod\n"))
    const changed = await run(["apply", "-f", file("core-pod.yaml")])
    expect([changed.err, changed.out]).toEqual(["", "activitypolicy.activity.miloapis.com/core-pod configured\n"])
    expect((await run(["delete", "-f", folder])).code).toBe(0)
  })

  it("apply of a broken rule names rule, field, line and column", async () => {
    writeFileSync(file("broken.yaml"), policy([{ name: "bad", match: "audit.verb ==\n ((", summary: "x" }]))
    const { code, err } = await run(["apply", "-f", file("broken.yaml")])
    expect(code).toBe(1)
    expect(err).toMatch(
      /The ActivityPolicy "deployments" is invalid: .*spec\.auditRules\[0\]\.match: Invalid value: .*rule "bad", line 2, column \d+/s
    )
  })

  it("apply of an unknown field is refused, server-side apply says what to do", async () => {
    writeFileSync(file("unknown.yaml"), fine.replace("spec:", "spec:\n  bogus: 1"))
    expect((await run(["apply", "-f", file("unknown.yaml")])).err).toContain('unknown field "spec.bogus"')
    expect((await run(["apply", "--server-side", "-f", file("policy.yaml")])).err).toContain("client-side apply")
  })

  it("patch, label and delete work", async () => {
    expect(
      (await run(["patch", "ap", "deployments", "--type=merge", "-p", '{"spec":{"kindLabel":"Thing"}}'])).code
    ).toBe(0)
    expect((await run(["label", "ap", "deployments", "a=b"])).code).toBe(0)
    expect((await run(["get", "ap", "-l", "a=b", "-o", "name"])).out).toContain("deployments")
    expect((await run(["delete", "ap", "deployments"])).out).toContain("deleted")
    expect((await run(["get", "ap", "deployments"])).err).toBe(
      'Error from server (NotFound): activitypolicies.activity.miloapis.com "deployments" not found\n'
    )
  })

  it.each([
    ["ActivityQuery", { startTime: "now-1h", endTime: "now", search: "THING 3" }, "summary: alice created thing 3"],
    ["AuditLogQuery", { startTime: "now-1h", endTime: "now", filter: "verb == 'delete'" }, "results: []"],
    ["EventQuery", { startTime: "now-1h", endTime: "now", fieldSelector: "type=Warning" }, "results: []"],
    ["ActivityFacetQuery", { facets: [{ field: "spec.actor.name" }] }, "value: alice"],
    ["AuditLogFacetsQuery", { facets: [{ field: "verb" }] }, "field: verb"],
    ["EventFacetQuery", { facets: [{ field: "reason" }] }, "field: reason"]
  ])("create of a %s from a YAML file prints its answer; explain knows it", async (kind, spec, told) => {
    const question = (more: object = {}) => ({
      apiVersion: "activity.miloapis.com/v1alpha1",
      kind,
      spec: { ...spec, ...more }
    })
    writeFileSync(file("question.yaml"), stringify(question()))
    const answer = await run(["create", "-f", file("question.yaml"), "-o", "yaml"])
    expect([answer.code, answer.err]).toEqual([0, ""])
    expect(answer.out).toContain(told)
    expect(answer.out).toContain("effectiveStartTime:")
    // An unknown field is found before anything is asked.
    writeFileSync(file("question.yaml"), stringify(question({ bogus: 1 })))
    expect((await run(["create", "-f", file("question.yaml")])).err).toContain('unknown field "spec.bogus"')
    const singular = kind.toLowerCase()
    expect((await run(["explain", `${singular}.spec`])).out).toMatch(/FIELDS:/)
    expect((await run(["explain", `${singular}.status`, "--api-version=activity.miloapis.com/v1"])).out).toContain(
      "effectiveEndTime"
    )
    // A question can only be asked.
    expect((await run(["get", singular])).err).toContain("MethodNotAllowed")
  })

  it("what is wrong with a question is printed by field", async () => {
    const times = { startTime: "yesterday", endTime: "now" }
    const question = { apiVersion: "activity.miloapis.com/v1alpha1", kind: "AuditLogQuery", metadata: { name: "mine" } }
    writeFileSync(file("question.yaml"), stringify({ ...question, spec: { ...times, filter: "verb =", limit: -1 } }))
    const { code, err } = await run(["create", "-f", file("question.yaml")])
    expect(code).toBe(1)
    expect(err.split("\n")[0]).toBe('The AuditLogQuery "mine" is invalid: ')
    expect(err).toContain('* spec.startTime: Invalid value: "yesterday" is no time: use RFC 3339')
    expect(err).toContain("* spec.limit: Invalid value: -1: must be from 0 to 1000")
    expect(err).toMatch(/\* spec\.filter: Invalid value: "verb =": line 1, column \d+: /)
  })

  it("a viewer without tenant reads one namespace, not all", async () => {
    expect((await run(["get", "activities", "-n", "team-1"], "viewer")).code).toBe(0)
    expect((await run(["get", "activities", "-A"], "viewer")).err).toContain("Error from server (Forbidden)")
    expect((await run(["get", "ap"], "viewer")).err).toContain('User "viewer" cannot list resource "activitypolicies"')
  })
})
