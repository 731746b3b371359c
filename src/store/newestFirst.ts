/** The order of lists, as ClickHouse has it: for who puts facts that it does not have yet among those that it has. */
import type { Position } from "./ActivityQueries.ts"

/**
 * Negative: the first comes before the second.
 *
 * Times are of one form, so their texts order them. Of UUIDs ClickHouse compares the second half first.
 */
export const newestFirst = (one: Position, other: Position): number =>
  -(compared(one.time, other.time) || compared(idOrder(one.id), idOrder(other.id)))

const compared = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0)

/** The halves of a UUID in the order in which they count. */
const idOrder = (id: string): string => `${id.slice(19)}${id.slice(0, 18)}`.toLowerCase()
