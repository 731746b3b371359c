/**
 * Our reads, by the code that serves the API, beside the Go implementation's statements, in one engine, on the same
 * activities: one after the other, each with other parameters in each round, so that no cache of conditions answers.
 */
import { Effect, Layer, Result } from "effect"
import { activityFilterFields } from "../../../src/cel/activityFilterFields.ts"
import { parseFilter } from "../../../src/cel/Filter.ts"
import { ClickHouse, type ClickHouseError } from "../../../src/clients/clickhouse/ClickHouse.ts"
import { layerFromUrl } from "../../../src/clients/clickhouse/layerFromUrl.ts"
import type { Scope } from "../../../src/domain/Scope.ts"
import { FactQueries } from "../../../src/store/FactQueries.ts"
import type { Position } from "../../../src/store/Position.ts"
import { condition } from "../../../src/store/Condition.ts"
import { migrate } from "../../../src/store/migrate.ts"
import { scopedRead } from "../../../src/store/scopedRead.ts"
import type { Spent } from "../Benchmark.ts"
import { goFacet, goList, goOrders, goStatements } from "../goSchema.ts"
import * as made from "../madeActivities.ts"
import { answerPart, partOptions } from "../processes.ts"
import { usageOf } from "../usage.ts"

/** What is read is a week of what is there. */
const windowDays = 7
const dayMillis = 86_400_000
/** Rows of a page. */
const limit = 100

const { folder, rounds, rows } = partOptions<{
  readonly folder: string
  readonly rounds: number
  readonly rows: number
}>()

export interface QueryAnswer extends Spent {
  readonly rssMaxBytes: number
  readonly empty: Spent
  readonly shapes: Readonly<Record<string, Readonly<Record<string, number>>>>
}

interface Window {
  /** RFC 3339. */
  readonly start: string
  readonly end: string
}

interface Shape {
  readonly name: string
  /** Parameters of the n-th round. Answers how many rows were read. */
  readonly ours: (n: number, window: Window) => Effect.Effect<number, ClickHouseError, FactQueries | ClickHouse>
  readonly go: (n: number, window: Window) => string
}

const midnight = Math.floor(Date.now() / dayMillis) * dayMillis
/** The end of the newest day that is stored: today's beginning, but in a folder that was filled before. */
let newest = midnight
/** Each round's is some minutes older. */
const windowOf = (n: number): Window => {
  const end = newest - n * 421_000
  return { start: new Date(end - windowDays * dayMillis).toISOString(), end: new Date(end).toISOString() }
}
const stored = (time: string): string => time.slice(0, 23).replace("T", " ")

const big = (): number => 0
const small = (n: number): number => 1_000 + ((n * 37) % 900)
const tenantScope = (index: number): Scope => ({
  _tag: "Tenant",
  tenant: { type: "Project", name: made.tenantName(index) }
})
const platform: Scope = { _tag: "Platform" }
const goTenant = (index: number): string => `tenant_type = 'Project' AND tenant_name = '${made.tenantName(index)}'`

/** Where the first page of the round's window ends: found before the clock runs. */
const positions = new Map<number, Position>()

const list =
  (
    scopeOf: (n: number) => Scope,
    more: (n: number) => { readonly filter?: string; readonly search?: string } = () => ({})
  ) =>
  (n: number, window: Window) =>
    Effect.gen(function* () {
      const queries = yield* FactQueries
      const { filter, search } = more(n)
      const page = yield* queries.page(
        {
          kind: "activity",
          scope: scopeOf(n),
          ...window,
          ...(filter === undefined
            ? {}
            : { filter: Result.getOrThrow(parseFilter(filter, activityFilterFields)).expression }),
          ...(search === undefined ? {} : { search })
        },
        { limit }
      )
      return page.facts.length
    })

const facet = (column: string, scopeOf: (n: number) => Scope) => (n: number, window: Window) =>
  scopedRead(scopeOf(n), {
    table: "activities",
    columns: `toString(${column}) AS value, count() AS c`,
    where: condition(
      `ts >= toDateTime64('${stored(window.start)}', 6, 'UTC') AND ts < toDateTime64('${stored(window.end)}', 6, 'UTC')`
    ),
    tail: "GROUP BY value ORDER BY c DESC, value LIMIT 20",
    final: true
  }).pipe(Effect.map((values) => values.length))

