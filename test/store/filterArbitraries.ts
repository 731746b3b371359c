/** Random filters, as texts of the whole language, and random facts whose values meet theirs. */
import * as fc from "fast-check"
import { filterFields, type FilterKind } from "../../src/cel/Filter.ts"
import type { FieldType } from "../../src/cel/FilterField.ts"
import { activityKey, activityName } from "../../src/domain/identity.ts"
import { activityFact, eventFact, type Fact, recordFact } from "./filterRows.ts"

/** Few enough values that they meet, and all that is hard to write down, to match or to compare. */
export const hostileTexts = [
  "",
  "a",
  "A",
  "b",
  "ab",
  "a.b",
  "a_b",
  "a%",
  "'",
  '"',
  "\\",
  "\\'",
  "a'b\\",
  'a"); DROP TABLE activities; --',
  "ä",
  "Ä",
  "ß",
  "\u0130",
  "\u{1f600}",
  "\uffff",
  "\u2028",
  "a\nb",
  "a\u0000b",
  "\ufffd",
  "e\u0301",
  "100",
  "true",
  "null",
  "{x:String}",
  "{filter_0:String}",
  "2026-11-21T10:00:00Z",
  "2026-11-21T12:00:00.5+02:00",
  "2026-02-30T10:00:00Z",
  "0001-01-01T00:00:00Z"
]

const keys = ["a", "b", "k.x", "", "__proto__", "'", "\u{1f600}", "constructor"]
const numbers = [
  0, -0, 1, 2, -1, 1.5, 0.1, 200, 404, 65_535, 65_536, 9_007_199_254_740_992, 1e-7, 1e21, 1.7976931348623157e308
]
const times = [
  "2026-11-21T09:59:59.999999Z",
  "2026-11-21T10:00:00Z",
  "2026-11-21T10:00:00.000001Z",
  "2026-11-21t10:00:00.0000019z",
  "2026-11-21T12:00:00+02:00"
]
const notTimes = [
  "0001-01-01T00:00:00Z",
  "2026-11-21 10:00:00Z",
  "2026-02-29T10:00:00Z",
  "2026-11-21T10:00:60Z",
  "soon",
  5,
  null
]

const text = fc.constantFrom(...hostileTexts)
const time = fc.constantFrom(...times)

const anyJson: fc.Arbitrary<unknown> = fc.letrec<{ readonly one: unknown }>((tie) => ({
  one: fc.oneof(
    { maxDepth: 4, depthSize: "small" },
    { arbitrary: fc.constantFrom<unknown>(...hostileTexts, ...numbers, true, false, null), weight: 3 },
    { arbitrary: fc.array(tie("one"), { maxLength: 3 }), weight: 1 },
    { arbitrary: fc.dictionary(fc.constantFrom(...keys), tie("one"), { maxKeys: 3 }), weight: 2 }
  )
})).one

/** What a field of this type may hold; now and then something of another type. */
const contentOf: Readonly<Record<FieldType, fc.Arbitrary<unknown>>> = {
  string: text,
  number: fc.constantFrom(...numbers),
  timestamp: fc.oneof({ arbitrary: time, weight: 4 }, { arbitrary: fc.constantFrom<unknown>(...notTimes), weight: 1 }),
  list: fc.array(anyJson, { maxLength: 3 }),
  map: fc.dictionary(fc.constantFrom(...keys), fc.oneof(text, anyJson), { maxKeys: 3 }),
  any: anyJson,
  object: fc.constant({})
}

/** The fields of a kind, filled in as JSON; `fixed` are those that the fact could not do without. */
const bodyOf = (kind: FilterKind, fixed: Readonly<Record<string, fc.Arbitrary<unknown>>>): fc.Arbitrary<object> => {
  const fields = [...new Set(filterFields[kind].values())].filter(({ type }) => type !== "object")
  return fc
    .tuple(
      ...fields.map(
        (field) =>
          (fixed[field.path] ??
            fc.oneof(
              { arbitrary: contentOf[field.type], weight: 6 },
              { arbitrary: anyJson, weight: 1 },
              { arbitrary: fc.constant(undefined), weight: 3 }
            )) as fc.Arbitrary<unknown>
      )
    )
    .map((values) => {
      const body: { [name: string]: unknown } = {}
      fields.forEach(({ at }, index) => {
        if (values[index] === undefined) return
        let object = body
        for (const name of at.slice(0, -1)) {
          // Only objects that were put here stand on the way to a field.
          object = (object[name] ??= {}) as { [name: string]: unknown }
        }
        object[at.at(-1)!] = values[index]
      })
      return body
    })
}

