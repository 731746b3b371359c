import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { hintsText } from "../../../src/programs/up/hints.ts"

describe("hints", () => {
  it("every line that can be copied is a command", () => {
    const text = hintsText({
      kubeconfig: ".activity/kubeconfig",
      api: "https://127.0.0.1:18443",
      audit: "https://127.0.0.1:18444/audit",
      auditKubeconfig: ".activity/audit-webhook.kubeconfig",
      exampleBatch: ".activity/example-batch.json",
      authority: ".activity/tls/ca.crt",
      tokenFile: ".activity/admin-token",
      ops: "http://127.0.0.1:18445"
    })
    const commands = text.split("\n").filter((line) => line.startsWith("  "))
    assert.isAbove(commands.length, 5)
    // The shell reads them, and runs nothing.
    const { status, stderr } = spawnSync("sh", ["-n"], { input: commands.join("\n"), encoding: "utf8" })
    assert.deepStrictEqual([status, stderr], [0, ""])
  })
})
