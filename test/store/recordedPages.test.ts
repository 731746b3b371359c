/** Pages, totals, facets and histograms of what a real cluster said, counted by hand from the same files. */
import { assert, layer } from "@effect/vitest"
import { Effect, Result } from "effect"
import { type Expression, type FilterKind, filterFor } from "../../src/cel/Filter.ts"
import { activityFacetFields, auditLogFacetFields, eventFacetFields } from "../../src/domain/facetFields.ts"
import type { Scope } from "../../src/domain/Scope.ts"
import { auditRecordFrom } from "../../src/normalise/auditRecordFrom.ts"
import { kubernetesEventFromText } from "../../src/normalise/kubernetesEventFrom.ts"
import { type FactPage, FactQueries } from "../../src/store/FactQueries.ts"
import { factTables } from "../../src/store/factTables.ts"
import type { FactWindow } from "../../src/store/factWindow.ts"
import { insertRows } from "../../src/store/insertRows.ts"
import { auditLogLine, kubernetesEventLine, type StoredLine } from "../../src/store/rows.ts"
import { auditRecordLines, recordedEvents } from "../support/recordedData.ts"
import { activityRow, emptyTables, storeLayer } from "./storeLayer.ts"

const tenant = { type: "Project", name: "recorded" }
const scopes: ReadonlyArray<Scope> = [{ _tag: "Tenant", tenant }, { _tag: "Platform" }]

/** Of every year that the files may be of. */
const always = { start: "2020-01-01T00:00:00Z", end: "2030-01-01T00:00:00Z" }

interface Recorded {
  readonly rows: (sequence: number) => ReadonlyArray<StoredLine>
  readonly facets: ReadonlyArray<string>
  readonly idOf: (fact: Fact) => string
}

// As it was stored: tests look at single fields of it.
type Fact = ReturnType<typeof JSON.parse>

const verbs = ["create", "update", "delete"]

const recorded: Readonly<Record<FilterKind, Recorded>> = {
  record: {
    rows: (sequence) =>
      auditRecordLines().map((line, index) =>
        auditLogLine(
          Result.getOrThrow(auditRecordFrom(line, { cluster: "recorded", defaultTenant: tenant })),
          sequence + index
        )
      ),
    facets: auditLogFacetFields,
    idOf: ({ auditID, stage }) => `${auditID} ${stage}`
  },
  event: {
    rows: (sequence) =>
      recordedEvents("events.k8s.io/v1").map((event, index) =>
        kubernetesEventLine(
          Result.getOrThrow(kubernetesEventFromText(JSON.stringify(event), { cluster: "recorded", tenant })),
          sequence + index
        )
      ),
    facets: eventFacetFields,
    idOf: ({ metadata }) => metadata.uid
  },
  activity: {
    rows: (sequence) =>
      Array.from({ length: 700 }, (_, index) =>
        activityRow({
          origin: `o${index}`,
          sequence: sequence + index,
          tenant,
          // Five in each microsecond.
          timestamp: `2026-11-21T10:${String(index % 20).padStart(2, "0")}:00.${String(Math.floor(index / 100)).padStart(6, "0")}Z`,
          namespace: index % 4 === 0 ? "" : `team-${index % 4}`,
          resource: { kind: index % 3 === 0 ? "Pod" : "Deployment", name: `web-${index % 50}` },
          spec: {
            actor: { type: "user", name: `user-${index % 11}` },
            outcome: index % 10 === 0 ? "Failure" : "Success",
            verb: verbs[index % 3]
          }
        })
      ),
    facets: activityFacetFields,
    idOf: ({ spec }) => spec.origin.id
  }
}

/** The value at the path that is the facet's name; absent is "", as an absent field of that type reads in a filter. */
const valueAt = (fact: Fact, name: string): string => {
  // What core/v1 calls the source is who reported it, in either version.
  if (name === "source.component")
    return valueAt(fact, "deprecatedSource.component") || valueAt(fact, "reportingController")
  let value = fact
  for (const part of (name === "namespace" ? "metadata.namespace" : name).split(".")) value = value?.[part]
  return String(value ?? (name === "responseStatus.code" ? 0 : ""))
}

