/**
 * Another evaluator of CEL agrees with the predicate, on random filters over random records. It is cel-js, as rules use it,
 * so what it is known to do differently is left out: times and patterns, JavaScript's order of texts and case of letters,
 * fractions beside whole numbers, some names of JavaScript, and has() of what is no map.
 */
import { assert, it } from "@effect/vitest"
import { Environment } from "@marcbachmann/cel-js"
import * as fc from "fast-check"
import { filterFields, filterFor, predicateFrom } from "../../src/cel/Filter.ts"
import { isJsonObject, type Json, type JsonObject } from "../../src/domain/AuditRecord.ts"
import { anyFilter, someFacts } from "../store/filterArbitraries.ts"

const filtersMax = 2_000

const plain = (text: string): string =>
  text
    .replaceAll("constructor", "builder")
    .replaceAll("__proto__", "parent")
    .replaceAll(/[\u0130\u00c4\uffff]|\u{1f600}/gu, "x")
    .replaceAll(/\b(?:1\.5|0\.1|1e21|3u)\b/g, "7")

const leftOut = /timestamp|Timestamp|duration|matches|has\((?!annotations[.])/

/** The record as a rule would see it: declared fields are there, of their type. */
const contextOf = (body: JsonObject): Record<string, unknown> => {
  const context: { [name: string]: unknown } = {}
  for (const { at, max = Infinity, type } of new Set(filterFields.record.values())) {
    if (type === "object" || type === "timestamp") continue
    const found = at.reduce<Json | undefined>(
      (value, name) => (isJsonObject(value) && Object.hasOwn(value, name) ? value[name] : undefined),
      body
    )
    const isKept = typeof found === "number" && Number.isInteger(found) && found >= 0 && found <= max
    const value = {
      string: typeof found === "string" ? found : "",
      number: isKept ? found : 0,
      list: Array.isArray(found) ? found : [],
      map: isJsonObject(found) ? found : {},
      any: found
    }[type]
    if (value === undefined) continue
    let parent = context
    // Only objects that were put here stand on the way to a field.
    for (const name of at.slice(0, -1)) parent = (parent[name] ??= {}) as { [name: string]: unknown }
    parent[at.at(-1)!] = value
  }
  return context
}

it("cel-js finds the records that the predicate finds", () => {
  const bodies = someFacts("record", 50).map(({ body }): JsonObject => JSON.parse(plain(JSON.stringify(body))))
  const contexts = bodies.map(contextOf)
  const environment = new Environment({ unlistedVariablesAreDyn: true, homogeneousAggregateLiterals: false })
  let compared = 0
  for (const source of fc.sample(anyFilter("record"), filtersMax).map(plain)) {
    const filter = filterFor("record")(source)
    if (leftOut.test(source) || filter._tag === "Failure") continue
    compared++
    const program = environment.parse(source)
    const holds = predicateFrom(filter.success)
    bodies.forEach((body, index) => {
      assert.strictEqual(holds(body), evaluated(program, contexts[index]!), `${source} over ${JSON.stringify(body)}`)
    })
  }
  assert.isAbove(compared, filtersMax / 3)
})

const evaluated = (
  program: (context: Record<string, unknown>) => unknown,
  context: Record<string, unknown>
): boolean => {
  try {
    return program(context) === true
  } catch {
    return false
  }
}
