import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import type { FilterKind } from "../../src/cel/Filter.ts"
import { ClickHouse } from "../../src/clients/clickhouse/ClickHouse.ts"
import type { Scope } from "../../src/domain/Scope.ts"
import { type FactPage, FactQueries, pageSizeBytesMax, totalExactMax } from "../../src/store/FactQueries.ts"
import { factTables } from "../../src/store/factTables.ts"
import type { FactWindow } from "../../src/store/factWindow.ts"
import { bucketsIn } from "../../src/store/histogram.ts"
import { insertRows } from "../../src/store/insertRows.ts"
import type { StoredLine, StoredTable } from "../../src/store/rows.ts"
import { activityFacetFields, auditLogFacetFields, eventFacetFields } from "../../src/domain/facetFields.ts"
import { eventRow, recordRow, type TestRecord } from "../support/factRows.ts"
import { activityRow, emptyTables, storeLayer } from "./storeLayer.ts"

const platform: Scope = { _tag: "Platform" }
const tenantOne: Scope = { _tag: "Tenant", tenant: { type: "Project", name: "one" } }
const hour = { start: "2026-11-21T09:30:00Z", end: "2026-11-21T10:30:00Z" }
const records: FactWindow = { kind: "record", scope: tenantOne, ...hour }
const events: FactWindow = { ...records, kind: "event" }
const activities: FactWindow = { ...records, kind: "activity" }

const insert = (table: StoredTable, rows: ReadonlyArray<StoredLine>) =>
  insertRows({ table, rows, onPoison: (_, refused) => Effect.die(refused) })

const insertRecords = (tests: ReadonlyArray<TestRecord>) => insert("audit_logs", tests.map(recordRow))

const idOf = (json: string): string => {
  const fact = JSON.parse(json)
  return String(fact.auditID ?? fact.spec?.origin?.id ?? fact.metadata.uid)
}

const nothing = Effect.void

/** Every page, with what `between` does after each of them. */
const pages = <E, R>(window: FactWindow, limit: number, between: Effect.Effect<unknown, E, R>) =>
  Effect.gen(function* () {
    const queries = yield* FactQueries
    const ids: Array<string> = []
    let after: FactPage["next"] = undefined
    do {
      const page: FactPage = yield* queries.page(window, { limit, after })
      assert.isAtMost(page.facts.length, limit)
      ids.push(...page.facts.map(({ json }) => idOf(json)))
      after = page.next
      yield* between
    } while (after !== undefined)
    return ids
  })

const at = "2026-11-21T10:00:00.123456Z"

/** A fact of one table, made from its id and its time. */
const rowOf: Readonly<Record<FilterKind, (id: string, time: string, sequence: number, tenant: string) => StoredLine>> =
  {
    activity: (origin, timestamp, sequence, name) =>
      activityRow({ origin, timestamp, sequence, tenant: { type: "Project", name } }),
    record: (auditID, received, sequence, name) =>
      recordRow({ auditID, received, sequence, tenant: { type: "Project", name } }),
    event: (uid, created, sequence, name) => eventRow({ uid, created, sequence, tenant: { type: "Project", name } })
  }

