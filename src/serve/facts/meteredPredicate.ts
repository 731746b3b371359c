/**
 * Watches share one thread, and their filters are asked about every fact: a pattern of a thousand steps takes
 * milliseconds for each. A watch whose filter takes more than its share ends, so that no one stops the others.
 */
import { type Expression, isCostly } from "../../cel/Filter.ts"
import { type ApiFailure, badRequest } from "../ApiFailure.ts"
import type { FactPredicate } from "./factPredicate.ts"

export interface MeteredPredicate<A> extends FactPredicate<A> {
  /** Undefined while it takes no more than its share. From then on everything concerns it, so that the watch hears of it. */
  readonly fault: () => ApiFailure | undefined
}

/** A watch that begins an hour back asks about 16,384 facts at once: 6 µs for each. */
const burstMillis = 100

/** Of the time since it began. */
const shareMax = 0.05

/** @param nowMillis with fractions */
export const meteredPredicate = <A>(
  predicate: FactPredicate<A>,
  filter: Expression | undefined,
  nowMillis: () => number
): MeteredPredicate<A> => {
  if (filter === undefined || !isCostly(filter)) return { ...predicate, fault: () => undefined }
  const beganMillis = nowMillis()
  let spentMillis = 0
  let fault: ApiFailure | undefined
  const metered =
    (holds: (fact: A) => boolean) =>
    (fact: A): boolean => {
      if (fault !== undefined) return true
      const before = nowMillis()
      const found = holds(fact)
      const after = nowMillis()
      spentMillis += after - before
      if (spentMillis > burstMillis + (after - beganMillis) * shareMax) fault = tooCostly
      return found
    }
  return { concerns: metered(predicate.concerns), shows: metered(predicate.shows), fault: () => fault }
}

const tooCostly = badRequest(
  "the filter takes too long to be asked about everything that happens: make its patterns and exists() simpler, or list instead of watching"
)
