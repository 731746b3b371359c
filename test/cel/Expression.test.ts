import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { ruleEnvironments } from "../../src/cel/environments.ts"
import { compileExpression, EvaluationFailed, type Expression } from "../../src/cel/Expression.ts"
import { positionOf } from "../../src/cel/position.ts"

const { match, summary } = ruleEnvironments("audit", (text) => text)

const compile = (source: string) => compileExpression(match, source)

const compiled = (source: string): Expression =>
  Result.getOrThrowWith(compile(source), ({ message }) => new Error(`${source}: ${message}`))

const problem = (source: string) => {
  const result = compile(source)
  return Result.isFailure(result) ? result.failure : undefined
}

const audit = {
  verb: "create",
  code: 201,
  replicas: 3,
  ratio: 0.5,
  objectRef: { name: "web", resource: "deployments" },
  list: [1, 2, 3],
  nothing: null
}

const evaluate = (source: string, value: object = audit): unknown =>
  compiled(source).evaluate({
    audit: value,
    actor: "alice",
    actorRef: { type: "user" },
    kind: "Pod",
    kindPlural: "Pods"
  })

const holds = (source: string): void => assert.strictEqual(evaluate(source), true, source)

describe("an expression", () => {
  it("reads JSON as CEL does", () => {
    for (const source of [
      "audit.verb == 'create' && audit.code >= 200 && audit.code < 300",
      "audit.verb in ['create', 'update']",
      "audit.code in [200, 201]",
      "audit.code == 201",
      "audit.code == 201.0",
      "audit.code != 200",
      "'verb' in audit",
      "audit['verb'] == 'create'",
      "has(audit.objectRef.name) && !has(audit.objectRef.namespace)",
      "size(audit.list) == 3 && audit.list[0] == 1",
      "audit.list.exists(x, x == 3) && audit.list.all(x, x > 0) && audit.list.exists_one(x, x == 2)",
      "audit.list.map(x, x * 2) == [2, 4, 6]",
      "audit.list.filter(x, x > 1).size() == 2",
      "audit.nothing == null",
      "audit.verb.startsWith('cre') ? true : false",
      "actor == 'alice' && actorRef.type == 'user' && kind == 'Pod' && kindPlural == 'Pods'",
      "timestamp('2026-01-01T00:00:00Z') < timestamp('2026-01-01T00:00:01Z')"
    ])
      holds(source)
  })

  it("calculates with whole numbers of JSON", () => {
    for (const source of [
      "audit.replicas + 1 == 4",
      "1 + audit.replicas == 4",
      "audit.replicas - 1 == 2",
      "10 - audit.replicas == 7",
      "audit.replicas * 2 == 6",
      "audit.replicas / 2 == 1.5",
      "audit.replicas % 2 == 1",
      "10 % audit.replicas == 1",
      "audit.replicas + audit.ratio == 3.5",
      "audit.replicas % audit.list[1] == 1"
    ])
      holds(source)
    assert.instanceOf(evaluate("audit.replicas % 0 == 1"), EvaluationFailed)
  })

  it("that fails is a value with the place in its text", () => {
    const failed = evaluate("audit.verb == 'create' && audit.objectRef.namespace == 'x'")
    assert.instanceOf(failed, EvaluationFailed)
    assert.include((failed as EvaluationFailed).message, "namespace")
    assert.strictEqual((failed as EvaluationFailed).offset, "audit.verb == 'create' && audit.objectRef.".length)
    assert.isFalse((failed as EvaluationFailed).overBudget)
  })

  it("that fails leaves the stack traces of others as they were", () => {
    const before = Error.stackTraceLimit
    evaluate("audit.missing == 1")
    assert.strictEqual(Error.stackTraceLimit, before)
  })

  it("and, or absorb an error that cannot decide, as CEL says", () => {
    holds("audit.missing == 1 || audit.verb == 'create'")
    assert.strictEqual(evaluate("audit.missing == 1 && audit.verb == 'get'"), false)
  })

  it("never reaches a prototype", () => {
    for (const source of [
      "audit.constructor == 1",
      "audit.toString == 1",
      "audit.__proto__ == 1",
      "audit.list.length == 1"
    ]) {
      const result = compile(source)
      if (Result.isSuccess(result)) assert.instanceOf(result.success.evaluate({ audit }), EvaluationFailed, source)
    }
    assert.strictEqual(evaluate("audit['__proto__'].x == 1", JSON.parse(`{"__proto__":{"x":1}}`)), true)
  })

  it("knows the fields it mentions", () => {
    assert.isTrue(compiled("has(audit.objectRef.subresource)").mentions("subresource"))
    assert.isTrue(compiled("audit.objectRef['subresource'] == 'x'").mentions("subresource"))
    assert.isTrue(compiled("[1].exists(x, audit.objectRef.subresource == 'x')").mentions("subresource"))
    assert.isFalse(compiled("audit.verb == 'subresource'").mentions("subresource"))
  })

  it("knows which texts a field must have for it to be true, and whether it must be there", () => {
    const path = ["audit", "objectRef", "subresource"]
    const asked = (source: string) => {
      const { requiredTexts, requiresField } = compiled(source)
      const texts = requiredTexts(path)
      return [texts === undefined ? undefined : [...texts], requiresField(path)]
    }
    const there = "has(audit.objectRef.subresource)"
    const scale = "audit.objectRef.subresource == 'scale'"
    assert.deepStrictEqual(asked(scale), [["scale"], false])
    assert.deepStrictEqual(asked(`audit.verb == 'update' && ${there} && ${scale}`), [["scale"], true])
    assert.deepStrictEqual(asked(`${there} && audit.objectRef.subresource in ['exec', 'attach']`), [
      ["exec", "attach"],
      true
    ])
    assert.deepStrictEqual(asked(`${there} || ${scale}`), [undefined, false])
    assert.deepStrictEqual(asked(`!${there}`), [undefined, false])
    assert.deepStrictEqual(asked("audit.spec.subresource == 'scale' && has(audit.objectRef.name)"), [undefined, false])
  })

  it("knows which fields of a variable it looks at", () => {
    const looked = (source: string) => {
      const fields = compiled(source).fieldsRead("audit")
      return fields === undefined ? undefined : [...fields]
    }
    assert.deepStrictEqual(looked("audit.verb == 'x' && has(audit.responseObject.spec)"), ["verb", "responseObject"])
    assert.deepStrictEqual(looked("[1].exists(x, audit.list.size() == x)"), ["list"])
    assert.deepStrictEqual(looked("kind == 'x'"), [])
    for (const source of ["size(audit)", "audit['verb']", "{'a': audit} == {}", "[audit].exists(x, x.verb == 'y')"]) {
      assert.isUndefined(looked(source), source)
    }
  })

  it("tells its static type", () => {
    assert.strictEqual(compiled("audit.verb == 'x'").type, "bool")
    assert.strictEqual(compiled("audit.verb").type, "dyn")
    assert.strictEqual(compiled("'a' + 'b'").type, "string")
    assert.strictEqual(compiled("size(audit)").type, "int")
  })
})