const go =
  (order: keyof typeof goOrders, where: (n: number) => string = () => "") =>
  (n: number, { end, start }: Window) =>
    goList({ where: where(n), order: goOrders[order], from: stored(start), to: stored(end) })

const goFacetOf =
  (column: string, where: (n: number) => string = () => "") =>
  (n: number, { end, start }: Window) =>
    goFacet(column, { where: where(n), from: stored(start), to: stored(end) })

/** Its search: any of the words, as part of a word too, without case; a function that uses no index. */
const anyWord = (...words: ReadonlyArray<string>): string =>
  `multiSearchAnyCaseInsensitive(summary, [${words.map((word) => `'${word}'`).join(", ")}])`
const kind = (n: number): string => `Kind${n % made.kinds}`
const group = (n: number): string => `group${n % made.apiGroups}.example.com`
const name = (n: number): string => made.resourceName((n * 911) % 200_000)
const uid = (n: number): string => made.actorUid(100 + ((n * 61) % 2_000))

const shapes: ReadonlyArray<Shape> = [
  { name: "tenant_big", ours: list(() => tenantScope(big())), go: go("tenant", () => goTenant(big())) },
  { name: "tenant_small", ours: list((n) => tenantScope(small(n))), go: go("tenant", (n) => goTenant(small(n))) },
  {
    name: "tenant_kind_human",
    ours: list(
      () => tenantScope(big()),
      (n) => ({ filter: `spec.resource.kind == '${kind(n)}' && spec.changeSource == 'human'` })
    ),
    go: go("tenant", (n) => `${goTenant(big())} AND resource_kind = '${kind(n)}' AND change_source = 'human'`)
  },
  {
    name: "tenant_resource_name",
    ours: list(
      () => tenantScope(big()),
      (n) => ({ filter: `spec.resource.name == '${name(n)}'` })
    ),
    go: go("tenant", (n) => `${goTenant(big())} AND resource_name = '${name(n)}'`)
  },
  {
    name: "tenant_next_page",
    ours: (n, window) =>
      FactQueries.use((queries) =>
        queries.page({ kind: "activity", scope: tenantScope(big()), ...window }, { limit, after: positions.get(n) })
      ).pipe(Effect.map(({ facts }) => facts.length)),
    go: (n, { end, start }) => {
      const time = `toDateTime64('${(positions.get(n)?.time ?? stored(end)).slice(0, 23)}', 3, 'UTC')`
      // Its cursor: hour, time, and the resource's uid, which the order does not hold.
      const behind =
        `toStartOfHour(timestamp) < toStartOfHour(${time}) OR ` +
        `(toStartOfHour(timestamp) = toStartOfHour(${time}) AND timestamp < ${time}) OR (timestamp = ${time} AND resource_uid < '')`
      return goList({
        where: `${goTenant(big())} AND (${behind})`,
        order: goOrders.tenant,
        from: stored(start),
        to: stored(end)
      })
    }
  },
  {
    name: "tenant_search",
    ours: list(
      () => tenantScope(big()),
      () => ({ search: "scaled" })
    ),
    go: go("tenant", () => `${goTenant(big())} AND ${anyWord("scaled")}`)
  },
  {
    name: "user",
    ours: list((n) => ({ _tag: "User", uid: uid(n) })),
    go: go("user", (n) => `actor_uid = '${uid(n)}'`)
  },
  { name: "platform", ours: list(() => platform), go: go("platform") },
  {
    name: "platform_api_group",
    ours: list(
      () => platform,
      (n) => ({ filter: `spec.resource.apiGroup == '${group(n)}'` })
    ),
    go: go("platform", (n) => `api_group = '${group(n)}'`)
  },
  {
    name: "platform_search_two_words",
    ours: list(
      () => platform,
      (n) => ({ search: `deleted namespace ${n % 50}` })
    ),
    go: go("platform", (n) => anyWord("deleted", `namespace-${n % 50}`))
  },
  {
    name: "platform_search_rare",
    ours: list(
      () => platform,
      () => ({ search: "crashloopbackoff" })
    ),
    go: go("platform", () => anyWord("crashloopbackoff"))
  },
  {
    name: "tenant_facet_kind",
    ours: facet("resource_kind", () => tenantScope(big())),
    go: goFacetOf("resource_kind", () => goTenant(big()))
  },
  {
    name: "tenant_facet_actor",
    ours: facet("actor_name", () => tenantScope(big())),
    go: goFacetOf("actor_name", () => goTenant(big()))
  },
  { name: "platform_facet_kind", ours: facet("resource_kind", () => platform), go: goFacetOf("resource_kind") },
  { name: "platform_facet_actor", ours: facet("actor_name", () => platform), go: goFacetOf("actor_name") }
]

