/**
 * The library functions, by the examples of the Kubernetes documentation
 * (https://kubernetes.io/docs/reference/using-api/cel/) and of cel-go's strings extension, which it refers to.
 */
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { ruleEnvironments } from "../../src/cel/environments.ts"
import { compileExpression, EvaluationFailed } from "../../src/cel/Expression.ts"

const { match } = ruleEnvironments("audit", (text) => text)

const evaluate = (source: string): unknown =>
  Result.getOrThrowWith(compileExpression(match, source), ({ message }) => new Error(`${source}: ${message}`)).evaluate(
    { audit: { text: "tacocat", list: ["a", "b"], numbers: [3, 1, 2] } }
  )

const groups: Readonly<Record<string, ReadonlyArray<string>>> = {
  charAt: ["'hello'.charAt(4) == 'o'", "'hello'.charAt(5) == ''", "'a😀b'.charAt(1) == '😀'"],
  indexOf: [
    "'hello mellow'.indexOf('') == 0",
    "'hello mellow'.indexOf('ello') == 1",
    "'hello mellow'.indexOf('jello') == -1",
    "'hello mellow'.indexOf('', 2) == 2",
    "'hello mellow'.indexOf('ello', 2) == 7",
    "'a😀b'.indexOf('b') == 2"
  ],
  lastIndexOf: [
    "'hello mellow'.lastIndexOf('') == 12",
    "'hello mellow'.lastIndexOf('ello') == 7",
    "'hello mellow'.lastIndexOf('jello') == -1",
    "'hello mellow'.lastIndexOf('ello', 6) == 1",
    "'a😀b'.lastIndexOf('b') == 2"
  ],
  join: [
    "['hello', 'mellow'].join() == 'hellomellow'",
    "['hello', 'mellow'].join(' ') == 'hello mellow'",
    "[].join() == ''",
    "audit.list.join('-') == 'a-b'"
  ],
  "lowerAscii, upperAscii": [
    "'TacoCat'.lowerAscii() == 'tacocat'",
    "'TacoCÆt Xii'.lowerAscii() == 'tacocÆt xii'",
    "'TacoCat'.upperAscii() == 'TACOCAT'",
    "'TacoCÆt Xii'.upperAscii() == 'TACOCÆT XII'"
  ],
  replace: [
    "'hello hello'.replace('he', 'we') == 'wello wello'",
    "'hello hello'.replace('he', 'we', -1) == 'wello wello'",
    "'hello hello'.replace('he', 'we', 1) == 'wello hello'",
    "'hello hello'.replace('he', 'we', 0) == 'hello hello'",
    "'hello hello'.replace('', '_') == '_h_e_l_l_o_ _h_e_l_l_o_'",
    "'hello hello'.replace('h', '') == 'ello ello'",
    "'a.a'.replace('.', '$&') == 'a$&a'"
  ],
  split: [
    "'hello hello hello'.split(' ') == ['hello', 'hello', 'hello']",
    "'hello hello hello'.split(' ', 0) == []",
    "'hello hello hello'.split(' ', 1) == ['hello hello hello']",
    "'hello hello hello'.split(' ', 2) == ['hello', 'hello hello']",
    "'hello hello hello'.split(' ', -1) == ['hello', 'hello', 'hello']"
  ],
  substring: [
    "'tacocat'.substring(4) == 'cat'",
    "'tacocat'.substring(0, 4) == 'taco'",
    "'ta©o©αT'.substring(2, 6) == '©o©α'",
    "'a😀b'.substring(1, 2) == '😀'"
  ],
  trim: ["'  \\ttrim\\n    '.trim() == 'trim'"],
  reverse: ["'gums'.reverse() == 'smug'", "'a😀'.reverse() == '😀a'"],
  format: [
    "'this is a string: %s\\nand an integer: %d'.format(['str', 42]) == 'this is a string: str\\nand an integer: 42'",
    "'%d%%'.format([5]) == '5%'",
    "'%.3f'.format([1.2345]) == '1.234' || '%.3f'.format([1.2345]) == '1.235'",
    "'%x %X %b %o'.format([255, 255, 5, 8]) == 'ff FF 101 10'",
    "'%x'.format(['hi']) == '6869'",
    "'%e'.format([1052.032911275]) == '1.052033e+03'",
    "'%s %s'.format([1.0, true]) == '1 true'",
    "'%s'.format([['a', 'b']]) == 'a, b'"
  ],
  isSorted: ["[1, 2, 3].isSorted()", "['a', 'b', 'b', 'c'].isSorted()", "![2.0, 1.0].isSorted()", "[].isSorted()"],
  sum: ["[1, 3].sum() == 4", "[1.0, 3.0].sum() == 4.0", "[].sum() == 0", "audit.numbers.sum() == 6"],
  "min, max": ["[1, 3].min() == 1", "[1, 3].max() == 3", "['b', 'a'].min() == 'a'", "audit.numbers.max() == 3"],
  "list indexOf": [
    "[1, 2, 2, 3].indexOf(2) == 1",
    "['a', 'b', 'b', 'c'].lastIndexOf('b') == 2",
    "[1.0].indexOf(1.1) == -1",
    "[].indexOf('string') == -1",
    "audit.list.indexOf('b') == 1"
  ],
  "find, findAll": [
    "'abc 123'.find('[0-9]+') == '123'",
    "'abc 123'.find('xyz') == ''",
    "'123 abc 456'.findAll('[0-9]+') == ['123', '456']",
    "'123 abc 456'.findAll('[0-9]+', 1) == ['123']",
    "'123 abc 456'.findAll('xyz') == []",
    "'abc 123'.find('[0-' + '9]+') == '123'"
  ],
  matches: [
    "'mystring'.matches('[0-9]+') == false",
    "'abc123'.matches('[0-9]+')",
    "audit.text.matches('^taco.*t$')",
    "audit.text.matches('^ta' + 'co')"
  ],
  string: [
    "string(5) == '5' && string(true) == 'true'",
    "string(timestamp('2026-01-02T03:04:05Z')) == '2026-01-02T03:04:05Z'",
    "string(audit.numbers[0]) == '3'"
  ]
}

describe("library functions", () => {
  for (const [name, sources] of Object.entries(groups)) {
    it(name, () => {
      for (const source of sources) assert.strictEqual(evaluate(source), true, source)
    })
  }

  it("out of range, empty or of another type they fail, they never guess", () => {
    for (const source of [
      "'hello'.charAt(6) == ''",
      "'tacocat'.substring(8) == ''",
      "'tacocat'.substring(4, 3) == ''",
      "'tacocat'.substring(-1) == ''",
      "[].min() == 1",
      "[].max() == 1",
      "'%d'.format(['x']) == ''",
      "'%s %s'.format(['x']) == ''",
      "'%q'.format(['x']) == ''",
      "audit.numbers.join() == ''",
      "'a'.find(audit.text + '(') == ''"
    ])
      assert.instanceOf(evaluate(source), EvaluationFailed, source)
  })
})
