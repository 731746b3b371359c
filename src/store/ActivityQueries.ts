/**
 * Reads of stored activities, for a caller of a scope.
 *
 * Order is (time, key), newest first. A window keeps what happened before its end and was last seen at or after its
 * start. Every version of an activity but the newest, and deleted ones, are never seen.
 */
import { Context, Effect, Layer, Option, Stream } from "effect"
import type { Expression } from "../cel/Filter.ts"
import { type ClickHouse, ClickHouseError, ClickHouseRefused, type Row } from "../clients/clickhouse/ClickHouse.ts"
import { activityKeyFromName } from "../domain/identity.ts"
import type { Scope } from "../domain/Scope.ts"
import { activityColumns } from "./activityColumns.ts"
import { all, type Condition, condition } from "./Condition.ts"
import { filterCondition } from "./filterSql.ts"
import { type ScopedRead, scopedRead } from "./scopedRead.ts"
import { searchWords } from "./searchWords.ts"
import { storedTimeFrom } from "./times.ts"

/** The largest page, and the size of the pages that {@link ActivityQueries} streams in. */
export const pageRowsMax = 1_000

/** Where a page ended: the next one starts behind it. */
export interface Position {
  /** As the table shows it, in full precision. */
  readonly time: string
  /** The activity's key. ClickHouse orders UUIDs in its own way, which `store/newestFirst` alone knows. */
  readonly id: string
}

export interface StoredActivity {
  /** The Activity as it was published, without resourceVersion. */
  readonly json: string
  /** The sequence in ACTIVITIES that wrote it: its resourceVersion. */
  readonly sequence: number
}

export interface ActivityWindow {
  readonly scope: Scope
  /** RFC 3339, to the microsecond. */
  readonly start: string
  readonly end: string
  /** Over the fields of `activityColumns`. */
  readonly filter?: Expression | undefined
  /** Field and label selectors, in the same form. */
  readonly selectors?: Expression | undefined
  /** All of its words, whole words, without case. */
  readonly search?: string
  /** Activities of resources in this namespace. */
  readonly namespace?: string | undefined
}

export interface ActivityPage {
  readonly activities: ReadonlyArray<StoredActivity>
  /** Undefined on the last page. */
  readonly next: Position | undefined
}

export class ActivityQueries extends Context.Service<
  ActivityQueries,
  {
    /**
     * One page of at most `limit` (1 to {@link pageRowsMax}) activities behind `after`.
     *
     * @fails ClickHouseError also when a time is none
     */
    readonly list: (
      window: ActivityWindow,
      page: { readonly limit: number; readonly after?: Position | undefined }
    ) => Effect.Effect<ActivityPage, ClickHouseError>
    /** All of a window, read page by page as it is consumed. */
    readonly stream: (window: ActivityWindow) => Stream.Stream<StoredActivity, ClickHouseError>
    /** None: there is no such activity, or not for this scope. With `namespace`, only one of a resource in it. */
    readonly get: (
      scope: Scope,
      name: string,
      namespace?: string
    ) => Effect.Effect<Option.Option<StoredActivity>, ClickHouseError>
  }
>()("activity/store/ActivityQueries") {
  static readonly layer = Layer.effect(
    ActivityQueries,
    Effect.gen(function* () {
      const context = yield* Effect.context<ClickHouse>()
      const list: ActivityQueries["Service"]["list"] = (window, page) =>
        listPage(window, page.limit, page.after).pipe(Effect.provide(context), Effect.withSpan("ActivityQueries.list"))
      return ActivityQueries.of({
        list,
        stream: (window) =>
          Stream.paginate(Option.none<Position>(), (after) =>
            Effect.map(list(window, { limit: pageRowsMax, after: Option.getOrUndefined(after) }), (page) => [
              page.activities,
              Option.map(Option.fromUndefinedOr(page.next), Option.some)
            ])
          ),
        get: (scope, name, namespace) =>
          getByName(scope, name, namespace).pipe(Effect.provide(context), Effect.withSpan("ActivityQueries.get"))
      })
    })
  )
}

const listPage = (
  window: ActivityWindow,
  limit: number,
  after: Position | undefined
): Effect.Effect<ActivityPage, ClickHouseError, ClickHouse> =>
  Effect.gen(function* () {
    const rowsMax = Math.min(Math.max(Math.trunc(limit), 1), pageRowsMax)
    const within = yield* windowConditions(window, after)
    // One row more than asked tells whether another page follows.
    const rows = spansTenants(window.scope)
      ? yield* readNewest(window.scope, within, rowsMax + 1)
      : yield* readFrom(window.scope, within, rowsMax + 1)
    const shown = rows.slice(0, rowsMax)
    const last = shown.at(-1)
    return {
      activities: shown.map(activityFrom),
      next:
        rows.length > rowsMax && last !== undefined
          ? { time: String(last["time"]), id: String(last["key"]) }
          : undefined
    }
  })

/**
 * Over all tenants the rows of a page lie scattered, and FINAL uses neither the projection by time nor, at a bearable
 * price, an index. So each exact read is limited to the keys of the newest matches among all versions, old ones too,
 * which both serve: any match is among them, since all versions of a row share its key, hence its place in the order.
 * Where too many of them were old versions, the next read begins earlier.
 *
 * @decision 0017-what-reads-cost
 */
