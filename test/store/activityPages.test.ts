import { assert, layer } from "@effect/vitest"
import { Effect, Option } from "effect"
import { always } from "../../src/cel/Filter.ts"
import { ClickHouse } from "../../src/clients/clickhouse/ClickHouse.ts"
import type { Scope } from "../../src/domain/Scope.ts"
import type { Tenant } from "../../src/domain/Tenant.ts"
import { type FactPage, FactQueries } from "../../src/store/FactQueries.ts"
import type { FactWindow } from "../../src/store/factWindow.ts"
import { highestSequence } from "../../src/store/highestSequence.ts"
import { emptyTables, nameOf, store, storeLayer } from "./storeLayer.ts"

const platform: Scope = { _tag: "Platform" }
const tenantOne: Scope = { _tag: "Tenant", tenant: { type: "Project", name: "one" } }
const hour: FactWindow = {
  kind: "activity",
  scope: tenantOne,
  start: "2026-11-21T09:30:00Z",
  end: "2026-11-21T10:30:00Z"
}

const listed = (window: Partial<FactWindow>, limit = 100) =>
  FactQueries.use((queries) => queries.page({ ...hour, ...window }, { limit })).pipe(
    Effect.map((page) => page.facts.map(({ json }) => JSON.parse(json).spec.origin.id as string))
  )

/** Every page, with what `between` does after each of them. */
const pages = <E, R>(window: Partial<FactWindow>, limit: number, between: Effect.Effect<unknown, E, R>) =>
  Effect.gen(function* () {
    const queries = yield* FactQueries
    const origins: Array<string> = []
    let after: FactPage["next"] = undefined
    do {
      const page: FactPage = yield* queries.page({ ...hour, ...window }, { limit, after })
      assert.isAtMost(page.facts.length, limit)
      origins.push(...page.facts.map(({ json }) => JSON.parse(json).spec.origin.id as string))
      after = page.next
      yield* between
    } while (after !== undefined)
    return origins
  })

