/** The programs of the control plane that tier 2 uses are real ones. */
import { execFile } from "node:child_process"
import { chmod, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { promisify } from "node:util"
import { assert, describe, it } from "vitest"
import { findGoProgram } from "../support/goPrograms.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"

const execute = promisify(execFile)

describe("findGoProgram", () => {
  it.each([
    ["kube-apiserver", /^Kubernetes v1\.\d+\.\d+/],
    ["kube-controller-manager", /^Kubernetes v1\.\d+\.\d+/],
    ["kube-scheduler", /^Kubernetes v1\.\d+\.\d+/],
    ["etcd", /^etcd Version: 3\.\d+\.\d+/]
  ] as const)("finds a %s that answers with its version", async (program, version) => {
    const { stdout } = await execute(await findGoProgram(program), ["--version"])
    assert.match(stdout, version)
  })

  it("a program that is named and does not answer is refused, though another one could be found", async () => {
    const failure = await findGoProgram("etcd", { ...process.env, ETCD: "/no/such/etcd" }).catch(String)
    assert.include(failure, "ETCD=/no/such/etcd does not answer")
  })

  it("without Go, a program that is nowhere is told with every place that was looked at", async () => {
    await using cache = await temporaryFolder("cache")
    const failure = await findGoProgram("etcd", {
      PATH: cache.path,
      KUBEBUILDER_ASSETS: "/assets",
      XDG_CACHE_HOME: cache.path
    }).catch(String)
    assert.include(failure, `not in etcd, /assets/etcd, ${join(cache.path, "activity/etcd-")}`)
  })

  it("takes a program of KUBEBUILDER_ASSETS before it builds one", async () => {
    await using assets = await temporaryFolder("assets")
    const etcd = join(assets.path, "etcd")
    await writeFile(etcd, "#!/bin/sh\nexit 0\n")
    await chmod(etcd, 0o755)
    const found = await findGoProgram("etcd", {
      PATH: "/nowhere",
      KUBEBUILDER_ASSETS: assets.path,
      XDG_CACHE_HOME: assets.path
    })
    assert.strictEqual(found, etcd)
  })
})