describe("a wrong expression", () => {
  const table: ReadonlyArray<readonly [string, RegExp, number, number]> = [
    ["audit.verb = 'x'", /Unexpected character/, 1, 12],
    ["audit.verb ==", /Unexpected token/, 1, 14],
    ["audit.verb == 'x'\n  && foo == 1", /foo/, 2, 6],
    ["event.reason == 'x'", /event/, 1, 1],
    ["'a' < 1", /overload/, 1, 1],
    ["audit.verb.nope()", /nope/, 1, 1],
    ["has(audit['a'].b)", /has\(\) takes a path of fields/, 1, 5],
    ["audit.`a-b` == 1", /backticks are not supported; write map\['field'\]/, 1, 7],
    ["audit.?a == 1", /optional fields and entries/, 1, 7],
    ["audit.verb.matches('(')", /not valid RE2/, 1, 20],
    ["audit.verb.matches('(?=a)')", /not valid RE2/, 1, 20],
    ["", /empty/, 1, 1],
    ["  ", /empty/, 1, 1]
  ]
  for (const [source, message, line, column] of table) {
    it(`${JSON.stringify(source)} is refused at ${line}:${column}`, () => {
      const found = problem(source)
      assert.match(found?.message ?? "", message)
      assert.deepStrictEqual([found?.line, found?.column], [line, column])
    })
  }

  it("link exists in summaries only", () => {
    assert.match(problem("link('a', audit) == 'a'")?.message ?? "", /link/)
    assert.isTrue(Result.isSuccess(compileExpression(summary, "link('a', audit)")))
  })

  it("that is huge or deep is refused without overflowing the stack", () => {
    for (const source of [
      "x".repeat(20_000),
      `${"!".repeat(16_000)}true`,
      `${"(".repeat(8_000)}true${")".repeat(8_000)}`,
      `[${"1,".repeat(4_000)}1] == []`,
      `true${" && true".repeat(1_999)}`
    ])
      assert.isDefined(problem(source))
  })
})

