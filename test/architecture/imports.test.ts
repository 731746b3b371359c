/** The tree keeps its own rules, and each rule sees its violation. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "vitest"
import { projectFolder } from "../../.ci/projectFolder.ts"
import {
  castFaults,
  clockFaults,
  decisionFaults,
  dependencyFaults,
  fileNameFaults,
  type Manifest,
  noteFaults,
  placeFaults,
  serviceFaults,
  specifierFaults,
  tagFaults
} from "./conventions.ts"
import { roomFaults, rooms } from "./rooms.ts"
import { importsOf, readSourceTree, treeOf } from "./sourceTree.ts"

const tree = readSourceTree()
const manifest: Manifest = JSON.parse(readFileSync(join(projectFolder, "package.json"), "utf8"))

/** The paths of faults, which is what a planted tree is about. */
const placesOf = (faults: ReadonlyArray<string>) => faults.map((fault) => fault.split(":")[0])

// The planted texts are put together from halves, so that the rules do not find them in this very file.
const importing = (specifier: string) => `import { something } from ${JSON.stringify(specifier)}\n`
const decided = (name: string) => `/** ${"@"}decision ${name} */\n`

describe("imports", () => {
  it("every form of import is seen", () => {
    const text = [
      `import "./a.ts"`,
      `import b from './b.ts'`,
      `import {\n  c,\n  type d\n} from "./c.ts"`,
      `import type { e } from "./e.ts"`,
      `export * from "./f.ts"`,
      `export { g } from "./g.ts"`,
      `const h = await import("./h.ts")`,
      `// import { i } from "./i.ts"`,
      `export const from = "./j.ts"`
    ].join("\n")
    assert.deepStrictEqual(
      importsOf(text),
      ["a", "b", "c", "e", "f", "g", "h"].map((name) => `./${name}.ts`)
    )
  })

  it("the tree keeps to its rooms", () => assert.deepStrictEqual(roomFaults(tree), []))

  for (const [name, room] of Object.entries(rooms)) {
    it(`${name} is refused every room that it may not import`, () => {
      const refused = Object.keys(rooms).filter(
        (other) => other !== name && !room.rooms.some((one) => one === other || one.startsWith(`${other}/`))
      )
      const planted = treeOf({
        [`src/${name}/One.ts`]: refused.map((other) => importing(`../${other}/Other.ts`)).join("")
      })
      assert.deepStrictEqual(
        roomFaults(planted),
        refused.map((other) => `src/${name}/One.ts: ${name} may not import ${other}/Other`)
      )
    })
  }

  it("stages do not import each other", () => {
    for (const [one, other] of [
      ["bus", "process"],
      ["process", "store"],
      ["store", "bus"],
      ["sources", "bus"]
    ]) {
      const planted = treeOf({ [`src/${one}/One.ts`]: importing(`../${other}/Other.ts`) })
      assert.lengthOf(roomFaults(planted), 1, `${one} imports ${other}`)
    }
  })

  it("serve may read the previews and the cache of policies, nothing else of process", () => {
    const planted = treeOf({
      "src/serve/Good.ts": importing("../process/PolicyCache.ts") + importing("../process/Preview.ts"),
      "src/serve/Bad.ts": importing("../process/Evaluator.ts")
    })
    assert.deepStrictEqual(placesOf(roomFaults(planted)), ["src/serve/Bad.ts"])
  })

  it("a wall is not passed by a longer way, and src does not import tests", () => {
    const planted = treeOf({
      "src/bus/deep/One.ts": importing("../../domain/../process/Other.ts"),
      "src/bus/Two.ts": importing("../../test/support/eventually.ts"),
      "src/attic/Three.ts": ""
    })
    assert.deepStrictEqual(placesOf(roomFaults(planted)), [
      "src/bus/deep/One.ts",
      "src/bus/Two.ts",
      "src/attic/Three.ts"
    ])
  })

  it("vendors' packages are seen by clients alone, the CEL library by cel alone", () => {
    const hidden = [
      "@nats-io/jetstream",
      "@nats-io/kv",
      "@clickhouse/client",
      "chdb",
      "redis",
      "@kubernetes/client-node"
    ]
    for (const specifier of [...hidden, "chdb/connection"]) {
      assert.lengthOf(roomFaults(treeOf({ "src/store/One.ts": importing(specifier) })), 1, specifier)
      assert.lengthOf(roomFaults(treeOf({ "src/clients/one/One.ts": importing(specifier) })), 0, specifier)
    }
    const planted = treeOf({
      "src/process/One.ts": importing("@marcbachmann/cel-js"),
      "src/clients/One.ts": importing("@marcbachmann/cel-js"),
      "src/cel/One.ts": importing("@marcbachmann/cel-js")
    })
    assert.deepStrictEqual(placesOf(roomFaults(planted)), ["src/process/One.ts", "src/clients/One.ts"])
  })

  it("domain does no input or output", () => {
    const planted = treeOf({
      "src/domain/Good.ts": importing("effect") + importing("node:crypto"),
      "src/domain/Bad.ts": importing("node:fs"),
      "src/normalise/Bad.ts": importing("node:net")
    })
    assert.deepStrictEqual(placesOf(roomFaults(planted)), ["src/domain/Bad.ts", "src/normalise/Bad.ts"])
  })

  it("relative imports end in .ts, there are no aliases, and platform modules are imported by path", () => {
    assert.deepStrictEqual(specifierFaults(tree), [])
    const bad = ["./Other", "./Other.js", "#domain", "~/domain", "@/domain", "@effect/platform-node"]
    for (const specifier of bad) {
      assert.lengthOf(specifierFaults(treeOf({ "src/bus/One.ts": importing(specifier) })), 1, specifier)
    }
    const good = importing("./Other.ts") + importing("@effect/platform-node/NodeRuntime") + importing("effect")
    assert.lengthOf(specifierFaults(treeOf({ "src/bus/One.ts": good })), 0)
  })

  it("what is imported is in package.json, and src needs nothing that only developers have", () => {
    assert.deepStrictEqual(dependencyFaults(tree, manifest), [])
    const planted = treeOf({
      "src/bus/One.ts": importing("left") + importing("tool") + importing("right/deep"),
      "test/bus/One.ts": importing("left") + importing("tool") + importing("unknown")
    })
    const three = { dependencies: { left: "1.0.0" }, optionalDependencies: {}, devDependencies: { tool: "1.0.0" } }
    assert.deepStrictEqual(dependencyFaults(planted, three), [
      "src/bus/One.ts: tool is not shipped",
      "src/bus/One.ts: right is not in package.json",
      "test/bus/One.ts: unknown is not in package.json"
    ])
  })
})

