/** A place in the order of lists: newest first, by time and key. */
import type { Row } from "../clients/clickhouse/ClickHouse.ts"

export interface Position {
  /** As the tables show it, in full precision. */
  readonly time: string
  /** The fact's key. */
  readonly id: string
}

/** Of a row with its `time` and its `key`, as texts. */
export const positionOf = (row: Row): Position => ({ time: String(row["time"]), id: String(row["key"]) })

/**
 * ClickHouse's order, for who puts facts that it does not have yet among those that it has. Negative: the first comes
 * before the second.
 *
 * Times are of one form, so their texts order them. Of UUIDs ClickHouse compares the second half first.
 */
export const newestFirst = (one: Position, other: Position): number =>
  -(compared(one.time, other.time) || compared(idOrder(one.id), idOrder(other.id)))

const compared = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0)

/** The halves of a UUID in the order in which they count. */
const idOrder = (id: string): string => `${id.slice(19)}${id.slice(0, 18)}`.toLowerCase()
