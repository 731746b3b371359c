/**
 * What `up` says: activities as sentences while they happen, then how to see more.
 */
import { Console, Effect, Schedule, Stream } from "effect"
import { Nats } from "../../clients/nats/Nats.ts"
import { activities, headerNames } from "../../domain/streams.ts"

/** So many are printed one by one; afterwards only how many there were. */
const printedMax = 20

interface Seen {
  /** Of the last activity that was seen. */
  sequence: number
  count: number
  printed: number
}

/**
 * Prints the activities after `sequence`: the first {@link printedMax} as they come, then `hints` (if any), then every ten
 * seconds in which there were more, their number. Runs for ever.
 */
export const printSummaries = (sequence: number, hints: string): Effect.Effect<never, never, Nats> =>
  Effect.gen(function* () {
    const nats = yield* Nats
    const seen: Seen = { sequence, count: 0, printed: 0 }
    const printing = Effect.suspend(() =>
      nats.tail({ stream: activities.name, from: seen.sequence + 1 }).pipe(
        Stream.runForEach((message) => {
          seen.sequence = message.sequence
          // A newer sight of an activity that was told before is none more.
          if (message.header(headerNames.mark) !== "added") return Effect.void
          seen.count++
          if (seen.count > printedMax) return Effect.void
          seen.printed = seen.count
          const line = Console.log(sentenceFrom(message.body))
          return seen.count === printedMax && hints !== "" ? line.pipe(Effect.andThen(Console.log(hints))) : line
        })
      )
    ).pipe(
      // The summaries are for the person at the terminal: a broken bus is told by the probes, not here.
      Effect.catch(() => Effect.void),
      Effect.andThen(Effect.sleep("1 second")),
      Effect.forever
    )
    const counting = Effect.suspend(() => {
      if (seen.count <= printedMax || seen.count === seen.printed) return Effect.void
      seen.printed = seen.count
      return Console.log(`… ${seen.count} activities so far`)
    }).pipe(Effect.repeat(Schedule.spaced("10 seconds")))
    return yield* Effect.all([printing, counting], { concurrency: "unbounded" }).pipe(Effect.andThen(Effect.never))
  })

const decoder = new TextDecoder()

/** `15:08:33  alice@example.com created Deployment web in team-1` */
const sentenceFrom = (body: Uint8Array): string => {
  // Our own message: canonical JSON of an Activity.
  const activity = JSON.parse(decoder.decode(body)) as { spec: { summary: string; timestamp: string } }
  return `${activity.spec.timestamp.slice(11, 19)}  ${activity.spec.summary}`
}
