/** What CEL's operators mean, by its specification: errors, `has`, JSON of any type, items. Expected values by hand. */
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { filterFor, predicateFrom } from "../../src/cel/Filter.ts"
import type { JsonObject } from "../../src/domain/AuditRecord.ts"

const record: JsonObject = {
  verb: "create",
  stage: "ResponseComplete",
  userAgent: "kubectl/v1.34.4 Gr\u00fc\u00dfe \u{1f600}",
  user: { username: "alice", groups: ["dev", "ops"], extra: { scopes: ["read", "write"], empty: [] } },
  annotations: { "a.b/c": "x", empty: "" },
  requestReceivedTimestamp: "2026-11-20T15:07:46.123456Z",
  stageTimestamp: "2026-11-20T16:07:47.5+01:00",
  requestObject: {
    text: "one",
    number: 5,
    half: 1.5,
    yes: true,
    no: false,
    nothing: null,
    time: "2026-11-20T15:07:46Z",
    list: [1, "two", null, { name: "n", ports: [80, 443] }],
    lines: "a\nb",
    "": "empty key",
    object: { constructor: 1 }
  }
}

const holds = (source: string): boolean =>
  predicateFrom(
    Result.getOrThrowWith(filterFor("record")(source), ({ message }) => new Error(`${source}: ${message}`))
  )(record)