const readNewest = (scope: Scope, within: WindowConditions, rowsMax: number) =>
  Effect.gen(function* () {
    const first = yield* readFrom(scope, within, rowsMax, {
      where: within.began,
      tail: `ORDER BY ts DESC, id DESC LIMIT ${Math.ceil(1.25 * rowsMax)}`
    })
    if (first.length === rowsMax) return first
    // Beyond 32 times the page so many versions match that nothing less than all of it will do.
    for (const factor of [4, 32]) {
      const [match] = yield* scopedRead(scope, {
        table: "activities",
        columns: "toString(ts) AS time",
        where: within.began,
        tail: `ORDER BY ts DESC LIMIT 1 OFFSET ${factor * rowsMax - 1}`,
        final: false
      })
      if (match === undefined) return yield* readFrom(scope, within, rowsMax, { where: within.seen, tail: "" })
      // By time and not by number: what arrives, or is merged, between two statements does not change what this means.
      const from = condition("ts >= {from_ts:DateTime64(6, 'UTC')}", { from_ts: String(match["time"]) })
      const rows = yield* readFrom(scope, within, rowsMax, { where: all([within.began, from]), tail: "" })
      if (rows.length === rowsMax) return rows
    }
    return yield* readFrom(scope, within, rowsMax)
  })

const readFrom = (scope: Scope, within: WindowConditions, rowsMax: number, among?: ScopedRead["among"]) =>
  scopedRead(scope, {
    table: "activities",
    columns: "json, toString(seq) AS sequence, toString(ts) AS time, toString(id) AS key",
    where: within.seen,
    tail: `ORDER BY ts DESC, id DESC LIMIT ${rowsMax}`,
    final: true,
    among
  })

const getByName = (scope: Scope, name: string, namespace: string | undefined) =>
  Effect.gen(function* () {
    const id = activityKeyFromName(name)
    if (id === undefined) return Option.none<StoredActivity>()
    const rows = yield* scopedRead(scope, {
      table: "activities",
      columns: "json, toString(seq) AS sequence",
      where: all([condition("id = {id:UUID}", { id }), ...namespaceConditions(namespace)]),
      // The key holds the tenant and the time beside the id; an activity whose tenant was corrected is there twice.
      tail: "ORDER BY ver DESC LIMIT 1",
      final: true
    })
    return Option.map(Option.fromUndefinedOr(rows[0]), activityFrom)
  })

const spansTenants = (scope: Scope): boolean => scope._tag !== "Tenant" && scope._tag !== "Namespace"

interface WindowConditions {
  /** What the window keeps, behind the page before. */
  readonly seen: Condition
  /** The same of what began within the window: nearly all of it, told without a look at when it was last seen. */
  readonly began: Condition
}

const windowConditions = (
  window: ActivityWindow,
  after: Position | undefined
): Effect.Effect<WindowConditions, ClickHouseError> =>
  Effect.gen(function* () {
    const words = searchWords(window.search ?? "")
    const start = { start_ts: yield* timeOrRefuse(window.start) }
    const common = [
      condition("ts < {end_ts:DateTime64(6, 'UTC')}", { end_ts: yield* timeOrRefuse(window.end) }),
      ...namespaceConditions(window.namespace),
      ...(words.length === 0 ? [] : [condition("hasAllTokens(lowerUTF8(summary), {words:Array(String)})", { words })]),
      ...(window.filter === undefined ? [] : [filterCondition(window.filter, activityColumns, "filter")]),
      ...(window.selectors === undefined ? [] : [filterCondition(window.selectors, activityColumns, "selector")]),
      ...(after === undefined ? [] : [behind(after)])
    ]
    return {
      seen: all([condition("last_ts >= {start_ts:DateTime64(6, 'UTC')}", start), ...common]),
      began: all([condition("ts >= {start_ts:DateTime64(6, 'UTC')}", start), ...common])
    }
  })

const namespaceConditions = (namespace: string | undefined): ReadonlyArray<Condition> =>
  namespace === undefined ? [] : [condition("resource_namespace = {namespace:String}", { namespace })]

/** The plain comparison of times prunes; the pair alone does not. */
const behind = (position: Position): Condition =>
  condition("ts <= {after_ts:DateTime64(6, 'UTC')} AND (ts, id) < ({after_ts:DateTime64(6, 'UTC')}, {after_id:UUID})", {
    after_ts: position.time,
    after_id: position.id
  })

/** CANNOT_PARSE_DATETIME, as the engine itself would say. */
const timeOrRefuse = (text: string): Effect.Effect<string, ClickHouseError> => {
  const time = storedTimeFrom(text)
  return time === undefined
    ? Effect.fail(
        new ClickHouseError({
          reason: new ClickHouseRefused({ code: 41, description: "a window's start or end is no time" })
        })
      )
    : Effect.succeed(time)
}

const activityFrom = (row: Row): StoredActivity => ({ json: String(row["json"]), sequence: Number(row["sequence"]) })
