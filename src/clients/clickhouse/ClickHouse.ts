/**
 * ClickHouse, embedded or over HTTP: one service, two layers, one contract suite.
 *
 * Settings always stand in the SQL text; parameters are strings, numbers, booleans or arrays of them.
 */
import type { Effect } from "effect"
import { Context, Schema } from "effect"

/** No answer, no connection, overload, memory: the same statement may succeed later. */
export class ClickHouseUnavailable extends Schema.TaggedError<ClickHouseUnavailable>()("ClickHouseUnavailable", {
  cause: Schema.Defect()
}) {
  readonly retryable = true
}

/** The statement ran longer, or read more, than it may. */
export class QueryTooExpensive extends Schema.TaggedError<QueryTooExpensive>()("QueryTooExpensive", {
  code: Schema.Number,
  description: Schema.String
}) {
  readonly retryable = false
}

/** The engine understood and refuses: a fault in the statement or in a row. */
export class ClickHouseRefused extends Schema.TaggedError<ClickHouseRefused>()("ClickHouseRefused", {
  code: Schema.Number,
  description: Schema.String
}) {
  readonly retryable = false
}

export class ClickHouseError extends Schema.TaggedError<ClickHouseError>()("ClickHouseError", {
  reason: Schema.Union([ClickHouseUnavailable, QueryTooExpensive, ClickHouseRefused])
}) {
  get retryable(): boolean {
    return this.reason.retryable
  }
}

export type QueryParameter = string | number | boolean | ReadonlyArray<string> | ReadonlyArray<number>

export interface Statement {
  readonly sql: string
  readonly parameters?: Readonly<Record<string, QueryParameter>>
}

export class ClickHouse extends Context.Service<ClickHouse, {
  /** All rows of a SELECT (without FORMAT), 64-bit integers as text. */
  readonly query: (statement: Statement) => Effect.Effect<ReadonlyArray<Readonly<Record<string, unknown>>>, ClickHouseError>
  /** A statement without rows: DDL, OPTIMIZE, SYSTEM. */
  readonly command: (sql: string) => Effect.Effect<void, ClickHouseError>
  /**
   * Inserts rows, each one a line of JSON, as one block.
   *
   * @param token the block's deduplication token: the same token again is stored once
   */
  readonly insert: (options: {
    readonly table: string
    readonly lines: ReadonlyArray<string>
    readonly token: string
  }) => Effect.Effect<void, ClickHouseError>
  readonly ping: Effect.Effect<void, ClickHouseError>
}>()("activity/clients/clickhouse/ClickHouse") {}