/** Each line is a filter that matches, or, after `not:`, one that does not. */
const suites: Readonly<Record<string, string>> = {
  "an error matches neither way": `
    not: requestObject.missing == 1
    not: requestObject.missing != 1
    not: !(requestObject.missing == 1)
    not: annotations['missing'] == ''
    not: annotations['missing'] != ''
    not: user.groups[2] == 'x'
    not: user.groups[2] != 'x'
    not: requestObject.text.missing == 1
    not: requestObject.text < 5
    not: !(requestObject.text < 5)
    not: requestObject.number.startsWith('5')
    not: !requestObject.text
    not: size(requestObject.number) > 0 || size(requestObject.nothing) > 0
    not: 5 in requestObject.text || 'x' in requestObject.number`,
  "an error is absorbed where the other side decides": `
    requestObject.missing == 1 || verb == 'create'
    verb == 'create' || requestObject.missing == 1
    !(requestObject.missing == 1 && verb == 'delete')
    !(verb == 'delete' && requestObject.missing == 1)
    not: requestObject.missing == 1 && verb == 'create'
    not: requestObject.missing == 1 || verb == 'delete'
    verb == 'create' ? true : requestObject.missing == 1
    not: requestObject.missing ? true : true`,
  "JSON of another type is unequal, and has no order": `
    requestObject.text == 'one' && requestObject.text != 'two'
    requestObject.number != '5' && !(requestObject.number == '5')
    requestObject.number == 5 && requestObject.number == 5.0 && 5 == requestObject.number
    requestObject.half > 1 && 2 > requestObject.half
    requestObject.yes && !requestObject.no && requestObject.yes == true && requestObject.no != true
    requestObject.nothing == null && requestObject.text != null && null != requestObject.number
    !(requestObject.nothing == 'null')
    requestObject.number in ['x', 5, null] && requestObject.nothing in [null] && requestObject.yes in [true]
    !(requestObject.number in ['5', true]) && !(requestObject.text in [])
    requestObject[''] == 'empty key' && requestObject['text'] == 'one'
    requestObject.object.constructor == 1
    not: requestObject.constructor == 1
    !has(requestObject.constructor)`,
  "has tells what is there, and errs where nothing could be": `
    has(requestObject.text) && has(requestObject.nothing) && !has(requestObject.missing)
    has(annotations.empty) && has(annotations['a.b/c']) && !has(annotations.missing)
    has(user) && has(requestObject) && !has(responseObject) && !has(impersonatedUser)
    has(verb) && !has(auditID) && !has(responseStatus.code) && has(stageTimestamp)
    not: has(requestObject.missing.more)
    not: !has(requestObject.missing.more)
    not: has(requestObject.text.more)
    not: !has(requestObject.text.more)
    not: !has(responseObject.kind)
    has(user.groups) && !has(sourceIPs) && has(user.extra) && !has(impersonatedUser.extra)`,
  "in looks among constants, items and keys": `
    'dev' in user.groups && !('x' in user.groups) && verb in ['get', 'create']
    'a.b/c' in annotations && !('a' in annotations)
    'two' in requestObject.list && 1 in requestObject.list && !(true in requestObject.list)
    'text' in requestObject && !('missing' in requestObject)
    'read' in user.extra['scopes'] && !('read' in user.extra.empty)
    not: 'read' in user.extra['missing']
    not: !('read' in user.extra['missing'])`,
  "exists and all go over items and keys, and absorb errors": `
    user.groups.exists(g, g == 'ops') && !user.groups.exists(g, g == 'x')
    user.groups.all(g, g.size() == 3) && !user.groups.all(g, g == 'ops')
    sourceIPs.all(i, false) && !sourceIPs.exists(i, true)
    annotations.exists(k, k.endsWith('/c')) && annotations.all(k, size(k) == 5)
    requestObject.list.exists(i, i.name == 'n')
    not: requestObject.list.exists(i, i.name == 'x')
    not: !requestObject.list.exists(i, i.name == 'x')
    !requestObject.list.all(i, i == 1)
    not: requestObject.list.all(i, i.name == 'n' || true == i)
    requestObject.list.exists(i, has(i.ports) && i.ports.exists(p, p == 443))
    requestObject.list.exists(i, i.ports.exists(p, p > 100) && i.name == 'n')
    requestObject.list[3].ports.all(p, p >= 80)
    user.groups.exists(verb, verb == 'dev') && verb == 'create'
    not: requestObject.text.exists(i, true)`,
  "sizes count code points, items and entries": `
    size(userAgent) == 23 && userAgent.size() == 23
    size(user.groups) == 2 && size(user.extra) == 2 && size(requestObject.list) == 4 && size(requestObject.object) == 1
    size(requestObject.text) == 3 && size(sourceIPs) == 0 && size('') == 0 && size('\u{1f600}') == 1`,
  texts: `
    userAgent.startsWith('kubectl') && userAgent.endsWith('\u{1f600}') && userAgent.contains('\u00fc')
    userAgent.startsWith('') && ''.endsWith('') && !''.contains('a')
    userAgent.contains(verb) || userAgent.contains(requestObject.missing) || true
    'KUBECTL \u00dc'.lowerAscii() == 'kubectl \u00dc'
    '\uff5e' < '\u{1f600}' && 'Z' < 'a' && '' < 'a' && 'a' < 'aa'
    (verb == 'create' ? 'made' : 'else') == 'made' && (verb == 'x' ? 1 : 2) < 3`,
  "matches is RE2 and finds any part": `
    userAgent.matches('v1[.]34') && !userAgent.matches('^v1')
    !requestObject.lines.matches('a.b') && requestObject.lines.matches('(?s)a.b') && requestObject.lines.matches('a\\\\nb')
    !requestObject.lines.matches('^b') && requestObject.lines.matches('(?m)^b$')
    userAgent.matches('(?i)KUBECTL') && userAgent.matches('(?i)GR\u00dc') && userAgent.matches('\\\\pL+')
    userAgent.matches('^.{23}$') && userAgent.matches('') && matches(userAgent, 'Gr')`,
  "times are compared as instants, to the microsecond": `
    requestReceivedTimestamp == timestamp('2026-11-20T15:07:46.123456Z')
    requestReceivedTimestamp == timestamp('2026-11-20T16:07:46.123456+01:00')
    requestReceivedTimestamp > timestamp('2026-11-20T15:07:46.123455Z') && requestReceivedTimestamp < '2026-11-20T15:07:47Z'
    stageTimestamp > requestReceivedTimestamp
    stageTimestamp - requestReceivedTimestamp == duration('1376544us')
    stageTimestamp - requestReceivedTimestamp > duration('1.3s') && requestReceivedTimestamp - stageTimestamp < duration('0')
    requestReceivedTimestamp + duration('1s') - duration('500ms') < stageTimestamp
    timestamp(requestObject.time) < requestReceivedTimestamp && timestamp(requestObject['time']) == timestamp('2026-11-20T15:07:46Z')
    not: timestamp(requestObject.text) < requestReceivedTimestamp
    not: requestReceivedTimestamp + duration('70000000h') + duration('70000000h') > requestReceivedTimestamp
    requestReceivedTimestamp in [timestamp('2026-11-20T15:07:46.123456Z'), '2026-11-20T15:07:46Z']
    (verb == 'create' ? stageTimestamp : requestReceivedTimestamp) == stageTimestamp`
}

describe("a filter over an audit record", () => {
  for (const [title, lines] of Object.entries(suites)) {
    it(title, () => {
      for (const line of lines.trim().split("\n")) {
        const [, not, source = ""] = /^(not: )?(.*)$/.exec(line.trim()) ?? []
        assert.strictEqual(holds(source), not === undefined, line)
      }
    })
  }
})