/** The `part`-th part of them, sorted; 0.5 is the median. */
const percentile = (sorted: ReadonlyArray<number>, part: number): number =>
  Math.round((sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)] ?? 0) * 100) / 100

const total = { queries: 0, seconds: 0, cpuSeconds: 0 }

interface Timed {
  readonly millis: number
  readonly cpuMillis: number
}

/** CPU is the engine's too: it runs in this process. */
const timed = <E, R>(work: Effect.Effect<unknown, E, R>): Effect.Effect<Timed, E, R> =>
  Effect.gen(function* () {
    const cpu = process.cpuUsage()
    const started = performance.now()
    yield* work
    const millis = performance.now() - started
    const { system, user } = process.cpuUsage(cpu)
    return { millis, cpuMillis: (system + user) / 1000 }
  })

/** Percentiles in milliseconds: `<prefix>p50_ms`, `<prefix>p99_ms`, and the median of the CPU time. */
const figuresOf = (prefix: string, times: ReadonlyArray<Timed>): Readonly<Record<string, number>> => {
  const sorted = times.map(({ millis }) => millis).sort((one, other) => one - other)
  const cpu = times.map(({ cpuMillis }) => cpuMillis).sort((one, other) => one - other)
  return {
    [`${prefix}p50_ms`]: percentile(sorted, 0.5),
    [`${prefix}p99_ms`]: percentile(sorted, 0.99),
    [`${prefix}cpu_ms`]: percentile(cpu, 0.5)
  }
}

const measureShapes = (state: string) =>
  Effect.gen(function* () {
    const clickhouse = yield* ClickHouse
    const measured: Record<string, Readonly<Record<string, number>>> = {}
    for (let n = 0; n < rounds; n++) {
      const page = yield* FactQueries.use((queries) =>
        queries.page({ kind: "activity", scope: tenantScope(big()), ...windowOf(n) }, { limit })
      )
      if (page.next !== undefined) positions.set(n, page.next)
    }
    for (const shape of shapes) {
      tell(`${state}: ${shape.name}`)
      const ours: Array<Timed> = []
      const theirs: Array<Timed> = []
      // Its only setting for reads.
      const goQuery = (n: number) =>
        clickhouse.query({ sql: `${shape.go(n, windowOf(n))} SETTINGS max_execution_time=60` })
      // Once each before, for what is read from disk for the first time.
      const read = yield* shape.ours(rounds, windowOf(rounds))
      const goRead = (yield* goQuery(rounds)).length
      for (let n = 0; n < rounds; n++) {
        ours.push(yield* timed(shape.ours(n, windowOf(n))))
        theirs.push(yield* timed(goQuery(n)))
      }
      const figures = { ...figuresOf("", ours), ...figuresOf("go_", theirs) }
      measured[`${state}_${shape.name}`] = {
        ...figures,
        times_as_fast: Math.round(((figures["go_p50_ms"] ?? 0) / (figures["p50_ms"] ?? 1)) * 100) / 100,
        rows: read,
        // Theirs asks for one more to know whether another page follows.
        go_rows: Math.min(goRead, limit)
      }
      total.queries += rounds
      total.seconds += ours.reduce((sum, { millis }) => sum + millis, 0) / 1000
      total.cpuSeconds += ours.reduce((sum, { cpuMillis }) => sum + cpuMillis, 0) / 1000
    }
    return measured
  })

const tell = (sentence: string): void => console.error(`query: ${sentence}`)

/** How many are made by one statement. */
const loadRows = 250_000

