/** How long the costly filters of each user's watches take, all of them together. */
import { Context, Effect, Layer, type Scope } from "effect"

/** A watch that begins an hour back asks about 16,384 facts at once: 6 µs for each. */
const burstMillis = 100

/** Of the time. What is left over is not saved up: a watch that was quiet for long may not stop the others for long. */
const shareMax = 0.05

/** Of one watch. */
export interface FilterMeter {
  /** With fractions; never goes back. */
  readonly nowMillis: () => number
  /**
   * Counts what was taken until now.
   *
   * @returns whether its user has taken more than a share, and this watch no less of it than the others on average
   */
  readonly spend: (millis: number) => boolean
}

/** Spent, less what time has given back since. */
interface Account {
  owedMillis: number
  atMillis: number
}

interface UserAccount extends Account {
  watches: number
}

export interface FilterTimeOptions {
  readonly nowMillis: FilterMeter["nowMillis"]
}

export class FilterTime extends Context.Service<
  FilterTime,
  {
    /** Until the scope ends. Undefined: the user's share is used up. */
    readonly open: (user: string) => Effect.Effect<FilterMeter | undefined, never, Scope.Scope>
  }
>()("activity/serve/facts/FilterTime") {
  static readonly layerOf = ({ nowMillis }: FilterTimeOptions) =>
    Layer.sync(FilterTime, () => {
      /** Who has no watch and owes nothing is forgotten when the next watch is opened. */
      const users = new Map<string, UserAccount>()
      const forget = (now: number) => {
        for (const [user, account] of users) {
          if (owedAt(account, now, shareMax) === 0 && account.watches === 0) users.delete(user)
        }
      }
      return FilterTime.of({
        open: (user) =>
          Effect.acquireRelease(
            Effect.sync(() => {
              forget(nowMillis())
              const all = users.get(user) ?? { owedMillis: 0, atMillis: nowMillis(), watches: 0 }
              users.set(user, all)
              all.watches += 1
              return all
            }),
            (all) => Effect.sync(() => void (all.watches -= 1))
          ).pipe(
            Effect.map((all) => {
              if (owedAt(all, nowMillis(), shareMax) > burstMillis) return undefined
              const own: Account = { owedMillis: 0, atMillis: nowMillis() }
              return {
                nowMillis,
                spend: (millis) => {
                  const now = nowMillis()
                  const [ofAll, ofOwn] = [
                    owed(all, millis, now, shareMax),
                    owed(own, millis, now, shareMax / all.watches)
                  ]
                  return ofAll > burstMillis && ofOwn * all.watches >= ofAll
                }
              }
            })
          )
      })
    })

  static readonly layer = Layer.unwrap(
    Effect.clockWith((clock) =>
      Effect.succeed(FilterTime.layerOf({ nowMillis: () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6 }))
    )
  )
}

const owedAt = ({ atMillis, owedMillis }: Account, now: number, share: number): number =>
  Math.max(0, owedMillis - (now - atMillis) * share)

const owed = (account: Account, millis: number, now: number, share: number): number => {
  account.owedMillis = owedAt(account, now, share) + millis
  account.atMillis = now
  return account.owedMillis
}
