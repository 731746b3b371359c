/** Where there is no kubectl, Go builds one. */
import { execFile } from "node:child_process"
import { join } from "node:path"
import { promisify } from "node:util"
import { assert, it } from "vitest"
import { findKubectl } from "../support/kubectl.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"

const execute = promisify(execFile)

it("without a kubectl on the PATH one is built into the cache, and found there the next time", async () => {
  await using cache = await temporaryFolder("cache")
  const goFolder = join((await execute("go", ["env", "GOROOT"])).stdout.trim(), "bin")
  const environment = { ...process.env, KUBECTL: "", PATH: goFolder, XDG_CACHE_HOME: cache.path }
  const built = await findKubectl(environment)
  assert.isTrue(built.startsWith(cache.path))
  const { stdout } = await execute(built, ["version", "--client"])
  assert.include(stdout, "v1.34.4")
  assert.strictEqual(await findKubectl({ ...environment, PATH: "" }), built)
})
