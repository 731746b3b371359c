/**
 * Dead letters of the processor, evaluated again in place: those of policies when they are due, and at once when their
 * policy changes; the others when somebody wants it.
 */
import { Effect, Metric, Stream } from "effect"
import { DeadLetters, type RetryOutcome, type WaitingLetter } from "../../bus/DeadLetters.ts"
import { Nats, type OutgoingMessage, type StoredMessage } from "../../clients/nats/Nats.ts"
import { policyFailed } from "../../domain/deadLetter.ts"
import { headerNames } from "../../domain/streams.ts"
import { PolicyCache } from "../../process/PolicyCache.ts"
import { counterFamily, Metrics } from "../../runtime/Metrics.ts"
import { evaluateMessage, type ProcessorOptions } from "./pipeline.ts"

const retries = counterFamily("activity_processor_retries_total", "Dead letters tried again, by result", "result", [
  "activity",
  "no_activity",
  "failed"
])
const trimmed = Metric.gauge("activity_processor_dead_letters_trimmed_total", {
  description: "Dead letters that nobody can retry and that went, oldest first, when DEAD_LETTERS was nearly full"
})
const waiting = Metric.gauge("activity_processor_dead_letters", { description: "Dead letters of policies that wait" })

/** Runs for ever. */
export const retryDeadLetters = (options: ProcessorOptions) =>
  Effect.gen(function* () {
    const nats = yield* Nats
    const letters = yield* DeadLetters
    const cache = yield* PolicyCache
    const metrics = yield* Metrics
    const accepts = ({ program }: WaitingLetter) => program === "processor"
    yield* metrics.onScrape(
      Effect.suspend(() =>
        Effect.andThen(
          Metric.update(
            waiting,
            letters.waiting().filter((letter) => accepts(letter) && letter.reason === policyFailed).length
          ),
          Metric.update(trimmed, letters.trimmed())
        )
      )
    )
    return yield* Effect.all(
      [
        letters.run({
          accepts,
          isOutdated: ({ generation, policy }) => (cache.current().generationOf(policy) ?? 0) > generation,
          retry: (letter) => retryOne(nats, cache, options, letter)
        }),
        cache.changes.pipe(Stream.runForEach(letters.wake))
      ],
      { concurrency: "unbounded", discard: true }
    )
  }).pipe(Effect.provide(DeadLetters.layer))

const retryOne = (
  nats: Nats["Service"],
  cache: PolicyCache["Service"],
  options: ProcessorOptions,
  letter: StoredMessage
) =>
  Effect.gen(function* () {
    const outcome = evaluateMessage(cache.current(), options, letter)
    switch (outcome._tag) {
      case "Activity":
        yield* nats.publish([outcome.message])
        yield* Metric.update(retries.activity, 1)
        return settled
      case "NoActivity":
        yield* Metric.update(retries.no_activity, 1)
        return settled
      case "DeadLetter":
        yield* Metric.update(retries.failed, 1)
        return failedAgain(outcome.message)
    }
  })

const settled: RetryOutcome = { _tag: "Settled" }

const failedAgain = (message: OutgoingMessage): RetryOutcome => ({
  _tag: "Failed",
  cause: message.headers?.[headerNames.cause] ?? "",
  policy: message.headers?.[headerNames.policy] ?? "",
  generation: Number(message.headers?.[headerNames.generation] ?? 0),
  rule: message.headers?.[headerNames.rule] ?? ""
})
