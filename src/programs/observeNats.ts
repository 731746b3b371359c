/**
 * What the bus says of itself, at each scrape and to the probes: connection, streams' fill, consumers' lag, and what was
 * lost on the way.
 */
import { Effect, Metric } from "effect"
import { Nats } from "../clients/nats/Nats.ts"
import type { StreamDefinition } from "../domain/streams.ts"
import { Health } from "../runtime/Health.ts"
import { Metrics } from "../runtime/Metrics.ts"

const gauge = (name: string, description: string) => Metric.gauge(`activity_nats_${name}`, { description })

const connected = gauge("connected", "1 while there is a connection")
const disconnects = gauge("disconnects_total", "Connections lost in this process's life")
const published = gauge("published_total", "Messages that the server confirmed")
const duplicates = gauge("duplicates_total", "Of the published: known to the server by their id")
const resent = gauge("resent_total", "Sends beyond the first")
const trimmed = gauge("trimmed_total", "Messages that this process trimmed from streams")
const trimStopped = gauge("trim_stopped", "1 while a required consumer is missing")
const lostPositions = gauge("lost_positions_total", "Gaps: sequences that were gone before their consumer saw them")
const fillRatio = gauge("stream_fill_ratio", "What a stream holds, of what it may hold")
const lag = gauge("consumer_lag_messages", "Messages between a required consumer's ack floor and the end of the stream")

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
      problem: () => (nats.connected() ? undefined : "not connected")
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
    const state = yield* nats.streamState(stream.name)
    const attributes = { stream: stream.name }
    yield* Metric.update(
      Metric.withAttributes(fillRatio, attributes),
      state.sizeBytes / Math.max(1, state.sizeBytesMax)
    )
    for (const consumer of stream.requiredConsumers) {
      const floor = yield* nats.ackFloor(stream.name, consumer)
      yield* Metric.update(
        Metric.withAttributes(lag, { ...attributes, consumer }),
        Math.max(0, state.lastSequence - Math.max(floor, state.firstSequence - 1))
      )
    }
  })