const stored = fc.constantFrom(...times.slice(0, 3))

const anyFact: Readonly<Record<FilterKind, (index: number) => fc.Arbitrary<Fact>>> = {
  record: (index) =>
    bodyOf("record", {
      auditID: fc.constantFrom("a", "b", "\u{1f600}").map((id) => `${id}${index}`),
      stage: fc.constantFrom("ResponseComplete", "Panic"),
      verb: fc.constantFrom(...hostileTexts.filter((one) => one !== "")),
      requestURI: fc.constantFrom(...hostileTexts.filter((one) => one !== "")),
      requestReceivedTimestamp: time
    }).map((body) => recordFact(JSON.stringify({ kind: "Event", ...body }), index + 1)),
  event: (index) =>
    bodyOf("event", {
      "metadata.uid": fc.constant(`uid-${index}`),
      // The series is an object of its own.
      "metadata.creationTimestamp": fc.option(stored, { nil: undefined }),
      eventTime: time
    }).map((body) => eventFact(JSON.stringify({ kind: "Event", apiVersion: "events.k8s.io/v1", ...body }), index + 1)),
  activity: (index) => {
    const key = activityKey("test", "audit", `o${index}`)
    return fc
      .tuple(
        bodyOf("activity", {
          "metadata.uid": fc.constant(key),
          "metadata.name": fc.constant(activityName(key)),
          // The processor writes both the same.
          "metadata.namespace": fc.constant(undefined),
          "metadata.creationTimestamp": stored,
          "spec.timestamp": stored,
          "spec.lastTimestamp": fc.option(stored, { nil: undefined })
        }),
        text
      )
      .map(([body, namespace]) => {
        const { metadata, spec } = body as { metadata: object; spec: { resource?: object } }
        return activityFact(
          JSON.stringify({
            metadata: { ...metadata, namespace },
            spec: { ...spec, resource: { ...spec.resource, namespace } }
          }),
          index + 1
        )
      })
  }
}

export const someFacts = (kind: FilterKind, count: number): ReadonlyArray<Fact> =>
  Array.from({ length: count }, (_, index) => fc.sample(anyFact[kind](index), 1)[0]!)

// Filters

const quotedText = (value: string): string => JSON.stringify(value)
const literalText = text.map(quotedText)
const literalNumber = fc.constantFrom("0", "1", "2", "-1", "1.5", "0.1", "200", "404", "9007199254740991", "1e21", "3u")
const literalTime = fc.oneof(
  time.map((one) => `timestamp('${one}')`),
  fc.constant("timestamp('1970-01-01T00:00:00Z')")
)
const literalDuration = fc
  .constantFrom("0", "1s", "-1us", "500ms", "1h30m", "2562047h", "-87660000h")
  .map((one) => `duration('${one}')`)

const patterns = [
  "a",
  "^a",
  "b$",
  "a.b",
  "(?s)a.b",
  "(?i)a",
  "(?i)\u00e4",
  "(?i)s",
  "^.$",
  "^..$",
  "\\pL",
  "[^a]",
  "[[:alpha:]]",
  "\\bb",
  "\\d+",
  "(?m)^b$",
  "a|^$",
  "(a)(?:b)?",
  "x*",
  "\\x00",
  "\\Q.\\E",
  "[\u{1f600}-\u{1f64f}]",
  "\\.",
  "'",
  "(?U)a+",
  "a{0,2}b"
]

interface Parts {
  readonly condition: string
  readonly text: string
  readonly number: string
  readonly time: string
  readonly duration: string
  readonly json: string
}

interface Weighted {
  readonly weight: number
  readonly arbitrary: fc.Arbitrary<string>
}