describe("the budget", () => {
  const items = Array.from({ length: 300 }, (_, index) => index)

  const overBudget = (source: string): void => {
    const failed = evaluate(source, { list: items, text: "x".repeat(1_000_000) })
    assert.instanceOf(failed, EvaluationFailed, source)
    assert.isTrue((failed as EvaluationFailed).overBudget, source)
  }

  it("lets two nested comprehensions over 100 items pass, three over 300 not", () => {
    const hundred = items.slice(0, 100)
    assert.strictEqual(evaluate("audit.list.all(a, audit.list.all(b, a + b >= 0))", { list: hundred }), true)
    overBudget("audit.list.all(a, audit.list.all(b, audit.list.all(c, a + b + c >= 0)))")
  })

  it("is not talked away by an or", () => {
    overBudget("audit.list.all(a, audit.list.all(b, audit.list.all(c, a + b + c >= 0))) || true")
  })

  it("bounds texts and lists that are built", () => {
    overBudget("audit.text + audit.text + audit.text == ''")
    overBudget("audit.text.replace('x', 'xxxxxxxxxx') == ''")
    overBudget("[audit.text, audit.text, audit.text, audit.text, audit.text].join(',') == ''")
  })

  it("bounds what comprehensions read through", () => {
    const list = Array.from({ length: 40_000 }, (_, index) => index)
    const text = "x".repeat(1_000_000)
    for (const source of [
      "audit.list.all(a, a in audit.list)",
      "audit.list.all(a, !audit.text.contains('y'))",
      "audit.list.all(a, audit.text != audit.other)",
      "audit.list.all(a, size(audit.text) > 0)",
      "audit.list.all(a, !audit.text.matches('y'))"
    ]) {
      const failed = evaluate(source, { list, text, other: `${text.slice(1)}y` })
      assert.instanceOf(failed, EvaluationFailed, source)
      assert.isTrue((failed as EvaluationFailed).overBudget, source)
    }
    assert.strictEqual(evaluate("audit.list.all(a, a in [0, 1, 2])", { list: [0, 1, 2] }), true)
  })

  it("allows three comprehensions in one another, chained ones counted", () => {
    assert.isUndefined(problem("audit.list.map(a, a).map(b, b).map(c, c) == []"))
    assert.match(problem("audit.list.map(a, a).map(b, b).map(c, c).map(d, d) == []")?.message ?? "", /nested 3 deep/)
  })

  it("bounds failures that are swallowed, patterns with many states and patterns made at run time", () => {
    const long = "xw".repeat(5_000)
    overBudget("audit.list.exists(a, audit.list.exists(b, audit.nosuch == 1)) || true")
    for (const source of [
      "!audit.text.matches('([xw]?){400}[yz]')",
      "audit.list.all(a, !audit.text.matches('[yz]'))",
      "audit.list.all(a, !'abc'.matches('a{0,900}b{0,900}(x|y)' + string(a)))",
      "audit.list.all(a, audit.large == audit.same)"
    ]) {
      const large = Array.from({ length: 2_000 }, (_, index) => ({ name: `n${index}` }))
      const failed = evaluate(source, { list: items, text: long, large, same: structuredClone(large) })
      assert.instanceOf(failed, EvaluationFailed, source)
      assert.isTrue((failed as EvaluationFailed).overBudget, source)
    }
  })

  it("starts anew with each evaluation", () => {
    const expression = compiled("audit.list.all(a, audit.list.all(b, a + b >= 0))")
    for (let turn = 0; turn < 3; turn++)
      assert.strictEqual(expression.evaluate({ audit: { list: items.slice(0, 100) } }), true)
  })

  it("a pattern made to run for ever is answered at once", () => {
    assert.strictEqual(evaluate("audit.text.matches('^(a+)+$')", { text: `${"a".repeat(5_000)}!` }), false)
  })
})

describe("positions", () => {
  it("count lines and columns from 1", () => {
    assert.deepStrictEqual(positionOf("ab\ncd", 0), { line: 1, column: 1 })
    assert.deepStrictEqual(positionOf("ab\ncd", 4), { line: 2, column: 2 })
  })
})
