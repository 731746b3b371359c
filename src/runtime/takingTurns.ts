/** Work that takes long, in turns: other requests are not kept waiting. */
import { Clock, Effect } from "effect"

/** A turn ends with the item that passes it. One record's budget allows about 30 ms. */
const turnMillisMax = 10

export const takingTurns = <A, B>(
  items: ReadonlyArray<A>,
  work: (item: A, index: number) => B
): Effect.Effect<ReadonlyArray<B>> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const done: Array<B> = []
    let began = clock.currentTimeMillisUnsafe()
    for (const [index, item] of items.entries()) {
      done.push(work(item, index))
      if (clock.currentTimeMillisUnsafe() - began < turnMillisMax) continue
      yield* Effect.yieldNow
      began = clock.currentTimeMillisUnsafe()
    }
    return done
  })