layer(storeLayer, { timeout: 120_000 })("FactQueries", (it) => {
  // Over all tenants pages are read in another way; activityPages.test.ts does the same to activities.
  for (const [kind, scope] of [
    ["record", tenantOne],
    ["record", platform],
    ["event", tenantOne],
    ["event", platform],
    ["activity", tenantOne]
  ] as const) {
    it.effect(
      `1,000 of kind ${kind} in one microsecond, in pages of 7 while others arrive, come once each (${scope._tag})`,
      () =>
        Effect.gen(function* () {
          yield* emptyTables
          const { table } = factTables[kind]
          const row = rowOf[kind]
          // Over all tenants they lie in three places of the table.
          const tenantOf = (index: number) => (scope === platform ? `p${index % 3}` : "one")
          const original = Array.from({ length: 1_000 }, (_, index) => `o${index}`)
          yield* insert(
            table,
            original.map((id, index) => row(id, at, index + 1, tenantOf(index)))
          )
          let sequence = 1_000
          let page = 0
          // After each fourth page: a newer one, an older one, and one of those again.
          const arrive = Effect.suspend(() => {
            if (page++ % 4 > 0) return nothing
            const again = sequence % 1_000
            return Effect.asVoid(
              insert(table, [
                row(`newer${sequence}`, "2026-11-21T10:00:00.123457Z", ++sequence, "one"),
                row(`earlier${sequence}`, "2026-11-21T10:00:00.123455Z", ++sequence, "one"),
                row(`o${again}`, at, ++sequence, tenantOf(again))
              ])
            )
          })
          const seen = yield* pages({ kind, scope, ...hour }, 7, arrive)
          const ofOriginal = seen.filter((id) => /^o\d/.test(id))
          assert.deepStrictEqual(ofOriginal.toSorted(), original.toSorted())
          assert.strictEqual(new Set(seen).size, seen.length)
        }),
      120_000
    )
  }

  it.effect("305 deletes in pages of 25 are 305, and the total says so", () =>
    Effect.gen(function* () {
      yield* emptyTables
      // Received within two seconds, several in one microsecond, answered later: what pages go by is when they came.
      yield* insertRecords(
        Array.from({ length: 305 }, (_, index) => ({
          auditID: `d${index}`,
          verb: "delete",
          received: `2026-11-21T10:00:0${index % 2}.00000${index % 7}Z`,
          more: { stageTimestamp: "2026-11-21T10:00:09.000000Z" }
        }))
      )
      const seen = yield* pages(records, 25, nothing)
      assert.strictEqual(new Set(seen).size, 305)
      assert.strictEqual(seen.length, 305)
      assert.deepStrictEqual(yield* FactQueries.use((queries) => queries.total(records)), { count: 305, exact: true })
    })
  )

  it.effect("totals, facets and histograms stay when all is sent again, and are what the pages have", () =>
    Effect.gen(function* () {
      yield* emptyTables
      const verbs = ["get", "create", "delete"]
      const sent = Array.from({ length: 300 }, (_, index) => ({
        auditID: `r${index}`,
        received: `2026-11-21T10:${String(index % 30).padStart(2, "0")}:00Z`,
        verb: verbs[index % 3]!,
        user: { username: `user-${index % 7}` },
        code: index % 10 === 0 ? 403 : 200
      }))
      yield* insertRecords(sent.map((one, index) => ({ ...one, sequence: index + 1 })))
      const queries = yield* FactQueries
      const facets = ["verb", "user.username", "responseStatus.code", "verb"].map((field) => ({
        field,
        limit: 20,
        emptyLeftOut: false
      }))
      const read = Effect.all({
        total: queries.total(records),
        facets: queries.facets(records, facets),
        histogram: queries.histogram(records, 600)
      })
      const once = yield* read
      yield* insertRecords(sent.map((one, index) => ({ ...one, sequence: 1_000 + index })))
      const twice = yield* read
      assert.deepStrictEqual(twice, once)
      assert.deepStrictEqual(once.total, { count: 300, exact: true })
      assert.deepStrictEqual(once.facets, [
        // Equally many: by the bytes of the text.
        [
          { value: "create", count: 100 },
          { value: "delete", count: 100 },
          { value: "get", count: 100 }
        ],
        // 300 = 7 * 42 + 6: the first six have one more.
        [0, 1, 2, 3, 4, 5, 6].map((index) => ({ value: `user-${index}`, count: index < 6 ? 43 : 42 })),
        [
          { value: "200", count: 270 },
          { value: "403", count: 30 }
        ],
        [
          { value: "create", count: 100 },
          { value: "delete", count: 100 },
          { value: "get", count: 100 }
        ]
      ])
      // Six stretches of ten minutes from 09:30; ten records a minute from 10:00 on, each tenth of them refused.
      assert.deepStrictEqual(
        once.histogram.map(({ count }) => count),
        [0, 0, 0, 100, 100, 100]
      )
      assert.deepStrictEqual(once.histogram[3]!.outcomes, [
        { value: "Success", count: 90 },
        { value: "Failure", count: 10 }
      ])
      const counted = new Map<string, number>()
      for (const id of yield* pages(records, 50, nothing)) {
        const { verb } = sent.find((one) => one.auditID === id)!
        counted.set(verb, (counted.get(verb) ?? 0) + 1)
      }
      assert.deepStrictEqual(
        [...counted].toSorted(([one], [other]) => (one < other ? -1 : 1)).map(([value, count]) => ({ value, count })),
        once.facets[0]
      )
    })
  )

  it.effect("a facet has its commonest values, and leaves the empty one out where it is asked to", () =>
    Effect.gen(function* () {
      yield* emptyTables
      yield* insert("k8s_events", [
        ...[1, 2, 3].map((index) => eventRow({ uid: `a${index}`, created: at })),
        ...[1, 2].map((index) =>
          eventRow({
            uid: `b${index}`,
            created: at,
            event: { related: { kind: "Node", name: "node-1" }, reason: "Failed" }
          })
        ),
        eventRow({ uid: "c", created: at, event: { related: { kind: "Pod", name: "web" }, reason: "Odd" } })
      ])
      const queries = yield* FactQueries
      const found = yield* queries.facets(events, [
        { field: "related.kind", limit: 1, emptyLeftOut: true },
        { field: "related.kind", limit: 2, emptyLeftOut: false },
        { field: "reason", limit: 1, emptyLeftOut: false }
      ])
      assert.deepStrictEqual(found, [
        [{ value: "Node", count: 2 }],
        [
          { value: "", count: 3 },
          { value: "Node", count: 2 }
        ],
        [{ value: "Pulled", count: 3 }]
      ])
    })
  )

  it.effect("ten facets at once are what each is alone, whatever their values", () =>
    Effect.gen(function* () {
      yield* emptyTables
      yield* insert("audit_logs", [
        recordRow({ auditID: "a", received: at, verb: "get", user: { username: "verb", uid: "" } }),
        recordRow({
          auditID: "b",
          received: at,
          verb: "list",
          code: 0,
          objectRef: { name: "get" },
          user: { username: "", uid: "x" }
        })
      ])
      const facets = auditLogFacetFields.slice(0, 10).map((field) => ({ field, limit: 5, emptyLeftOut: false }))
      const queries = yield* FactQueries
      const together = yield* queries.facets(records, facets)
      const alone = yield* Effect.forEach(facets, (facet) =>
        Effect.map(queries.facets(records, [facet]), ([values]) => values ?? [])
      )
      assert.deepStrictEqual(together, alone)
    })
  )

  it.effect("what recurs lies in each window from its first to its last sight, and counts once", () =>
    Effect.gen(function* () {
      yield* emptyTables
      yield* insert("k8s_events", [
        eventRow({ uid: "old", created: "2026-11-21T08:00:00Z", lastSeen: "2026-11-21T10:10:00Z" }),
        eventRow({ uid: "gone", created: "2026-11-21T08:00:00Z", lastSeen: "2026-11-21T09:00:00Z" }),
        eventRow({ uid: "new", created: "2026-11-21T10:00:00Z" }),
        eventRow({ uid: "later", created: "2026-11-21T10:30:00Z" })
      ])
      assert.deepStrictEqual(yield* pages(events, 10, nothing), ["new", "old"])
      const queries = yield* FactQueries
      assert.deepStrictEqual(yield* queries.total(events), { count: 2, exact: true })
      const histogram = yield* queries.histogram(events, 1_800)
      // The one that began before counts where the window begins.
      assert.deepStrictEqual(
        histogram.map(({ count, start }) => [start, count]),
        [
          [1_795_253_400_000_000n, 1],
          [1_795_255_200_000_000n, 1]
        ]
      )
    })
  )

  it.effect("a scope's rows alone are paged, counted and told apart", () =>
    Effect.gen(function* () {
      yield* emptyTables
      const user = { username: "eve", uid: "uid-eve" }
      yield* insertRecords([
        { auditID: "one", received: at },
        { auditID: "two", received: at, tenant: { type: "Project", name: "two" }, user },
        { auditID: "elsewhere", received: at, cluster: "elsewhere", tenant: { type: "Platform", name: "" } },
        { auditID: "here", received: at, tenant: { type: "Platform", name: "" } },
        { auditID: "apps", received: at, tenant: { type: "Project", name: "two" }, objectRef: { apiGroup: "apps" } },
        // Neither that group, nor that namespace.
        {
          auditID: "longer",
          received: at,
          tenant: { type: "Platform", name: "" },
          objectRef: { apiGroup: "apps.example.com", namespace: "team-10" }
        }
      ])
      const namespace: Scope = {
        _tag: "Namespace",
        cluster: "local",
        tenant: { type: "Platform", name: "" },
        namespace: "team-1"
      }
      const scopes: ReadonlyArray<readonly [Scope, ReadonlyArray<string>]> = [
        [tenantOne, ["one"]],
        [{ _tag: "User", uid: "uid-eve" }, ["two"]],
        [namespace, ["here"]],
        [{ _tag: "ApiGroup", apiGroup: "apps" }, ["apps"]],
        [platform, ["apps", "elsewhere", "here", "longer", "one", "two"]]
      ]
      const queries = yield* FactQueries
      for (const [scope, ids] of scopes) {
        const window = { ...records, scope }
        assert.deepStrictEqual((yield* pages(window, 2, nothing)).toSorted(), ids, scope._tag)
        assert.deepStrictEqual(yield* queries.total(window), { count: ids.length, exact: true })
        const [verbs] = yield* queries.facets(window, [{ field: "verb", limit: 5, emptyLeftOut: false }])
        assert.deepStrictEqual(verbs, [{ value: "update", count: ids.length }])
        const sources = { ...window, kind: "record", apiGroup: "", objectKind: "ConfigMap", verbs: undefined } as const
        const ofGroup = ids.filter((id) => id !== "apps" && id !== "longer")
        assert.strictEqual(yield* queries.sourceCount(sources, 100), ofGroup.length, scope._tag)
        const { facts } = yield* queries.sourcePage(sources, { slices: [], limit: 100 })
        assert.strictEqual(facts.length, ofGroup.length, scope._tag)
      }
    })
  )

  it.effect("a page ends where its records are too large together, and the next goes on; one alone is given", () =>
    Effect.gen(function* () {
      yield* emptyTables
      const pad = (bytes: number) => ({ more: { requestObject: { pad: "x".repeat(bytes) } } })
      const third = pageSizeBytesMax / 3
      for (const [second, bytes] of [third, third, third, pageSizeBytesMax + 1, 10, 10].entries()) {
        yield* insertRecords([{ auditID: `r${second}`, received: `2026-11-21T10:00:0${second}Z`, ...pad(bytes) }])
      }
      const queries = yield* FactQueries
      const sizes: Array<number> = []
      const ids: Array<string> = []
      for (const scope of [tenantOne, platform]) {
        let after: FactPage["next"] = undefined
        do {
          const page: FactPage = yield* queries.page(
            { ...records, scope },
            { limit: 10, sizeBytesMax: pageSizeBytesMax, after }
          )
          sizes.push(page.facts.length)
          ids.push(...page.facts.map(({ json }) => idOf(json)))
          after = page.next
        } while (after !== undefined)
      }
      const newestFirst = ["r5", "r4", "r3", "r2", "r1", "r0"]
      assert.deepStrictEqual(ids, [...newestFirst, ...newestFirst])
      // What surrounds the bytes of the three makes them too many for one page.
      assert.deepStrictEqual(sizes, [2, 1, 2, 1, 2, 1, 2, 1])
    })
  )

  it.effect("a total beyond 100,000 is a lower bound, and says so", () =>
    Effect.gen(function* () {
      yield* emptyTables
      const fill = (rows: number) =>
        ClickHouse.use((clickhouse) =>
          clickhouse.command(
            `INSERT INTO audit_logs (ts, id, ver, tenant_type, tenant_name, json) ` +
              `SELECT toDateTime64('2026-11-21 10:00:00', 6, 'UTC'), toUUID(concat('00000000-0000-4000-8000-', leftPad(toString(number), 12, '0'))), 1, 'Project', 'one', '{}' FROM numbers(${rows})`
          )
        )
      const queries = yield* FactQueries
      yield* fill(totalExactMax)
      assert.deepStrictEqual(yield* queries.total(records), { count: totalExactMax, exact: true })
      yield* fill(totalExactMax + 1)
      assert.deepStrictEqual(yield* queries.total(records), { count: totalExactMax, exact: false })
      assert.deepStrictEqual(yield* queries.total({ ...records, scope: platform }), {
        count: totalExactMax,
        exact: false
      })
    })
  )

  it.effect("every field that callers may count by is one of its table", () =>
    Effect.gen(function* () {
      const queries = yield* FactQueries
      for (const [kind, names] of [
        ["activity", activityFacetFields],
        ["record", auditLogFacetFields],
        ["event", eventFacetFields]
      ] as const) {
        yield* queries.facets(
          { ...records, kind },
          names.map((field) => ({ field, limit: 1, emptyLeftOut: false }))
        )
      }
      // Activities, too, have a text that is searched.
      assert.deepStrictEqual(yield* pages({ ...activities, search: "nothing" }, 1, nothing), [])
    })
  )

  it.effect("buckets are whole intervals since 1970, from the window's first to its last", () =>
    Effect.sync(() => {
      assert.strictEqual(bucketsIn({ start: 0n, end: 60_000_000n }, 60), 1)
      assert.strictEqual(bucketsIn({ start: 0n, end: 60_000_001n }, 60), 2)
      assert.strictEqual(bucketsIn({ start: 59_999_999n, end: 60_000_001n }, 60), 2)
    })
  )
})
