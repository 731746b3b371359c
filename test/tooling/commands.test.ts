/** What the commands of package.json promise, run on projects of a few lines. */
import { execFile } from "node:child_process"
import { readFileSync } from "node:fs"
import { cp, mkdir, symlink, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { assert, describe, it } from "vitest"
import { changedFiles } from "../../.ci/generated.ts"
import { completedLock, type Lock, lockFaults, lockText, missingPackages, readLock } from "../../.ci/lock.ts"
import { projectFolder } from "../../.ci/projectFolder.ts"
import { missingTools, requiredTools } from "../../.ci/requirements.ts"
import { exitCodeOf, summaryLine } from "../../.ci/summary.ts"
import { testFiles, tierFrom } from "../../.ci/tiers.ts"
import { cleanEnvironment, startProcess } from "../support/childProcess.ts"
import { eventually } from "../support/eventually.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"

interface Ended {
  readonly code: number
  readonly lines: ReadonlyArray<string>
}

/** Runs a program to its end; `lines` are those of its standard output, without the empty ones. */
const run = (
  command: string,
  parameters: ReadonlyArray<string>,
  folder: string,
  environment: Readonly<Record<string, string>> = {}
): Promise<Ended> =>
  new Promise((resolve) => {
    const env = { ...cleanEnvironment(), ...environment }
    const child = execFile(command, [...parameters], { cwd: folder, env, timeout: 120_000 }, (_failure, stdout) =>
      resolve({ code: child.exitCode ?? -1, lines: stdout.split("\n").filter((line) => line.trim() !== "") })
    )
  })

/** A project that has our runner, our packages, and these files. */
const projectWith = async (files: Readonly<Record<string, string>>) => {
  const folder = await temporaryFolder("project")
  await cp(join(projectFolder, ".ci"), join(folder.path, ".ci"), { recursive: true })
  await symlink(join(projectFolder, "node_modules"), join(folder.path, "node_modules"))
  for (const name of ["package.json", "tsconfig.json", ".oxlintrc.json", ".oxfmtrc.json", "deno.json"]) {
    await cp(join(projectFolder, name), join(folder.path, name))
  }
  // Such a project needs no servers.
  const prepareServers = "export const prepareServers = async () => []\n"
  for (const [path, text] of Object.entries({ "test/support/prepareServers.ts": prepareServers, ...files })) {
    await mkdir(join(folder.path, path, ".."), { recursive: true })
    await writeFile(join(folder.path, path), text)
  }
  return folder
}

const testFile = (...bodies: ReadonlyArray<string>) =>
  [`import { assert, describe, it, beforeAll } from "vitest"`, ...bodies].join("\n")
const good = `it("good", () => assert.ok(true))`
const bad = `it("bad", () => assert.ok(false))`

describe("npm test", () => {
  const runTests = (folder: string, parameters: ReadonlyArray<string>, environment = {}) =>
    run(process.execPath, [".ci/test.ts", ...parameters], folder, environment)

  it("ends with one plain line of counts and the right code", async () => {
    await using project = await projectWith({
      "test/one.test.ts": testFile(good, bad, `it.skip("later", () => undefined)`),
      "test/two.test.ts": testFile(`beforeAll(() => { throw new Error("hook") })`, `describe("in", () => { ${good} })`),
      "test/three.test.ts": "this is not TypeScript",
      "test/four.test.ts": testFile(good),
      "test/five.long.test.ts": testFile(bad)
    })
    const all = await runTests(project.path, ["--tier", "1"])
    // One bad test, one file whose hook failed and one that cannot be read; the test behind the hook did not run.
    assert.match(all.lines.at(-1) ?? "", /^2 passed, 3 failed, 2 skipped$/)
    assert.strictEqual(all.code, 1)
    const four = await runTests(project.path, ["--tier", "1", "test/four"])
    assert.deepStrictEqual([four.lines.at(-1), four.code], ["1 passed, 0 failed, 0 skipped", 0])
    const long = await runTests(project.path, ["--tier", "1", "--long"])
    assert.deepStrictEqual([long.lines.at(-1), long.code], ["0 passed, 1 failed, 0 skipped", 1])
  })

  it("a run that found no test, or whose test process died, is a failure", async () => {
    await using project = await projectWith({
      "test/dies.test.ts": testFile(`it("dies", () => process.kill(process.pid, "SIGKILL"))`)
    })
    const none = await runTests(project.path, ["--tier", "1", "no/such/file"])
    assert.deepStrictEqual([none.lines.at(-1), none.code], ["0 passed, 1 failed, 0 skipped", 1])
    const died = await runTests(project.path, ["--tier", "1"])
    assert.match(died.lines.at(-1) ?? "", /^0 passed, [1-9]\d* failed, 0 skipped$/)
    assert.strictEqual(died.code, 1)
  })

  it("what tier 2 needs and is missing is one skip, and with CI=true one failure, and is named", async () => {
    await using project = await projectWith({
      "test/one.test.ts": testFile(good),
      "test/two.tier2.test.ts": testFile(good)
    })
    // A PATH on which there is nothing; the runner itself is started by its absolute path.
    const skipped = await runTests(project.path, [], { PATH: project.path })
    assert.deepStrictEqual([skipped.lines.at(-1), skipped.code], ["1 passed, 0 failed, 1 skipped", 0])
    assert.isTrue(skipped.lines.some((line) => line.startsWith("skipped: tier 2 needs Java 17")))
    const failed = await runTests(project.path, [], { PATH: project.path, CI: "true" })
    assert.deepStrictEqual([failed.lines.at(-1), failed.code], ["1 passed, 3 failed, 0 skipped", 1])
    assert.isTrue(failed.lines.some((line) => line.startsWith("failed: tier 2 needs Go")))
  })

  it("an unknown tier or flag is code 2", async () => {
    assert.strictEqual((await runTests(projectFolder, ["--tier", "3"])).code, 2)
    assert.strictEqual((await runTests(projectFolder, ["--teir", "1"])).code, 2)
  })

  it("tiers are told by the names of files", () => {
    assert.strictEqual(tierFrom(undefined), 2)
    assert.deepInclude(testFiles({ tier: 1, long: false }).exclude, "test/**/*.tier2.test.ts")
    assert.notInclude(testFiles({ tier: 2, long: false }).exclude, "test/**/*.tier2.test.ts")
  })

  it("a run without a passed test is not a success", () => {
    assert.strictEqual(exitCodeOf({ passed: 0, failed: 0, skipped: 3 }), 1)
    assert.strictEqual(exitCodeOf({ passed: 1, failed: 0, skipped: 3 }), 0)
    assert.strictEqual(summaryLine({ passed: 1, failed: 2, skipped: 3 }), "1 passed, 2 failed, 3 skipped")
  })

  it("a tool of the wrong version is missing", async () => {
    const [first] = requiredTools
    const old = { ...first!, command: process.execPath, arguments: ["--version"], answer: /^v19\./ }
    assert.deepStrictEqual(await missingTools([old, { ...old, answer: /^v\d+\./ }]), [old])
  })
})

describe("npm start", () => {
  it("SIGTERM to npm reaches the program itself, and nothing of it is left", async () => {
    await using project = await projectWith({
      "src/main.ts": `
        process.on("SIGTERM", () => { console.log("drained"); process.exit(0) })
        setInterval(() => undefined, 1_000)
        console.log(\`pid \${process.pid} node \${process.version} threads \${process.env["UV_THREADPOOL_SIZE"]}\`)`
    })
    await using npm = startProcess({ command: "npm", arguments: ["start"], folder: project.path })
    const [, pid, major, threads] = await npm.waitForLine(/pid (\d+) node v(\d+)\S* threads (\d+)/)
    // npm itself may run on any Node; the program gets the one that the project brings.
    assert.deepStrictEqual([major, threads], ["24", "16"])
    npm.signal("SIGTERM")
    await npm.exited
    await npm.waitForLine(/drained/)
    await eventually("the program is gone", () => !isRunning(Number(pid)))
  })
})

const isRunning = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

describe("npm run check", () => {
  const folders = { "src/.keep": "", "docs/.keep": "" }
  const definition = "infra/crds/storage.activity.miloapis.com_activitypolicyrecords.yaml"

  for (const [step, path, text] of [
    ["format", "src/bus/Spool.ts", "export const one   = 1\n"],
    ["lint", "src/bus/Spool.ts", "export const now = () => Date.now()\n"],
    ["lint", "src/bus/Spool.ts", "export const home = () => process.env\n"],
    ["lint", "src/bus/Spool.ts", `export const say = () => console.log("one")\n`],
    ["lint", "src/bus/Spool.ts", "export const loose = (value: any): string => value.name\n"],
    ["lint", "src/bus/Spool.ts", "const one = async () => 1\nexport const two = () => {\n  one()\n}\n"],
    ["types", "src/bus/Spool.ts", `export const one: number = "1"\n`],
    ["generated files", "package-lock.json", `{ "packages": {} }`],
    ["generated files", definition, "kind: Other\n"],
    ["generated files", "docs/performance.md", "Twice as fast.\n"]
  ] as const) {
    it(`${step} refuses ${JSON.stringify(text)} in ${path}`, async () => {
      await using project = await projectWith({
        ...folders,
        "package-lock.json": lockText({ packages: {} }),
        // A definition and a reference that are printed faster than ours.
        "src/contracts/recordDefinitions.ts": `export const recordDefinitions = [
  { spec: { group: "storage.activity.miloapis.com", names: { plural: "activitypolicyrecords" } } }
]
`,
        [definition]: `# Printed by npm run generate.
spec:
  group: storage.activity.miloapis.com
  names:
    plural: activitypolicyrecords
`,
        ".ci/apiReference.ts": `export const apiReference = () => "# API\\n"\n`,
        "docs/api.md": "# API\n",
        "test/bench/figures.ts": "export const readFigures = () => []\n",
        "test/bench/performancePage.ts": `export const performancePage = () => "# What it costs\\n"\n`,
        "docs/performance.md": "# What it costs\n",
        "test/architecture/imports.test.ts": testFile(good),
        [path]: text
      })
      const { code, lines } = await run(process.execPath, [".ci/check.ts"], project.path)
      const failed = lines.findIndex((line) => line.startsWith(`FAILED  ${step}`))
      assert.isAtLeast(failed, 0, lines.join("\n"))
      // What was planted is what was found.
      const next = lines.findIndex((line, index) => index > failed && /^(?:ok {6}|FAILED {2})/.test(line))
      assert.include(lines.slice(failed, next < 0 ? undefined : next).join("\n"), path)
      assert.strictEqual(code, 1)
    })
  }

  it("the clock, settings and the console may be used in src/runtime and src/main.ts", async () => {
    const text = `export const now = () => console.log(process.pid, Date.now())\n`
    await using project = await projectWith({ "src/runtime/Clock.ts": text, "src/main.ts": text })
    const { lines } = await run(join(projectFolder, "node_modules/.bin/oxlint"), ["src"], project.path)
    assert.include(lines.at(-2) ?? "", "Found 0 warnings and 0 errors", lines.join("\n"))
  })
})

describe("package-lock.json", () => {
  const incomplete: Lock = {
    packages: {
      "": { optionalDependencies: { "one-darwin-arm64": "1.2.3" } },
      "node_modules/two": {
        version: "2.0.0",
        integrity: "sha512-two",
        dev: true,
        optionalDependencies: { "@two/linux-arm64-musl": "2.0.0", "@two/linux-x64-gnu": "2.0.0" }
      },
      "node_modules/two/node_modules/@two/linux-x64-gnu": {
        version: "2.0.0",
        integrity: "sha512-three",
        optional: true
      }
    }
  }

  it("names every optional package of every package, and no registry", () => {
    assert.deepStrictEqual(lockFaults(readLock()), [])
  })

  it("a missing optional package is found, wherever npm may have put it", () => {
    assert.deepStrictEqual(
      missingPackages(incomplete).map(({ name }) => name),
      ["one-darwin-arm64", "@two/linux-arm64-musl"]
    )
  })

  it("completing it names version, processor, system and C library, and nothing else changes", () => {
    const { packages } = completedLock(incomplete)
    assert.deepStrictEqual(packages["node_modules/one-darwin-arm64"], {
      version: "1.2.3",
      cpu: ["arm64"],
      optional: true,
      os: ["darwin"]
    })
    assert.deepStrictEqual(packages["node_modules/@two/linux-arm64-musl"], {
      version: "2.0.0",
      cpu: ["arm64"],
      dev: true,
      libc: ["musl"],
      optional: true,
      os: ["linux"]
    })
    assert.deepStrictEqual(packages["node_modules/two"], incomplete.packages["node_modules/two"])
    assert.deepStrictEqual(missingPackages({ packages }), [])
  })

  it("a registry's address and a mandatory package without integrity are faults", () => {
    const entry = { version: "1.0.0", resolved: "https://example.org/one.tgz" }
    assert.deepStrictEqual(lockFaults({ packages: { "node_modules/one": entry } }), [
      "node_modules/one names the registry it came from",
      "node_modules/one has no integrity"
    ])
  })
})

describe("README.md", () => {
  const readme = readFileSync(join(projectFolder, "README.md"), "utf8")

  it("its first command starts the product, its second passes the tests, from a clone and nothing else", () => {
    const commands = [...readme.matchAll(/^npm ci && npm .+$/gm)].map(([line]) => line)
    assert.deepStrictEqual(commands.slice(0, 2), ["npm ci && npm start", "npm ci && npm test"])
  })

  it("every npm command in it is a script of package.json", () => {
    const { scripts }: { scripts: Record<string, string> } = JSON.parse(
      readFileSync(join(projectFolder, "package.json"), "utf8")
    )
    const named = [...readme.matchAll(/\bnpm (?:run )?([a-z:]+)/g)].map((match) => match[1]!)
    assert.deepStrictEqual(
      named.filter((name) => name !== "ci" && !(name in scripts)),
      []
    )
  })
})

describe("generated files", () => {
  it("one that differs from what would be printed, or is missing, is told", async () => {
    await using folder = await temporaryFolder()
    await writeFile(join(folder.path, "same"), "text")
    await writeFile(join(folder.path, "edited"), "text, edited")
    const files = ["same", "edited", "missing"].map((path) => ({ path, print: () => "text" }))
    assert.deepStrictEqual(await changedFiles(files, folder.path), ["edited", "missing"])
  })
})