layer(storeLayer, { timeout: 120_000 })("FactQueries: activities", (it) => {
  for (const scope of [tenantOne, platform]) {
    it.effect(
      `1,000 activities of one microsecond, in pages of 7 while others arrive, come once each (${scope._tag})`,
      () =>
        Effect.gen(function* () {
          yield* emptyTables
          const original = Array.from({ length: 1_000 }, (_, index) => ({
            origin: `o${index}`,
            sequence: index,
            timestamp: "2026-11-21T10:00:00.123456Z",
            // Over all tenants they lie in three places of the table.
            ...(scope === platform ? { tenant: { type: "Project", name: `p${index % 3}` } } : {})
          }))
          yield* store(original)
          let sequence = 1_000
          // Between any two pages: a newer activity, an older one, and one of those again.
          const arrive = Effect.suspend(() =>
            store([
              { origin: `newer${sequence}`, sequence: sequence++, timestamp: "2026-11-21T10:00:00.123457Z" },
              { origin: `older${sequence}`, sequence: sequence++, timestamp: "2026-11-21T10:00:00.123455Z" },
              { ...original[sequence % 1_000]!, sequence: sequence++ }
            ])
          )
          const seen = yield* pages({ scope }, 7, arrive)
          const ofOriginal = seen.filter((origin) => origin.startsWith("o") && !origin.startsWith("older"))
          assert.strictEqual(ofOriginal.length, 1_000)
          assert.deepStrictEqual(ofOriginal.toSorted(), original.map(({ origin }) => origin).toSorted())
          assert.strictEqual(new Set(seen).size, seen.length)
        }),
      120_000
    )
  }

  it.effect("newest first, each activity once, in its newest version", () =>
    Effect.gen(function* () {
      yield* emptyTables
      yield* store([
        { origin: "b", sequence: 2, timestamp: "2026-11-21T10:00:00.000002Z" },
        { origin: "a", sequence: 1, timestamp: "2026-11-21T10:00:00.000001Z" },
        { origin: "c", sequence: 3, timestamp: "2026-11-21T10:00:00.000003Z" }
      ])
      yield* store([{ origin: "a", sequence: 9, timestamp: "2026-11-21T10:00:00.000001Z", summary: "corrected" }])
      const page = yield* FactQueries.use((queries) => queries.page(hour, { limit: 10 }))
      assert.deepStrictEqual(
        page.facts.map(({ sequence }) => sequence),
        [3, 2, 9]
      )
      assert.include(page.facts[2]!.json, "corrected")
      assert.isUndefined(page.next)
    })
  )

  it.effect("a page that is full and the last one has no next position", () =>
    Effect.gen(function* () {
      yield* emptyTables
      yield* store(Array.from({ length: 6 }, (_, sequence) => ({ origin: `o${sequence}`, sequence })))
      const queries = yield* FactQueries
      const first = yield* queries.page(hour, { limit: 3 })
      const second = yield* queries.page(hour, { limit: 3, after: first.next })
      assert.isDefined(first.next)
      assert.strictEqual(second.facts.length, 3)
      assert.isUndefined(second.next)
    })
  )

  it.effect("a window keeps what began before its end and was last seen at or after its start", () =>
    Effect.gen(function* () {
      yield* emptyTables
      yield* store([
        { origin: "before", sequence: 1, timestamp: "2026-11-21T09:29:59.999999Z" },
        { origin: "at the start", sequence: 2, timestamp: "2026-11-21T09:30:00.000000Z" },
        { origin: "at the end", sequence: 3, timestamp: "2026-11-21T10:30:00.000000Z" },
        { origin: "just before the end", sequence: 4, timestamp: "2026-11-21T10:29:59.999999Z" },
        // A failure that began three weeks ago and recurs.
        {
          origin: "still recurs",
          sequence: 5,
          timestamp: "2026-11-01T00:00:00Z",
          lastTimestamp: "2026-11-21T10:00:00.5Z"
        },
        {
          origin: "no longer recurs",
          sequence: 6,
          timestamp: "2026-11-01T00:00:00Z",
          lastTimestamp: "2026-11-20T10:00:00Z"
        }
      ])
      for (const scope of [tenantOne, platform]) {
        assert.deepStrictEqual(yield* listed({ scope }), ["just before the end", "at the start", "still recurs"])
      }
    })
  )

  it.effect("start and end that are no times are refused", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(listed({ start: "2026-02-30T00:00:00Z" }))
      assert.strictEqual(error.reason._tag, "ClickHouseRefused")
    })
  )

  it.effect("a list over all tenants is complete when almost every row is an old version", () =>
    Effect.gen(function* () {
      yield* emptyTables
      yield* ClickHouse.use((clickhouse) => clickhouse.command("SYSTEM STOP MERGES activities"))
      // 300 sights of the newest Event, then ten other activities of other tenants.
      for (let from = 0; from < 300; from += 50) {
        yield* store(
          Array.from({ length: 50 }, (_, index) => ({
            origin: "recurring",
            sequence: 1_000 + from + index,
            order: BigInt(from + index),
            timestamp: "2026-11-21T10:00:00Z"
          }))
        )
      }
      yield* store(
        Array.from({ length: 10 }, (_, index) => ({
          origin: `single${index}`,
          sequence: index,
          timestamp: `2026-11-21T09:59:0${index}Z`,
          tenant: { type: "Project", name: `p${index}` }
        }))
      )
      const wanted = ["recurring", ...Array.from({ length: 10 }, (_, index) => `single${9 - index}`)]
      // One, the double page and its widenings, and all: every way through.
      for (const limit of [1, 3, 7, 11, 100]) {
        assert.deepStrictEqual(yield* pages({ scope: platform }, limit, Effect.void), wanted)
      }
      yield* ClickHouse.use((clickhouse) => clickhouse.command("SYSTEM START MERGES activities"))
    })
  )

  it.effect(
    "deleted activities, and those whose newest version no longer matches, are not listed over all tenants",
    () =>
      Effect.gen(function* () {
        yield* emptyTables
        yield* store(
          Array.from({ length: 9 }, (_, index) => ({
            origin: `o${index}`,
            sequence: index,
            timestamp: `2026-11-21T10:00:0${index}Z`,
            summary: "alpha"
          }))
        )
        yield* store(
          [3, 4, 5, 6, 7, 8].map((index) => ({
            origin: `o${index}`,
            sequence: 100 + index,
            timestamp: `2026-11-21T10:00:0${index}Z`,
            ...(index % 2 === 0 ? { mark: "deleted" as const } : { summary: "beta" })
          }))
        )
        for (const scope of [tenantOne, platform]) {
          assert.deepStrictEqual(yield* listed({ scope, search: "alpha" }, 2), ["o2", "o1"])
          assert.deepStrictEqual(yield* listed({ scope, search: "beta" }), ["o7", "o5", "o3"])
        }
      })
  )

  it.effect("tenants whose names look alike see only their own", () =>
    Effect.gen(function* () {
      yield* emptyTables
      const names = ["a.b", "a_b", "A", "a", "%61", "", "a'b", "a\\", "a b", "ä"]
      const tenants: ReadonlyArray<Tenant> = names.flatMap((name) => [
        { type: "Project", name },
        { type: "Organization", name }
      ])
      yield* store(tenants.map((tenant, index) => ({ origin: JSON.stringify(tenant), sequence: index, tenant })))
      for (const tenant of tenants) {
        assert.deepStrictEqual(yield* listed({ scope: { _tag: "Tenant", tenant } }), [JSON.stringify(tenant)])
      }
      assert.strictEqual((yield* listed({ scope: platform })).length, tenants.length)
      assert.deepStrictEqual(yield* listed({ scope: { _tag: "Tenant", tenant: { type: "project", name: "a" } } }), [])
    })
  )

  it.effect("a user sees what that user did, in any tenant; nobody's uid sees nothing", () =>
    Effect.gen(function* () {
      yield* emptyTables
      yield* store([
        { origin: "u1 in one", sequence: 1, actorUid: "u1" },
        { origin: "u1 in two", sequence: 2, actorUid: "u1", tenant: { type: "Project", name: "two" } },
        { origin: "u2", sequence: 3, actorUid: "u2" },
        { origin: "nobody", sequence: 4 }
      ])
      assert.sameMembers([...(yield* listed({ scope: { _tag: "User", uid: "u1" } }))], ["u1 in one", "u1 in two"])
      assert.deepStrictEqual(yield* listed({ scope: { _tag: "User", uid: "" } }), [])
    })
  )

  it.effect("a namespace scope is one namespace of one cluster and tenant, and no query widens it", () =>
    Effect.gen(function* () {
      yield* emptyTables
      const tenant = { type: "Platform", name: "" }
      yield* store([
        { origin: "mine", sequence: 1, tenant, namespace: "n" },
        { origin: "other namespace", sequence: 2, tenant, namespace: "m" },
        { origin: "no namespace", sequence: 3, tenant },
        { origin: "other cluster", sequence: 4, tenant, namespace: "n", cluster: "elsewhere" },
        { origin: "other tenant", sequence: 5, namespace: "n" }
      ])
      const scope: Scope = { _tag: "Namespace", cluster: "test", tenant, namespace: "n" }
      assert.deepStrictEqual(yield* listed({ scope }), ["mine"])
      assert.deepStrictEqual(yield* listed({ scope, namespace: "m" }), [])
      assert.deepStrictEqual(yield* listed({ scope, filter: always(true) }), ["mine"])
      assert.deepStrictEqual(
        yield* listed({
          scope,
          filter: {
            op: "or",
            operands: [always(true), always(false)]
          }
        }),
        ["mine"]
      )
      assert.sameMembers(
        [...(yield* listed({ scope: platform, namespace: "n" }))],
        ["mine", "other cluster", "other tenant"]
      )
      const queries = yield* FactQueries
      assert.isTrue(Option.isSome(yield* queries.activity(scope, nameOf("mine"))))
      for (const [origin, cluster] of [
        ["other namespace"],
        ["no namespace"],
        ["other cluster", "elsewhere"],
        ["other tenant"]
      ] as const) {
        assert.isTrue(Option.isNone(yield* queries.activity(scope, nameOf(origin, cluster))), origin)
      }
    })
  )

  it.effect("search wants every word, whole, in any case", () =>
    Effect.gen(function* () {
      yield* emptyTables
      yield* store([
        { origin: "1", sequence: 1, summary: "Alice scaled deployment/web-frontend to 3" },
        { origin: "2", sequence: 2, summary: "CrashLoopBackOff of web_frontend" },
        { origin: "3", sequence: 3, summary: "ÉMILE a renommé straße in İstanbul" }
      ])
      const found = (search: string) => Effect.map(listed({ search }), (origins) => origins.toSorted())
      assert.deepStrictEqual(yield* found("web frontend"), ["1", "2"])
      assert.deepStrictEqual(yield* found("FRONTEND, web!"), ["1", "2"])
      assert.deepStrictEqual(yield* found("crashloopbackoff"), ["2"])
      assert.deepStrictEqual(yield* found("crashloop"), [])
      assert.deepStrictEqual(yield* found("alice crashloopbackoff"), [])
      assert.deepStrictEqual(yield* found("émile STRASSE"), [])
      assert.deepStrictEqual(yield* found("Émile STRAßE i̇stanbul"), ["3"])
      assert.deepStrictEqual(yield* found(" -- "), ["1", "2", "3"])
    })
  )

  it.effect("get finds an activity by its name, within scope and namespace", () =>
    Effect.gen(function* () {
      yield* emptyTables
      yield* store([
        { origin: "a", sequence: 7, namespace: "n" },
        { origin: "b", sequence: 8, mark: "deleted" }
      ])
      const queries = yield* FactQueries
      const sequenceOf = (scope: Scope, name: string, namespace?: string) =>
        Effect.map(queries.activity(scope, name, namespace), (found) => Option.getOrUndefined(found)?.sequence)
      assert.strictEqual(yield* sequenceOf(tenantOne, nameOf("a")), 7)
      assert.strictEqual(yield* sequenceOf(tenantOne, nameOf("a"), "n"), 7)
      assert.strictEqual(yield* sequenceOf(tenantOne, nameOf("a"), "m"), undefined)
      assert.strictEqual(yield* sequenceOf(tenantOne, nameOf("a"), ""), undefined)
      assert.strictEqual(
        yield* sequenceOf({ _tag: "Tenant", tenant: { type: "Project", name: "two" } }, nameOf("a")),
        undefined
      )
      assert.strictEqual(yield* sequenceOf(tenantOne, nameOf("b")), undefined)
      assert.strictEqual(yield* sequenceOf(tenantOne, "act-x' OR 1"), undefined)
    })
  )

  it.effect("the highest sequence is that of all tables", () =>
    Effect.gen(function* () {
      yield* emptyTables
      assert.strictEqual(yield* highestSequence, 0)
      yield* store([
        { origin: "a", sequence: 1_795_000_000_000_001 },
        { origin: "b", sequence: 2 }
      ])
      assert.strictEqual(yield* highestSequence, 1_795_000_000_000_001)
    })
  )
})
