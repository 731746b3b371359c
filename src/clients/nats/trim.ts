/**
 * Trimming: what every required consumer has acknowledged goes, oldest first, except for what is kept behind them.
 */
import { DateTime, Effect } from "effect"
import type { Connection } from "./Connection.ts"
import type { FloorsSeen } from "./ackFloors.ts"
import type { NatsError } from "./Nats.ts"

/** Acknowledged messages stay while they fit into this part of the budget … */
export const keptPart = 0.6
/** … and are younger than this. */
export const keptMillis = 7 * 86_400_000

/** The lowest floor; undefined when a consumer is missing, or nobody is required. */
export const lowestFloor = (seen: FloorsSeen): number | undefined => {
  let lowest = Number.POSITIVE_INFINITY
  for (const floor of seen.floors.values()) {
    if (floor === undefined) return undefined
    lowest = Math.min(lowest, floor)
  }
  return Number.isFinite(lowest) ? lowest : undefined
}

/**
 * The last sequence to remove so that what stays fits into its part of the budget, never beyond `floor`; less than the
 * first sequence when nothing has to go.
 *
 * Messages are taken to be of average size: a trimming that guessed wrong is followed by another.
 */
export const lastToRemoveForSize = (seen: FloorsSeen, floor: number): number => {
  const excess = seen.sizeBytes - keptPart * seen.sizeBytesMax
  if (excess <= 0 || seen.messages === 0) return seen.firstSequence - 1
  const average = (seen.lastSequence - seen.firstSequence + 1) / seen.sizeBytes
  return Math.min(floor, seen.firstSequence - 1 + Math.ceil(excess * average))
}

/** The last sequence at or below `floor` that is older than {@link keptMillis}; less than the first when there is none. */
export const lastToRemoveForAge = (
  connection: Connection,
  stream: string,
  seen: FloorsSeen,
  floor: number,
  nowMillis: number
): Effect.Effect<number, NatsError> =>
  Effect.gen(function* () {
    const oldest = nowMillis - keptMillis
    if (seen.messages === 0 || DateTime.makeUnsafe(seen.firstTime).epochMilliseconds > oldest)
      return seen.firstSequence - 1
    let low = seen.firstSequence
    let high = floor
    // Halving: `low` is old, everything above `high` is not, or must stay.
    while (low < high) {
      const middle = low + Math.ceil((high - low) / 2)
      const found = yield* connection.request("direct.get", stream, (manager) =>
        manager.direct.getMessage(stream, { seq: middle, next_by_subj: ">" })
      )
      if (found !== null && found.time.getTime() <= oldest) low = Math.min(high, Math.max(middle, found.seq))
      else high = middle - 1
    }
    return low
  })

/** Removes everything up to and with `last`. @returns how many messages went */
export const purgeUpTo = (connection: Connection, stream: string, last: number): Effect.Effect<number, NatsError> =>
  connection
    .request("streams.purge", stream, (manager) => manager.streams.purge(stream, { seq: last + 1 }))
    .pipe(Effect.map((answer) => answer.purged))