const allFacts = (window: FactWindow, limit: number) =>
  Effect.gen(function* () {
    const queries = yield* FactQueries
    const facts: Array<Fact> = []
    let after: FactPage["next"] = undefined
    do {
      const page: FactPage = yield* queries.page(window, { limit, after })
      facts.push(...page.facts.map(({ json }): Fact => JSON.parse(json)))
      after = page.next
    } while (after !== undefined)
    return facts
  })

const expressionOf = (kind: FilterKind, filter: string): Expression =>
  Result.getOrThrow(filterFor(kind)(filter)).expression

const insert = (kind: FilterKind, sequence: number) =>
  insertRows({
    table: factTables[kind].table,
    rows: recorded[kind].rows(sequence),
    onPoison: (_, refused) => Effect.die(refused)
  })

layer(storeLayer, { timeout: 120_000 })("recorded pages", (it) => {
  for (const kind of ["record", "event", "activity"] as const) {
    for (const scope of scopes) {
      it.effect(
        `${kind}: sent twice, totals, facets and histograms stay, and are what the pages have (${scope._tag})`,
        () =>
          Effect.gen(function* () {
            yield* emptyTables
            const queries = yield* FactQueries
            const window: FactWindow = { kind, scope, ...always }
            const { facets, idOf } = recorded[kind]
            // No more than a question may ask for at once.
            const parts = [facets.slice(0, 8), facets.slice(8)]
            const read = Effect.all({
              total: queries.total(window),
              facets: Effect.forEach(parts, (names) =>
                queries.facets(
                  window,
                  names.map((field) => ({ field, limit: 10_000, emptyLeftOut: false }))
                )
              ),
              histogram: queries.histogram(window, 30 * 86_400)
            })
            yield* insert(kind, 1)
            const once = yield* read
            yield* insert(kind, 100_000)
            assert.deepStrictEqual(yield* read, once)
            const facts = yield* allFacts(window, kind === "record" ? 200 : 50)
            assert.strictEqual(new Set(facts.map(idOf)).size, facts.length)
            assert.deepStrictEqual(once.total, { count: facts.length, exact: true })
            assert.strictEqual(
              once.histogram.reduce((sum, { count }) => sum + count, 0),
              facts.length
            )
            for (const [index, name] of facets.entries()) {
              const counted = new Map<string, number>()
              for (const fact of facts) {
                const value = valueAt(fact, name)
                counted.set(value, (counted.get(value) ?? 0) + 1)
              }
              const told = once.facets[index < 8 ? 0 : 1]?.[index % 8] ?? []
              assert.deepStrictEqual(new Map(told.map(({ count, value }) => [value, count])), counted, name)
            }
          }),
        120_000
      )
    }
  }

  // How many lines of test/data/audit-events.jsonl.gz have that verb: `zcat … | jq -r .verb | sort | uniq -c`.
  it.effect.each([
    ["delete", 103],
    ["deletecollection", 196],
    ["create", 754]
  ] as const)("a loop over the pages of verb %s has all of them, each once", ([verb, count]) =>
    Effect.gen(function* () {
      yield* emptyTables
      yield* insert("record", 1)
      for (const scope of scopes) {
        const window: FactWindow = {
          kind: "record",
          scope,
          ...always,
          filter: expressionOf("record", `verb == '${verb}'`)
        }
        const ids = (yield* allFacts(window, 25)).map(recorded.record.idOf)
        assert.deepStrictEqual([ids.length, new Set(ids).size], [count, count], scope._tag)
        assert.deepStrictEqual(yield* FactQueries.use((queries) => queries.total(window)), { count, exact: true })
      }
    })
  )
})
