import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { ruleEnvironments } from "../../src/cel/environments.ts"
import { compileTemplate } from "../../src/cel/Template.ts"
import { valueText } from "../../src/cel/valueText.ts"

const { summary } = ruleEnvironments("audit", (text) => text)

const variables = { audit: { name: "web", count: 3 }, actor: "alice", actorRef: {}, kind: "Pod", kindPlural: "Pods" }

const rendered = (source: string): string =>
  Result.getOrThrowWith(compileTemplate(summary, source), ({ message }) => new Error(`${source}: ${message}`))
    .parts.map((part) => (typeof part === "string" ? part : valueText(part.expression.evaluate(variables))))
    .join("")

const problem = (source: string) => {
  const result = compileTemplate(summary, source)
  return Result.isFailure(result) ? result.failure : undefined
}

describe("a template", () => {
  it("is text with expressions in it", () => {
    const table: ReadonlyArray<readonly [string, string]> = [
      ["just text", "just text"],
      ["{{ actor }}", "alice"],
      ["{{actor}}{{kind}}", "alicePod"],
      ["{{ actor }} created {{ kind + ' ' + audit.name }}!", "alice created Pod web!"],
      ["{{\n  actor\n}}", "alice"],
      ["{{ audit.count }} replicas", "3 replicas"],
      ["a { b } c", "a { b } c"],
      ["{{ '}}' }}", "}}"],
      ["{{ '{{' }}", "{{"],
      ["{{ {'a': {'b': 'x'}}.a.b }}", "x"],
      ["{{ {'a': {'b': 'x'}}['a']['b'] }} {{ actor }}", "x alice"]
    ]
    for (const [source, text] of table) assert.strictEqual(rendered(source), text, source)
  })

  const wrong: ReadonlyArray<readonly [string, RegExp, number, number]> = [
    ["{{ actor", /without `}}`/, 1, 1],
    ["x {{ actor }", /without `}}`/, 1, 3],
    ["x }} y", /without `{{`/, 1, 3],
    ["{{ actor }} }}", /without `{{`/, 1, 13],
    ["a {{ }}", /empty/, 1, 3],
    ["{{}}", /empty/, 1, 1],
    ["ab {{ foo }}", /foo/, 1, 7],
    ["line one\nab {{ actor + \n  foo }}", /foo/, 3, 3],
    ["{{ event.reason }}", /event/, 1, 4],
    ["{{ size(audit) }}", /must be a string, it is int/, 1, 4],
    ["{{ true }}", /must be a string, it is bool/, 1, 4],
    ["{{ actor }}".repeat(65), /more than 64 blocks/, 1, 705],
    ["x".repeat(16_385), /longer than 16384/, 1, 1],
    ["{{ actor }} {{ actor + }} {{ kind }}", /Unexpected token/, 1, 24]
  ]
  for (const [source, message, line, column] of wrong) {
    it(`${JSON.stringify(source.slice(0, 60))} is refused at ${line}:${column}`, () => {
      const found = problem(source)
      assert.match(found?.message ?? "", message)
      assert.deepStrictEqual([found?.line, found?.column], [line, column])
    })
  }
})

describe("a value in a summary", () => {
  it("is shown as people write it", () => {
    const table: ReadonlyArray<readonly [unknown, string]> = [
      ["text", "text"],
      [3, "3"],
      [0.5, "0.5"],
      [1e21, "1000000000000000000000"],
      [-7, "-7"],
      [42n, "42"],
      [true, "true"],
      [["a", 1, [2]], "a, 1, 2"],
      [{ a: 1, b: ["x"] }, `{"a":1,"b":["x"]}`],
      [new Date("2026-01-02T03:04:05.000Z"), "2026-01-02T03:04:05Z"],
      [new Date("2026-01-02T03:04:05.120Z"), "2026-01-02T03:04:05.12Z"],
      [new Date("2026-01-02T03:04:50.000Z"), "2026-01-02T03:04:50Z"]
    ]
    for (const [value, text] of table) assert.strictEqual(valueText(value), text)
  })

  it("null is not shown", () => {
    assert.throws(() => valueText(null), /null cannot be shown/)
  })
})
