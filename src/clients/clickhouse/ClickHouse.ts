/**
 * ClickHouse, embedded or over HTTP: one service, two layers, one contract suite.
 *
 * Settings always stand in the SQL text; parameters are strings, numbers, booleans or arrays of them. Times are passed
 * and read as text, so that no microsecond is lost on the way.
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

  override get message(): string {
    return this.reason._tag === "ClickHouseUnavailable"
      ? `ClickHouse is not available: ${String(this.reason.cause)}`
      : `ClickHouse answered ${this.reason.code}: ${this.reason.description.replace(/[.\s]+$/, "")}`
  }
}

export type QueryParameter = string | number | boolean | ReadonlyArray<string> | ReadonlyArray<number>

export interface Statement {
  /** Parameters stand in it as `{name:Type}`, as ClickHouse itself spells them. */
  readonly sql: string
  readonly parameters?: Readonly<Record<string, QueryParameter>>
}

export type Row = Readonly<Record<string, unknown>>

export class ClickHouse extends Context.Service<
  ClickHouse,
  {
    /** The database that unqualified table names mean. */
    readonly database: string
    /** Creates {@link database} where it is missing. `onCluster` is `ON CLUSTER name`, or empty. */
    readonly createDatabase: (onCluster: string) => Effect.Effect<void, ClickHouseError>
    /** All rows of a SELECT (without FORMAT), 64-bit integers and wider ones as text. */
    readonly query: (statement: Statement) => Effect.Effect<ReadonlyArray<Row>, ClickHouseError>
    /** A statement without rows: DDL, OPTIMIZE, SYSTEM. */
    readonly command: (sql: string) => Effect.Effect<void, ClickHouseError>
    /**
     * Inserts rows, each one a line of JSON, as one block. A column that the table does not have is refused.
     *
     * @param token the block's deduplication token: the same token again is stored once
     */
    readonly insert: (options: {
      readonly table: string
      readonly lines: ReadonlyArray<string>
      readonly token: string
    }) => Effect.Effect<void, ClickHouseError>
    /** The engine answers, with our credentials. */
    readonly ping: Effect.Effect<void, ClickHouseError>
  }
>()("activity/clients/clickhouse/ClickHouse") {}
