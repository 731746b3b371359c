/** What the guides tell people to type and to write is there, and works. */
import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { parse, parseAllDocuments } from "yaml"
import { projectFolder } from "../../.ci/projectFolder.ts"
import { exampleBatchText } from "../../src/programs/up/exampleBatch.ts"
import { readPolicyFiles } from "../../src/programs/up/policyFiles.ts"
import { startProgram } from "../support/childProcess.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"

const guides = [
  "README.md",
  "infra/README.md",
  "infra/policies/README.md",
  ...globSync(["docs/*.md", "src/programs/**/README.md"], { cwd: projectFolder })
]
const textOf = (path: string): string => readFileSync(join(projectFolder, path), "utf8")

/** The code blocks of a guide in one language; "" are those without. */
const blocksIn = (text: string, language: string): ReadonlyArray<string> =>
  [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].filter((match) => match[1] === language).map((match) => match[2]!)

/** `npx activity …` and `src/main.ts …` in blocks and sentences, with their continuation lines. */
const invocations = guides.flatMap((guide) =>
  [
    ...textOf(guide)
      .replaceAll("\\\n", " ")
      .matchAll(/(?:npx activity|src\/main\.ts) (print [a-z-]+|[a-z]+)([^\n`#]*)/g)
  ].map(([, program = "", rest = ""]) => ({
    guide,
    program,
    flags: [...rest.matchAll(/ --([a-z-]+)/g)].map(([, flag = ""]) => flag)
  }))
)

describe("the guides", () => {
  it("the policy of the first page compiles, and takes nothing away from the samples", async () => {
    const [block = ""] = blocksIn(textOf("README.md"), "yaml")
    await using folder = await temporaryFolder("readme")
    const place = join(folder.path, "policies")
    mkdirSync(place)
    writeFileSync(join(place, "shop-widget.yaml"), block)
    const [policy] = await Effect.runPromise(readPolicyFiles(place))
    const samples = await Effect.runPromise(readPolicyFiles(join(projectFolder, "infra/policies")))
    assert.isAbove(samples.length, 0)
    const written = parse(block)
    const nameAndKind = (value: {
      metadata: { name: string }
      spec: { resource: { apiGroup: string; kind: string } }
    }) => [value.metadata.name, `${value.spec.resource.apiGroup}/${value.spec.resource.kind}`]
    assert.isDefined(policy)
    assert.deepStrictEqual(nameAndKind(written), ["shop-widget", "shop.example.com/Widget"])
    const taken = globSync("infra/policies/*.yaml", { cwd: projectFolder }).flatMap((path) =>
      nameAndKind(parse(textOf(path)))
    )
    for (const word of nameAndKind(written)) assert.notInclude(taken, word)
    const items: ReadonlyArray<{ objectRef: { apiGroup: string }; responseObject: { kind: string } }> = JSON.parse(
      exampleBatchText(0)
    ).items
    // The batch that the page posts has one that this policy tells.
    assert.include(
      items.map((item) => `${item.objectRef.apiGroup}/${item.responseObject.kind}`),
      "shop.example.com/Widget"
    )
  })

  it(
    "every program and flag that they name is there, in a help of at most 100 columns",
    { timeout: 120_000 },
    async () => {
      assert.isAbove(invocations.length, 10)
      const helps = new Map<string, string>()
      for (const { flags, guide, program } of invocations) {
        if (!helps.has(program)) {
          const help = startProgram([...program.split(" "), "--help"])
          await help.exited
          helps.set(program, help.stdout())
          assert.deepStrictEqual(
            help
              .stdout()
              .split("\n")
              .filter((line) => line.length > 100),
            []
          )
        }
        for (const flag of flags) {
          if (flag === "help") continue
          const known = flag.replace(/^no-(?=demo$)/, "")
          assert.match(helps.get(program) ?? "", new RegExp(`^  --${known}\\b`, "m"), `${guide}: ${program} --${flag}`)
        }
      }
    }
  )

  it("every npm script that they name is there", () => {
    const { scripts } = JSON.parse(textOf("package.json"))
    for (const guide of guides) {
      for (const [, script = ""] of textOf(guide).matchAll(/npm run ([a-z:]+)/g))
        assert.property(scripts, script, guide)
    }
  })

  it("every file of the repository that they link to is there", () => {
    for (const guide of guides) {
      for (const [, target = ""] of textOf(guide).matchAll(/\]\((?!https?:)([^)#]*)(?:#[^)]*)?\)/g)) {
        assert.isTrue(existsSync(join(projectFolder, dirname(guide), target)), `${guide}: ${target}`)
      }
    }
  })

  it("every YAML in them can be read", () => {
    for (const guide of guides) {
      for (const block of blocksIn(textOf(guide), "yaml")) {
        for (const document of parseAllDocuments(block)) assert.deepStrictEqual(document.errors, [], guide)
      }
    }
  })
})