const equalities = fc.constantFrom("==", "!=")
const comparisons = fc.constantFrom("==", "!=", "<", "<=", ">", ">=")

/** @param items how many names of items are known: `i0`, `i1` */
const parts = (kind: FilterKind, items: number): { readonly [Part in keyof Parts]: fc.Arbitrary<string> } => {
  const named = (type: FieldType) =>
    [...filterFields[kind]].flatMap(([spelling, field]) => (field.type === type ? [spelling] : []))
  const orNothing = (names: ReadonlyArray<string>, nothing: fc.Arbitrary<string>) =>
    names.length === 0 ? nothing : fc.constantFrom(...names)
  const step = fc.oneof(
    fc.constantFrom(".a", ".b", "[0]", "[1]"),
    fc.constantFrom(...keys).map((key) => `[${quotedText(key)}]`)
  )
  const item = items === 0 ? [] : [fc.constantFrom(...Array.from({ length: items }, (_, index) => `i${index}`))]
  const mapKey = fc.constantFrom(...keys).map((key) => `[${quotedText(key)}]`)
  const maps = fc.constantFrom(...named("map"))
  const lists = orNothing(named("list"), maps)
  const jsonPlace = fc.oneof(
    ...item,
    ...item,
    ...(named("list").length === 0 ? [] : [lists.map((list) => `${list}[0]`)]),
    fc.tuple(maps, mapKey).map((one) => one.join("")),
    ...(named("any").length === 0 ? [] : [fc.constantFrom(...named("any"))])
  )
  const json = fc.tuple(jsonPlace, fc.array(step, { maxLength: 2 })).map(([start, steps]) => start + steps.join(""))
  const range = fc.oneof(lists, maps, json)

  const comprehensions: ReadonlyArray<Weighted> =
    items === 2
      ? []
      : [
          {
            weight: 4,
            arbitrary: fc
              .tuple(
                // One inside another goes over what its item holds.
                items === 0 ? range : json.filter((one) => /^i\d/.test(one)),
                fc.constantFrom("exists", "all"),
                items === 0
                  ? parts(kind, 1).condition
                  : fc.constantFrom(
                      "i1 == 'a'",
                      "i1.a != 1",
                      "has(i1.b) || i1 > 1",
                      "i1.matches('a') && i0.a == i1.size()"
                    )
              )
              .map(([of, name, inner]) => `${of}.${name}(i${items}, ${inner})`)
          }
        ]

  const conditions = (tie: fc.LetrecTypedTie<Parts>): ReadonlyArray<Weighted> => [
    { weight: 1, arbitrary: fc.constantFrom("true", "false") },
    { weight: 4, arbitrary: fc.tuple(tie("text"), comparisons, tie("text")).map((one) => one.join(" ")) },
    { weight: 2, arbitrary: fc.tuple(tie("number"), comparisons, tie("number")).map((one) => one.join(" ")) },
    { weight: 2, arbitrary: fc.tuple(tie("time"), comparisons, tie("time")).map((one) => one.join(" ")) },
    { weight: 1, arbitrary: fc.tuple(tie("duration"), comparisons, tie("duration")).map((one) => one.join(" ")) },
    {
      weight: 3,
      arbitrary: fc
        .tuple(
          tie("json"),
          equalities,
          fc.oneof(literalText, literalNumber, fc.constantFrom("true", "false", "null"), tie("text"), tie("number"))
        )
        .map((one) => one.join(" "))
    },
    {
      weight: 2,
      arbitrary: fc
        .tuple(tie("json"), comparisons, fc.oneof(tie("text"), tie("number")))
        .map(([one, operator, two]) => `${one} ${operator} ${two}`)
    },
    {
      weight: 2,
      arbitrary: fc
        .tuple(tie("text"), fc.array(literalText, { maxLength: 3 }))
        .map(([one, list]) => `${one} in [${list.join(", ")}]`)
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(tie("time"), fc.array(literalTime, { maxLength: 3 }))
        .map(([one, list]) => `${one} in [${list.join(", ")}]`)
    },
    {
      weight: 2,
      arbitrary: fc
        .tuple(
          tie("json"),
          fc.array(fc.oneof(literalText, literalNumber, fc.constantFrom("true", "null")), { maxLength: 3 })
        )
        .map(([one, list]) => `${one} in [${list.join(", ")}]`)
    },
    { weight: 2, arbitrary: fc.tuple(tie("text"), range).map(([one, of]) => `${one} in ${of}`) },
    {
      weight: 3,
      arbitrary: fc
        .tuple(
          fc.oneof(tie("text"), tie("json")),
          fc.constantFrom("startsWith", "endsWith", "contains"),
          fc.oneof(literalText, tie("text"))
        )
        .map(([one, method, part]) => `${one}.${method}(${part})`)
    },
    {
      weight: 3,
      arbitrary: fc
        .tuple(fc.oneof(tie("text"), tie("json")), fc.constantFrom(...patterns))
        .map(([one, pattern]) => `${one}.matches(${quotedText(pattern)})`)
    },
    {
      weight: 2,
      arbitrary: fc.constantFrom(...filterFields[kind].keys()).map((one) => `has(${one})`)
    },
    {
      weight: 2,
      arbitrary: fc
        .tuple(tie("json"), fc.oneof(fc.constantFrom(".a", ".b"), mapKey))
        .map(([one, key]) => `has(${one}${key})`)
    },
    { weight: 1, arbitrary: tie("json") },
    ...comprehensions,
    {
      weight: 3,
      arbitrary: fc
        .tuple(tie("condition"), fc.constantFrom("&&", "||"), tie("condition"))
        .map(([one, operator, two]) => `(${one} ${operator} ${two})`)
    },
    { weight: 2, arbitrary: tie("condition").map((one) => `!(${one})`) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(tie("condition"), tie("condition"), tie("condition"))
        .map(([one, two, three]) => `(${one} ? ${two} : ${three})`)
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(tie("condition"), equalities, tie("condition"))
        .map(([one, operator, two]) => `(${one}) ${operator} (${two})`)
    }
  ]

  return fc.letrec<Parts>((tie) => ({
    json,
    text: fc.oneof(
      { maxDepth: 4, depthSize: "small" },
      orNothing(named("string"), literalText),
      orNothing(named("string"), literalText),
      literalText,
      fc.tuple(tie("condition"), tie("text"), tie("text")).map(([one, two, three]) => `(${one} ? ${two} : ${three})`),
      tie("text").map((one) => `${one}.lowerAscii()`)
    ),
    number: fc.oneof(
      { maxDepth: 4, depthSize: "small" },
      orNothing(named("number"), literalNumber),
      literalNumber,
      tie("text").map((one) => `size(${one})`),
      tie("json").map((one) => `size(${one})`),
      range.map((one) => `${one}.size()`),
      fc
        .tuple(tie("condition"), tie("number"), tie("number"))
        .map(([one, two, three]) => `(${one} ? ${two} : ${three})`)
    ),
    time: fc.oneof(
      { maxDepth: 4, depthSize: "small" },
      orNothing(named("timestamp"), literalTime),
      orNothing(named("timestamp"), literalTime),
      literalTime,
      tie("json").map((one) => `timestamp(${one})`),
      orNothing(named("string"), fc.constant("spec.summary")).map((one) => `timestamp(${one})`),
      fc
        .tuple(orNothing(named("timestamp"), literalTime), fc.constantFrom("+", "-"), tie("duration"))
        .map(([one, operator, two]) => `(${one} ${operator} ${two})`)
    ),
    duration: fc.oneof(
      { maxDepth: 3, depthSize: "small" },
      literalDuration,
      fc.tuple(orNothing(named("timestamp"), literalTime), tie("time")).map(([one, two]) => `(${one} - ${two})`),
      fc.tuple(tie("duration"), literalDuration).map(([one, two]) => `(${one} + ${two})`)
    ),
    condition: fc.oneof({ maxDepth: 5, depthSize: "small" }, ...conditions(tie))
  }))
}

export const anyFilter = (kind: FilterKind): fc.Arbitrary<string> => parts(kind, 0).condition
