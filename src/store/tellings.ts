/** Stored activities as a reindex asks for them: which there are of some facts, and what kinds policies have told of. */
import { Effect } from "effect"
import type { ClickHouse, ClickHouseError } from "../clients/clickhouse/ClickHouse.ts"
import type { Scope } from "../domain/Scope.ts"
import { all, condition } from "./Condition.ts"
import { scopedRead } from "./scopedRead.ts"
import type { SourceWindow } from "./sourceFacts.ts"

/** The activity of one fact, in its newest version. */
export interface Telling {
  /** Canonical, as it was published. */
  readonly json: string
  readonly policy: string
  readonly generation: number
}

/** Whose activities a reindex is about is configuration: no caller's scope narrows it. */
const everywhere: Scope = { _tag: "Platform" }

/**
 * By key: the activities of a window's facts that have these times, both included. There may be others' among them; an
 * activity has its fact's time.
 */
export const readTellings = (
  { apiGroup, kind, objectKind }: SourceWindow,
  from: string,
  to: string
): Effect.Effect<ReadonlyMap<string, Telling>, ClickHouseError, ClickHouse> =>
  scopedRead(everywhere, {
    table: "activities",
    columns: "toString(id) AS key, json, policy, policy_generation, toString(ts) AS time",
    where: all([
      condition("ts >= {from_ts:DateTime64(6, 'UTC')} AND ts <= {to_ts:DateTime64(6, 'UTC')}", {
        from_ts: from,
        to_ts: to
      }),
      condition("origin_type = {origin:String} AND api_group = {source_group:String}", {
        origin: kind === "record" ? "audit" : "event",
        source_group: apiGroup
      }),
      ...(kind === "record" ? [] : [condition("resource_kind = {source_kind:String}", { source_kind: objectKind })])
    ]),
    tail: "",
    final: true
  }).pipe(
    Effect.map(
      (rows) =>
        new Map(
          rows.map((row) => [
            String(row["key"]),
            {
              json: String(row["json"]),
              policy: String(row["policy"]),
              generation: Number(row["policy_generation"])
            }
          ])
        )
    )
  )

export interface ToldKind {
  readonly kind: "record" | "event"
  readonly apiGroup: string
  /** "" of records, which are found by their API group. */
  readonly objectKind: string
  readonly policy: string
}

/** What activities of a time are about, and whose policies' they are. */
export const readToldKinds = (
  start: string,
  end: string
): Effect.Effect<ReadonlyArray<ToldKind>, ClickHouseError, ClickHouse> =>
  scopedRead(everywhere, {
    table: "activities",
    columns:
      "DISTINCT origin_type, api_group, if(origin_type = 'event', toString(resource_kind), '') AS object_kind, policy",
    where: condition("ts < {end_ts:DateTime64(6, 'UTC')} AND last_ts >= {start_ts:DateTime64(6, 'UTC')}", {
      start_ts: start,
      end_ts: end
    }),
    tail: "ORDER BY origin_type, api_group, object_kind, policy",
    final: true
  }).pipe(
    Effect.map((rows) =>
      rows.map((row): ToldKind => ({
        kind: row["origin_type"] === "event" ? "event" : "record",
        apiGroup: String(row["api_group"]),
        objectKind: String(row["object_kind"]),
        policy: String(row["policy"])
      }))
    )
  )
