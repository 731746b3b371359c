/** Policy previews as a person at a terminal asks for them: the real kubectl against the API server. */
import { execFile } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect } from "effect"
import { stringify } from "yaml"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { insertRows } from "../../src/store/insertRows.ts"
import { recordRow } from "../support/factRows.ts"
import { findKubectl } from "../support/kubectl.ts"
import { type Api, startApi } from "./apiFixture.ts"

interface Run {
  readonly code: number
  readonly out: string
  readonly err: string
}

describe("kubectl and policy previews", () => {
  let api: Api
  let kubectl = ""
  const file = (name: string) => join(api.folder, name)

  const run = (...parameters: ReadonlyArray<string>): Promise<Run> =>
    new Promise((resolve) => {
      execFile(
        kubectl,
        ["--kubeconfig", file("kubeconfig"), "--cache-dir", file("cache"), ...parameters],
        (error, out, err) =>
          resolve({ code: typeof error?.code === "number" ? error.code : error === null ? 0 : 1, out, err })
      )
    })
  const preview = (spec: object): string => {
    writeFileSync(
      file("preview.yaml"),
      stringify({
        apiVersion: "activity.miloapis.com/v1alpha1",
        kind: "PolicyPreview",
        metadata: { name: "try" },
        spec
      })
    )
    return file("preview.yaml")
  }
  const policy = {
    resource: { apiGroup: "", kind: "ConfigMap" },
    auditRules: [
      { name: "deleted", match: "audit.verb == 'delete'", summary: "{{ actor }} deleted {{ audit.objectRef.name }}" }
    ]
  }

  beforeAll(async () => {
    api = await startApi()
    kubectl = await findKubectl()
    writeFileSync(
      file("kubeconfig"),
      stringify({
        apiVersion: "v1",
        kind: "Config",
        clusters: [
          {
            name: "api",
            cluster: { server: api.url, "certificate-authority-data": Buffer.from(api.authority).toString("base64") }
          }
        ],
        users: [{ name: "admin", user: { token: "token-admin" } }],
        contexts: [{ name: "api", context: { cluster: "api", user: "admin" } }],
        "current-context": "api"
      })
    )
    const received = new Date(Date.now() - 60_000).toISOString()
    await api.run(
      insertRows({
        table: "audit_logs",
        rows: [recordRow({ auditID: "one", received, tenant: { type: "Platform", name: "" }, verb: "delete" })],
        onPoison: (_, refused) => Effect.die(refused)
      })
    )
  }, 240_000)
  afterAll(() => api[Symbol.asyncDispose]())

  it("create answers with the status, and stores nothing", async () => {
    const inputs = [
      {
        type: "audit",
        audit: { verb: "delete", user: { username: "bob" }, objectRef: { resource: "configmaps", name: "web" } }
      }
    ]
    const given = await run("create", "-f", preview({ policy, inputs }), "-o", "yaml")
    expect([given.code, given.err]).toEqual([0, ""])
    expect(given.out).toContain("summary: bob deleted web")
    expect(given.out).toContain("matchedRuleName: deleted")
    const stored = await run(
      "create",
      "-f",
      preview({ policy, autoFetch: {} }),
      "-o",
      "jsonpath={.status.activities[*].spec.summary}"
    )
    expect(stored.out).toBe("alice deleted web")
    const tested = await run(
      "create",
      "-f",
      preview({ policy, policyName: "config-maps", backtest: {} }),
      "-o",
      "jsonpath={.status.backtest.counts}"
    )
    expect(JSON.parse(tested.out)).toEqual({ same: 0, changed: 0, new: 1, lost: 0, error: 0 })
    expect((await run("create", "-f", preview({ policy, inputs }))).out).toBe(
      "policypreview.activity.miloapis.com/try created\n"
    )
    expect((await run("get", "policypreviews")).err).toContain("MethodNotAllowed")
  })

  it("faults are printed with their fields", async () => {
    const wrong = { ...policy, auditRules: [{ match: "audit.verb ==", summary: "x" }] }
    const { code, err } = await run("create", "-f", preview({ policy: wrong }))
    expect(code).toBe(1)
    expect(err).toContain("spec.policy.auditRules[0].match: Invalid value")
    const unknown = await run("create", "-f", preview({ policy, input: [] }))
    expect(unknown.err).toContain('unknown field "spec.input"')
  })

  it("explain knows every field", async () => {
    const { code, out } = await run("explain", "policypreviews", "--recursive")
    expect(code).toBe(0)
    for (const name of ["autoFetch", "backtest", "policyName", "fetchedInputs", "matchedRuleIndex", "counts", "lost"]) {
      expect(out).toMatch(new RegExp(`^ +${name}\\t`, "m"))
    }
    expect((await run("explain", "policypreviews.status.results.rules.result")).out).toContain("NotAsked")
  })
})
