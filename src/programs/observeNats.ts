/**
 * What the bus says of itself, at each scrape and to the probes: connection, streams' fill, consumers' lag, and what was
 * lost on the way.
 */
import { Clock, Effect, Metric, Option } from "effect"
import { Nats } from "../clients/nats/Nats.ts"
import type { StreamDefinition } from "../domain/streams.ts"
import { Health } from "../runtime/Health.ts"
import { Metrics } from "../runtime/Metrics.ts"

const gauge = (name: string, description: string) => Metric.gauge(name, { description })

const connected = gauge("activity_nats_connected", "1 while there is a connection")
const disconnects = gauge("activity_nats_disconnects_total", "Connections lost in this process's life")
const published = gauge("activity_nats_published_total", "Messages that the server confirmed")
const duplicates = gauge("activity_nats_duplicates_total", "Of the published: known to the server by their id")
const resent = gauge("activity_nats_resent_total", "Sends beyond the first")
const trimmed = gauge("activity_nats_trimmed_total", "Messages that this process trimmed from streams")
const trimStopped = gauge("activity_nats_trim_stopped", "1 while a required consumer is missing")
const lostPositions = gauge(
  "activity_nats_lost_positions_total",
  "Gaps: sequences that were gone before their consumer saw them"
)
const fillRatio = gauge("activity_nats_stream_fill_ratio", "What a stream holds, of what it may hold")
const streamMessages = gauge("activity_nats_stream_messages", "Messages in a stream")
const streamAge = gauge(
  "activity_nats_stream_age_seconds",
  "Age of the oldest message in a stream: how far back it can be read"
)
const oldest = gauge(
  "activity_nats_consumer_oldest_seconds",
  "Age of the oldest message that a required consumer has not acknowledged"
)
const lag = gauge(
  "activity_nats_consumer_lag_messages",
  "Messages between a required consumer's ack floor and the end of the stream"
)

/** A scrape does not wait for a bus that is away. */
const scrapeWait = "1 second"

/**
 * @param role whether this program can do its work without the bus
 * @param streams those that this program reads or writes
 */
export const observeNats = (role: "ready" | "informative", streams: ReadonlyArray<StreamDefinition>) =>
  Effect.gen(function* () {
    const nats = yield* Nats
    const health = yield* Health
    const metrics = yield* Metrics
    yield* health.register({
      name: "nats",
      role,
      problem: () => nats.problem()
    })
    yield* health.register({
      name: "nats-gaps",
      role: "informative",
      problem: () => {
        const gap = nats.state().lostPositions.at(-1)
        return gap === undefined
          ? undefined
          : `messages were gone before they were read; the newest gap: ${JSON.stringify(gap)}`
      }
    })
    yield* metrics.onScrape(
      Effect.gen(function* () {
        const state = nats.state()
        yield* Metric.update(connected, state.connected ? 1 : 0)
        yield* Metric.update(disconnects, state.disconnects)
        yield* Metric.update(published, state.published)
        yield* Metric.update(duplicates, state.duplicates)
        yield* Metric.update(resent, state.resent)
        yield* Metric.update(trimmed, state.trimmed)
        yield* Metric.update(lostPositions, state.lostPositions.length)
        if (!state.connected) return
        for (const stream of streams) {
          const stopped = state.trimStopped.has(stream.name) ? 1 : 0
          yield* Metric.update(Metric.withAttributes(trimStopped, { stream: stream.name }), stopped)
          yield* observeStream(nats, stream).pipe(Effect.timeout(scrapeWait), Effect.ignore)
        }
      })
    )
  })

const observeStream = (nats: Nats["Service"], stream: StreamDefinition) =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const secondsSince = (millis: number) => Math.max(0, now - millis) / 1000
    const state = yield* nats.streamState(stream.name)
    const attributes = { stream: stream.name }
    yield* Metric.update(
      Metric.withAttributes(fillRatio, attributes),
      state.sizeBytes / Math.max(1, state.sizeBytesMax)
    )
    yield* Metric.update(Metric.withAttributes(streamMessages, attributes), state.messages)
    yield* Metric.update(
      Metric.withAttributes(streamAge, attributes),
      state.messages === 0 ? 0 : secondsSince(state.firstTimeMillis)
    )
    for (const consumer of stream.requiredConsumers) {
      const floor = Math.max(yield* nats.ackFloor(stream.name, consumer), state.firstSequence - 1)
      const behind = Math.max(0, state.lastSequence - floor)
      const next = behind === 0 ? Option.none() : yield* nats.messageAt(stream.name, floor + 1)
      const labels = { ...attributes, consumer }
      yield* Metric.update(Metric.withAttributes(lag, labels), behind)
      yield* Metric.update(
        Metric.withAttributes(oldest, labels),
        Option.match(next, { onNone: () => 0, onSome: (message) => secondsSince(message.timeMillis) })
      )
    }
  })
