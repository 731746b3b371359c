/** The kubectl that tier 2 uses is a real one. */
import { execFile } from "node:child_process"
import { promisify } from "node:util"
import { assert, describe, it } from "vitest"
import { findKubectl } from "../support/kubectl.ts"

const execute = promisify(execFile)

describe("findKubectl", () => {
  it("finds a kubectl that answers with its version", async () => {
    const { stdout } = await execute(await findKubectl(), ["version", "--client", "--output", "json"])
    const { clientVersion } = JSON.parse(stdout)
    assert.match(clientVersion.gitVersion, /^v1\.\d+\.\d+/)
  })

  it("a KUBECTL that does not answer is refused, though another one could be found", async () => {
    const failure = await findKubectl({ ...process.env, KUBECTL: "/no/such/kubectl" }).catch(String)
    assert.include(failure, "KUBECTL=/no/such/kubectl does not answer")
  })
})
