/**
 * A filter is one thing, wherever it is asked: the real engine and the predicate let the same facts through, whatever the
 * filter and whatever the facts hold.
 */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as fc from "fast-check"
import { filterFor, type FilterKind } from "../../src/cel/Filter.ts"
import { anyFilter, someFacts } from "./filterArbitraries.ts"
import { conditionOf, type Facts, filterOf, foundByPredicate, foundBySql, storeFacts } from "./filterRows.ts"
import { emptyTables, storeLayer } from "./storeLayer.ts"

const kinds: ReadonlyArray<FilterKind> = ["record", "event", "activity"]
const plurals: Readonly<Record<FilterKind, string>> = { record: "records", event: "Events", activity: "activities" }
const factsMax = 150
const filtersMax = Number(process.env["FILTERS_MAX"] ?? 250)

layer(storeLayer, { timeout: 120_000 })("random filters over random facts", (it) => {
  for (const kind of kinds) {
    it.effect(
      `find the same ${plurals[kind]} as SQL and in memory`,
      () =>
        Effect.gen(function* () {
          yield* emptyTables
          const facts = someFacts(kind, factsMax)
          const all: Partial<Facts> = { [kind]: facts }
          yield* storeFacts(all)
          let partly = 0
          let accepted = 0
          yield* Effect.forEach(
            fc.sample(anyFilter(kind), filtersMax),
            (source) =>
              Effect.gen(function* () {
                // A random one may compare times beyond those that can be stored, or cost too much.
                if (filterFor(kind)(source)._tag === "Failure") return
                accepted++
                const filter = filterOf(kind, source)
                const { sql } = conditionOf(kind, filter)
                const found = yield* foundBySql(kind, filter).pipe(
                  Effect.mapError((error) => new Error(`${source}\n${sql}\n${error.message}`))
                )
                const expected = foundByPredicate(facts, filter)
                if (expected.length > 0 && expected.length < factsMax) partly++
                const differing = facts.filter(({ row }) => found.includes(row.id) !== expected.includes(row.id))
                assert.deepStrictEqual(
                  differing
                    .slice(0, 1)
                    .map(({ body, row }) => ({ sql: found.includes(row.id), body: JSON.stringify(body) })),
                  [],
                  `${source} as ${sql}`
                )
              }),
            { concurrency: 3 }
          )
          // Filters that are refused, or let all or nothing through, prove little.
          assert.isAbove(accepted, filtersMax * 0.8)
          assert.isAbove(partly, filtersMax * 0.2)
        }),
      120_000
    )
  }
})
