/**
 * Watches share one thread, and their filters are asked about every fact: a pattern of a thousand steps takes
 * milliseconds for each. A watch whose filter takes more than its user's share ends, so that no one stops the others.
 */
import { Effect } from "effect"
import { type Expression, isCostly } from "../../cel/Filter.ts"
import { type ApiFailure, badRequest } from "../ApiFailure.ts"
import type { FactPredicate } from "./factPredicate.ts"
import { FilterTime } from "./FilterTime.ts"

export interface MeteredPredicate<A> extends FactPredicate<A> {
  /** Undefined while it takes no more than its share. From then on everything concerns it, so that the watch hears of it. */
  readonly fault: () => ApiFailure | undefined
}

/** @fails ApiFailure BadRequest while the user's share is used up */
export const meteredPredicate = Effect.fnUntraced(function* <A>(
  predicate: FactPredicate<A>,
  filter: Expression | undefined,
  user: string
) {
  if (filter === undefined || !isCostly(filter)) return { ...predicate, fault: () => undefined }
  const meter = yield* (yield* FilterTime).open(user)
  if (meter === undefined) return yield* tooCostly
  const { nowMillis } = meter
  let fault: ApiFailure | undefined
  const metered =
    (holds: (fact: A) => boolean) =>
    (fact: A): boolean => {
      if (fault !== undefined) return true
      const before = nowMillis()
      const found = holds(fact)
      if (meter.spend(nowMillis() - before)) fault = tooCostly
      return found
    }
  return {
    concerns: metered(predicate.concerns),
    shows: metered(predicate.shows),
    fault: () => fault
  } satisfies MeteredPredicate<A>
})

const tooCostly = badRequest(
  "the filter, with those of your other watches, takes too long to be asked about everything that happens: make its patterns and exists() simpler, or list instead of watching"
)