/** Both tables as they are when all merges are done: one part in each partition. */
const load = Effect.gen(function* () {
  const clickhouse = yield* ClickHouse
  yield* migrate()
  if ((yield* clickhouse.query({ sql: "SHOW DATABASES LIKE 'go'" })).length === 0) {
    yield* fill
  } else {
    tell("the activities of an earlier run")
    const [row] = yield* clickhouse.query({ sql: "SELECT toString(toDate(max(ts))) AS day FROM activities" })
    newest = Date.parse(String(row?.["day"])) + dayMillis
  }
  for (const table of ["activities", "go.activities"]) {
    const partitions = yield* clickhouse.query({
      sql:
        "SELECT partition_id, count() AS parts FROM system.parts WHERE active AND " +
        `database || '.' || table = '${table.includes(".") ? table : `${clickhouse.database}.${table}`}' ` +
        "GROUP BY partition_id HAVING parts > 1 OR max(level) = 0 ORDER BY partition_id"
    })
    for (const { partition_id } of partitions) {
      tell(`merging ${table}, partition ${String(partition_id)}`)
      yield* clickhouse.command(`OPTIMIZE TABLE ${table} PARTITION ID '${String(partition_id)}' FINAL`)
    }
  }
})

const fill = Effect.gen(function* () {
  const clickhouse = yield* ClickHouse
  const parts = Math.ceil(rows / loadRows)
  for (let part = 0; part < parts; part++) {
    tell(`making activities: ${part * loadRows} of ${rows}`)
    yield* clickhouse.command(
      made.insertMade({ count: rows, everyNth: parts, remainder: part, order: 1, end: stored(windowOf(0).end) })
    )
  }
  for (const statement of goStatements) yield* clickhouse.command(statement)
  // A day at a time is one part of its table: four copies of 2M rows in a merge took longer than all the rest.
  for (let day = 1; day <= made.days; day++) {
    tell(`the same for the Go implementation's table: day ${day} of ${made.days}`)
    const until = `toDateTime64('${stored(windowOf(0).end)}', 6, 'UTC') - toIntervalDay(${made.days - day})`
    yield* clickhouse.command(
      "INSERT INTO go.activities (activity_json) SELECT json FROM activities " +
        `WHERE ts > ${until} - toIntervalDay(1) AND ts <= ${until} ` +
        "SETTINGS min_insert_block_size_rows=1000000, min_insert_block_size_bytes=0, max_insert_threads=1"
    )
  }
})

/** Three parts more, each with newer sights of 2 % of all, that nothing merges. */
const overlap = Effect.gen(function* () {
  const clickhouse = yield* ClickHouse
  tell("adding three overlapping parts")
  yield* clickhouse.command("SYSTEM STOP MERGES")
  for (const remainder of [0, 1, 2]) {
    yield* clickhouse.command(
      made.insertMade({ count: rows, everyNth: 50, remainder, order: 2, end: stored(windowOf(0).end) })
    )
    yield* clickhouse.command(
      "INSERT INTO go.activities (activity_json) " +
        `SELECT json FROM activities WHERE seq % 50 = ${remainder + 1} AND ver >= bitShiftLeft(toUInt128(2), 64) SETTINGS max_partitions_per_insert_block=1000`
    )
  }
})

const empty = Effect.gen(function* () {
  const clickhouse = yield* ClickHouse
  const times: Array<Timed> = []
  for (let n = 0; n < rounds; n++) times.push(yield* timed(clickhouse.query({ sql: "SELECT 1" })))
  return {
    events: rounds,
    seconds: times.reduce((sum, { millis }) => sum + millis, 0) / 1000,
    cpuSeconds: times.reduce((sum, { cpuMillis }) => sum + cpuMillis, 0) / 1000
  }
})

const answer = await Effect.runPromise(
  Effect.gen(function* () {
    yield* load
    const merged = yield* measureShapes("merged")
    yield* overlap
    const overlapping = yield* measureShapes("parts")
    return { shapes: { ...merged, ...overlapping }, empty: yield* empty }
  }).pipe(Effect.provide(FactQueries.layer.pipe(Layer.provideMerge(layerFromUrl(`embedded:${folder}`)))))
)
answerPart({
  ...answer,
  events: total.queries,
  seconds: total.seconds,
  cpuSeconds: total.cpuSeconds,
  rssMaxBytes: usageOf(process.pid).rssMaxBytes
} satisfies QueryAnswer)