describe("names", () => {
  it("error tags are unique", () => {
    assert.deepStrictEqual(tagFaults(tree), [])
    const planted = treeOf({
      "src/bus/One.ts": `class Full extends Schema.TaggedError<Full>()("Full", {}) {}`,
      "src/store/Two.ts": `class Full extends Data.TaggedError("Full")<{}> {}`
    })
    assert.deepStrictEqual(tagFaults(planted), ["src/store/Two.ts: the error tag Full is taken by src/bus/One.ts"])
  })

  it("service ids are unique", () => {
    assert.deepStrictEqual(serviceFaults(tree), [])
    const service = `class Bus extends Context.Service<Bus, {}>()("activity/bus/Bus") {}`
    const planted = treeOf({ "src/bus/One.ts": service, "src/bus/Two.ts": service })
    assert.deepStrictEqual(placesOf(serviceFaults(planted)), ["src/bus/Two.ts"])
  })

  it("no file has a name that says nothing", () => {
    assert.deepStrictEqual(fileNameFaults(tree), [])
    for (const name of ["utils", "helpers", "common", "types", "index", "Utils", "kebab-case", "snake_case"]) {
      assert.lengthOf(fileNameFaults(treeOf({ [`src/bus/${name}.ts`]: "" })), 1, name)
    }
    assert.lengthOf(fileNameFaults(treeOf({ "src/bus/common/Spool.ts": "" })), 1)
    const good = { "src/bus/Spool.ts": "", "test/bus/spool.test.ts": "", "test/bus/torn.tier2.test.ts": "" }
    assert.lengthOf(fileNameFaults(treeOf(good)), 0)
  })
})

