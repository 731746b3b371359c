/** What `npm run build` makes is all that a machine needs besides Node. */
import { execFile } from "node:child_process"
import { cp, mkdir, readdir, readFile, symlink } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { buildInto, externalPackages, filesRead } from "../../.ci/build.ts"
import { projectFolder } from "../../.ci/projectFolder.ts"
import { cleanEnvironment } from "../support/childProcess.ts"
import { type TemporaryFolder, temporaryFolder } from "../support/temporaryFolder.ts"

interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

describe("the bundle", () => {
  let folder: TemporaryFolder
  beforeAll(async () => {
    folder = await temporaryFolder("bundle")
    await buildInto(folder.path)
  })
  afterAll(() => folder.remove())

  /** Runs it in a folder that holds nothing, which is no project of npm's. */
  const run = async (...parameters: ReadonlyArray<string>): Promise<Ended> => {
    await using elsewhere = await temporaryFolder("elsewhere")
    const options = { cwd: elsewhere.path, env: cleanEnvironment(), timeout: 60_000 }
    // Awaited here: the folder must be there as long as the program runs.
    return await new Promise((resolve) => {
      const command = [join(folder.path, "activity.js"), ...parameters]
      const child = execFile(process.execPath, command, options, (_failure, stdout, stderr) =>
        resolve({ code: child.exitCode ?? -1, stdout, stderr })
      )
    })
  }

  it("tells every program of src/programs, and its settings", async () => {
    const entries = await readdir(join(projectFolder, "src/programs"), { withFileTypes: true })
    const programs = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
    assert.includeMembers(programs, ["apiserver", "collector", "migrate", "processor", "up", "writer"])
    for (const program of programs) {
      const { code, stderr, stdout } = await run(program, "--help")
      assert.deepStrictEqual([code, stderr], [0, ""], program)
      assert.include(stdout, `activity ${program}`)
    }
  })

  it("has the version of package.json, in what it prints and as a package", async () => {
    const { version }: { readonly version: string } = JSON.parse(
      await readFile(join(projectFolder, "package.json"), "utf8")
    )
    assert.include((await run("--version")).stdout, version)
    const bundled = JSON.parse(await readFile(join(folder.path, "package.json"), "utf8"))
    assert.strictEqual(bundled.version, version)
    assert.deepStrictEqual(Object.keys(bundled.optionalDependencies), [...externalPackages])
  })

  it("imports nothing but itself, Node's own modules, and the packages that it names", async () => {
    const chunks = (await readdir(folder.path)).filter((name) => name.endsWith(".js"))
    const imported = new Set<string>()
    for (const chunk of chunks) {
      const text = await readFile(join(folder.path, chunk), "utf8")
      for (const [, specifier] of text.matchAll(/^(?:import|export) (?:[^"\n]* from )?"([^"\n]+)"/gm))
        imported.add(specifier!)
      for (const [, specifier] of text.matchAll(/\bimport\("([^"\n]+)"\)/g)) imported.add(specifier!)
    }
    const { builtinModules } = await import("node:module")
    const others = [...imported].filter(
      (specifier) =>
        !chunks.includes(specifier.replace("./", "")) &&
        !specifier.startsWith("node:") &&
        !builtinModules.includes(specifier)
    )
    assert.deepStrictEqual(others, [...externalPackages])
  })

  it("loads a program when it runs, not before", async () => {
    const loaded = new Set<string>()
    const load = async (chunk: string): Promise<void> => {
      if (loaded.has(chunk)) return
      loaded.add(chunk)
      const text = await readFile(join(folder.path, chunk), "utf8")
      const imports = [...text.matchAll(/^(?:import|export) (?:[^"\n]* from )?"\.\/([^"\n]+)"/gm)]
      for (const [, next] of imports) await load(next!)
    }
    await load("activity.js")
    assert.deepStrictEqual(
      [...loaded].filter((chunk) => chunk.startsWith("program-") || chunk.startsWith("x509")),
      []
    )
  })

  it("holds every file that a module finds by its own place", async () => {
    const places = await filesByOwnPlace()
    assert.isNotEmpty(places)
    for (const { file, module } of places) {
      assert.isTrue(
        filesRead.some((path) => file === path || file.startsWith(`${path}/`)),
        `${module} reads ${file}`
      )
    }
  })

  it("migrates a database, with the native engine beside it", async () => {
    await using data = await temporaryFolder("data")
    await mkdir(join(folder.path, "node_modules"), { recursive: true })
    await symlink(join(projectFolder, "node_modules/chdb"), join(folder.path, "node_modules/chdb"))
    const { code, stderr, stdout } = await run("migrate", "--clickhouse-url", `embedded:${data.path}/clickhouse`)
    assert.deepStrictEqual(
      [code, stdout],
      [0, "Applied 0001_initial.sql, 0002_cheaper_reads.sql, 0003_sequence_decodes_fast.sql.\n"],
      stderr
    )
  })

  it("says in one sentence that the native engine is missing where it is", async () => {
    await using copy = await temporaryFolder("copy")
    await cp(folder.path, copy.path, { recursive: true, filter: (path) => !path.includes("node_modules") })
    await using data = await temporaryFolder("data")
    const ended = await new Promise<Ended>((resolve) => {
      const command = [join(copy.path, "activity.js"), "migrate", "--clickhouse-url", `embedded:${data.path}`]
      const child = execFile(process.execPath, command, { env: cleanEnvironment() }, (_failure, stdout, stderr) =>
        resolve({ code: child.exitCode ?? -1, stdout, stderr })
      )
    })
    assert.strictEqual(ended.code, 2)
    assert.include(ended.stderr, "chdb")
    assert.strictEqual(ended.stderr.trim().split("\n").length, 1, ended.stderr)
  })
})

/** Every `new URL("…", import.meta.url)` of src: what it names, relative to the project. */
const filesByOwnPlace = async () => {
  const modules = (await readdir(join(projectFolder, "src"), { recursive: true })).filter((path) =>
    path.endsWith(".ts")
  )
  const found: Array<{ readonly module: string; readonly file: string }> = []
  for (const path of modules) {
    const module = `src/${path}`
    const text = await readFile(join(projectFolder, module), "utf8")
    for (const [, named] of text.matchAll(/new URL\(["`]([^"`$]+)[^)]*import\.meta\.url\)/g)) {
      const file = new URL(named!, `file:///${module}`).pathname.slice(1).replace(/\/$/, "")
      found.push({ module, file })
    }
  }
  return found
}
