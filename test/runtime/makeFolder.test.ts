import { assert, describe, it } from "@effect/vitest"
import { statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { makeFolder } from "../../src/runtime/makeFolder.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"

describe("makeFolder", () => {
  it("makes what is missing on the way, for its owner alone where that is asked, and leaves what is there", async () => {
    await using folder = await temporaryFolder("make-folder")
    const inner = join(folder.path, "a", "b", "c")
    makeFolder(inner, 0o700)
    makeFolder(inner)
    for (const path of [inner, join(folder.path, "a")]) assert.strictEqual(statSync(path).mode & 0o777, 0o700)
  })

  it("a file on the way is told", async () => {
    await using folder = await temporaryFolder("make-folder")
    writeFileSync(join(folder.path, "file"), "")
    assert.throws(() => makeFolder(join(folder.path, "file", "inner")), /ENOTDIR/)
  })

  // Node's own, asked for all the way, never came back here.
  it.runIf(process.platform === "linux")("a file system that takes no folders is told", () =>
    assert.throws(() => makeFolder("/proc/activity/data"), /ENOENT/)
  )
})