describe("decisions", () => {
  const good = "# A title\n\nStatus: accepted\nDate: 2026-11-21\n"

  it("every decision is short and numbered, and every reference to one resolves", () => {
    assert.deepStrictEqual(decisionFaults(tree), [])
  })

  it("a reference to a decision that is not there is found", () => {
    const planted = treeOf({
      "docs/decisions/0001-first.md": good,
      "src/bus/Good.ts": decided("0001-first"),
      "src/bus/Bad.ts": decided("0001-frist")
    })
    assert.deepStrictEqual(decisionFaults(planted), ["src/bus/Bad.ts: there is no decision 0001-frist"])
  })

  it("a number used twice, a long text, a missing date and a bad name are found", () => {
    const planted = treeOf({
      "docs/decisions/0001-first.md": good,
      "docs/decisions/0001-second.md": good,
      "docs/decisions/0002-long.md": good + "line\n".repeat(57),
      "docs/decisions/0003-undated.md": "Status: accepted\n",
      "docs/decisions/fourth.md": good
    })
    assert.deepStrictEqual(placesOf(decisionFaults(planted)).toSorted(), [
      "docs/decisions/0001-second.md",
      "docs/decisions/0002-long.md",
      "docs/decisions/0003-undated.md",
      "docs/decisions/fourth.md"
    ])
  })
})

describe("time and place", () => {
  it("the clock is read in src/runtime and src/main.ts only", () => {
    assert.deepStrictEqual(clockFaults(tree), [])
    for (const text of ["new Date()", "Date.now()", "performance.now()", "const now = Date()"]) {
      assert.lengthOf(clockFaults(treeOf({ "src/cel/One.ts": text, "src/runtime/Clock.ts": text })), 1, text)
    }
    assert.lengthOf(clockFaults(treeOf({ "src/cel/One.ts": "new Date(millis).toISOString()" })), 0)
  })

  it("nothing names a folder of one machine or the host of a registry", () => {
    assert.deepStrictEqual(placeFaults(tree), [])
    for (const place of ["work/main", "root/.cache"]) {
      assert.lengthOf(placeFaults(treeOf({ "src/bus/One.ts": `"/${place}"` })), 1, place)
    }
    assert.lengthOf(placeFaults(treeOf({ "docs/one.md": `https://registry.${"npmjs"}.org` })), 1)
  })

  it("nothing sends its reader to a note that is not in the repository", () => {
    assert.deepStrictEqual(noteFaults(tree), [])
    assert.lengthOf(noteFaults(treeOf({ "src/bus/One.ts": `// As ${"design"}.md says.` })), 1)
    assert.lengthOf(noteFaults(treeOf({ "src/bus/One.ts": "// As README.md says." })), 0)
  })
})

describe("casts", () => {
  it("each one has its reason beside it", () => assert.deepStrictEqual(castFaults(tree), []))

  it("one without a reason is found", () => {
    for (const line of [
      "const a = b as Tenant",
      "use(b as unknown as Tenant)",
      "(c.d as { e: string }).e",
      "f() as [A, B]"
    ]) {
      assert.lengthOf(castFaults(treeOf({ "src/bus/One.ts": line })), 1, line)
      assert.lengthOf(castFaults(treeOf({ "src/bus/One.ts": `${line} // The schema has just said so.` })), 0, line)
      assert.lengthOf(castFaults(treeOf({ "src/bus/One.ts": `// The schema has just said so.\n${line}` })), 0, line)
    }
    const innocent = [
      "const a = [1] as const",
      "const b = JSON.parse(text) as unknown",
      "import * as Effect from 'effect/Effect'",
      "export { one as two }",
      " * Taken as Given.",
      `const c = "known as Something"`,
      `const d = 'known as "Something"'`
    ]
    for (const line of innocent) assert.lengthOf(castFaults(treeOf({ "src/bus/One.ts": line })), 0, line)
  })
})
