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
  quantity: [
    "isQuantity('1.5G') && isQuantity('200k') && isQuantity('250m') && isQuantity('1e3') && isQuantity('.5Gi')",
    "!isQuantity('200K') && !isQuantity('Three') && !isQuantity('Mi') && !isQuantity('') && !isQuantity('1 G')",
    "quantity('50000000G').isInteger() && quantity('50k').isInteger() && !quantity('50.5').isInteger()",
    "!quantity('9999999999999999999999999999999999999G').isInteger()",
    "quantity('50k').asInteger() == 50000",
    "quantity('50.703k').asApproximateFloat() == 50703.0",
    "quantity('50k').add(quantity('20k')) == quantity('70k')",
    "quantity('50k').add(20) == quantity('50020')",
    "quantity('50k').sub(20) == quantity('49980')",
    "quantity('50k').sub(quantity('20k')) == quantity('30k')",
    "quantity('200M').compareTo(quantity('0.2G')) == 0",
    "quantity('50M').compareTo(quantity('50Mi')) == -1",
    "quantity('50Mi').compareTo(quantity('50M')) == 1",
    "quantity('150Mi').isGreaterThan(quantity('100Mi')) && !quantity('50M').isGreaterThan(quantity('100M'))",
    "quantity('50M').isLessThan(quantity('100M')) && !quantity('100M').isLessThan(quantity('50M'))",
    "quantity('-1').sign() == -1 && quantity('0').sign() == 0 && quantity('1m').sign() == 1",
    "string(quantity('1500m')) == '1.5'"
  ],
  ip: [
    "isIP('127.0.0.1') && isIP('::1') && isIP('2001:db8::abcd')",
    "!isIP('127.0.0.256') && !isIP(':::1') && !isIP('10.0.0') && !isIP('01.2.3.4') && !isIP('::ffff:1.2.3.4') && !isIP('fe80::1%eth0')",
    "ip('127.0.0.1').family() == 4 && ip('::1').family() == 6",
    "ip.isCanonical('127.0.0.1') && ip.isCanonical('2001:db8::abcd')",
    "!ip.isCanonical('2001:DB8::ABCD') && !ip.isCanonical('2001:db8::0:0:0:abcd')",
    "string(ip('2001:db8:0:0:1:0:0:1')) == '2001:db8::1:0:0:1' && string(ip('::')) == '::' && string(ip('1::')) == '1::'",
    "ip('0.0.0.0').isUnspecified() && ip('::').isUnspecified() && !ip('127.0.0.1').isUnspecified()",
    "ip('127.0.0.1').isLoopback() && ip('::1').isLoopback() && !ip('1.2.3.4').isLoopback()",
    "ip('224.0.0.1').isLinkLocalMulticast() && ip('ff02::1').isLinkLocalMulticast() && !ip('224.0.1.1').isLinkLocalMulticast()",
    "ip('169.254.169.254').isLinkLocalUnicast() && ip('fe80::1').isLinkLocalUnicast() && !ip('192.168.1.1').isLinkLocalUnicast()",
    "!ip('fd80::1').isLinkLocalUnicast()",
    "ip('192.168.1.1').isGlobalUnicast() && ip('fd80::1').isGlobalUnicast()",
    "!ip('255.255.255.255').isGlobalUnicast() && !ip('ff02::1').isGlobalUnicast()",
    "ip('::1') == ip('0:0:0:0:0:0:0:1') && ip('0.0.0.0') != ip('::')"
  ],
  cidr: [
    "isCIDR('192.168.0.0/16') && isCIDR('::1/128') && isCIDR('192.168.0.1/24')",
    "!isCIDR('192.168.0.0/33') && !isCIDR('::1/129') && !isCIDR('192.168.0.0') && !isCIDR('192.168.0.0/')",
    "cidr('192.168.0.0/24').containsIP(ip('192.168.0.1')) && !cidr('192.168.0.0/24').containsIP(ip('192.168.1.1'))",
    "cidr('192.168.0.0/24').containsIP('192.168.0.1') && !cidr('192.168.0.0/24').containsIP('::1')",
    "cidr('192.168.0.0/16').containsCIDR(cidr('192.168.10.0/24')) && !cidr('192.168.0.0/24').containsCIDR('192.168.0.0/23')",
    "cidr('192.168.0.1/24').ip() == ip('192.168.0.1')",
    "cidr('192.168.0.1/24').masked() == cidr('192.168.0.0/24')",
    "cidr('192.168.0.0/16').prefixLength() == 16",
    "string(cidr('2001:DB8::/32')) == '2001:db8::/32'"
  ],
  url: [
    "isURL('https://user:pass@example.com:80/path?query=val#fragment') && isURL('/absolute-path')",
    "!isURL('https://a:b:c/') && !isURL('../relative-path') && !isURL('example.com')",
    "url('https://example.com/').getScheme() == 'https' && url('/absolute-path').getScheme() == ''",
    "url('https://example.com:80/').getHost() == 'example.com:80' && url('https://example.com/').getHost() == 'example.com'",
    "url('https://[::1]:80/').getHost() == '[::1]:80' && url('https://[::1]:80/').getHostname() == '::1'",
    "url('https://example.com:443/').getPort() == '443' && url('https://example.com/').getPort() == ''",
    "url('https://example.com/path with spaces/').getEscapedPath() == '/path%20with%20spaces/'",
    "url('https://example.com').getEscapedPath() == '' && url('/a%2Fb').getEscapedPath() == '/a%2Fb'",
    "url('https://example.com/path?k1=a&k2=b&k2=c').getQuery() == {'k1': ['a'], 'k2': ['b', 'c']}",
    "url('https://example.com/path?key with spaces=value with spaces').getQuery() == {'key with spaces': ['value with spaces']}",
    "url('https://example.com/path').getQuery() == {}"
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
