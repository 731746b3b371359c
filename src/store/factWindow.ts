/** Which facts a query is about, and the condition that says so. */
import { Effect } from "effect"
import type { Expression, FilterKind } from "../cel/Filter.ts"
import { ClickHouseError, ClickHouseRefused } from "../clients/clickhouse/ClickHouse.ts"
import type { Scope } from "../domain/Scope.ts"
import { all, type Condition, condition } from "./Condition.ts"
import { factTables } from "./factTables.ts"
import { filterColumns } from "./filterColumns.ts"
import { filterCondition } from "./filterSql.ts"
import type { Position } from "./Position.ts"
import { searchWords } from "./searchWords.ts"
import { storedTimeFrom } from "./times.ts"

export interface FactWindow {
  readonly kind: FilterKind
  readonly scope: Scope
  /** RFC 3339, to the microsecond: from `start` to just before `end`. */
  readonly start: string
  readonly end: string
  /** Over the fields of its kind. */
  readonly filter?: Expression | undefined
  /** Field selectors, in the same form. */
  readonly selectors?: Expression | undefined
  /** All of its words, whole words, without case. Of no meaning where a table has no text. */
  readonly search?: string
  readonly namespace?: string | undefined
}

/**
 * Without the scope, which {@link scopedRead} adds. Fails when a time is none.
 *
 * @param which all that was seen in the window, or only what began in it
 */
export const windowCondition = (
  window: FactWindow,
  which: "inWindow" | "beganInWindow" = "inWindow"
): Effect.Effect<Condition, ClickHouseError> =>
  Effect.gen(function* () {
    const { text, [which]: inWindow } = factTables[window.kind]
    const columns = filterColumns[window.kind]
    const words = text === undefined ? [] : searchWords(window.search ?? "")
    return all([
      condition(inWindow, {
        start_ts: yield* timeOrRefuse(window.start),
        end_ts: yield* timeOrRefuse(window.end)
      }),
      ...namespaceConditions(window.kind, window.namespace),
      ...(words.length === 0 ? [] : [condition(`hasAllTokens(lowerUTF8(${text}), {words:Array(String)})`, { words })]),
      ...(window.filter === undefined ? [] : [filterCondition(window.filter, columns, "filter")]),
      ...(window.selectors === undefined ? [] : [filterCondition(window.selectors, columns, "selector")])
    ])
  })

export const namespaceConditions = (kind: FilterKind, namespace: string | undefined): ReadonlyArray<Condition> =>
  namespace === undefined ? [] : [condition(`${factTables[kind].namespace} = {namespace:String}`, { namespace })]

/** What follows a position, newest first. The plain comparison of times prunes; the pair alone does not. */
export const behind = (position: Position): Condition =>
  condition("ts <= {after_ts:DateTime64(6, 'UTC')} AND (ts, id) < ({after_ts:DateTime64(6, 'UTC')}, {after_id:UUID})", {
    after_ts: position.time,
    after_id: position.id
  })

/** CANNOT_PARSE_DATETIME, as the engine itself would say. */
export const timeOrRefuse = (text: string): Effect.Effect<string, ClickHouseError> => {
  const time = storedTimeFrom(text)
  return time === undefined
    ? Effect.fail(
        new ClickHouseError({
          reason: new ClickHouseRefused({ code: 41, description: "a window's start or end is no time" })
        })
      )
    : Effect.succeed(time)
}
