import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Clock, Effect, Layer } from "effect"
import { Nats } from "../../src/clients/nats/Nats.ts"
import { natsLayer } from "../../src/clients/nats/natsLayer.ts"
import { observeNats } from "../../src/programs/observeNats.ts"
import { Health } from "../../src/runtime/Health.ts"
import { Metrics } from "../../src/runtime/Metrics.ts"
import { messagesOf, streamOf, until } from "../clients/nats/fixtures.ts"
import { startNatsServer, type TestNatsServer } from "../support/natsServer.ts"

let server: TestNatsServer

beforeAll(async () => {
  server = await startNatsServer()
}, 330_000)
afterAll(() => server.stop())

const hourMillis = 3_600_000

/** The scrape of somebody whose clock is an hour ahead. */
const scrapeInAnHour = Effect.gen(function* () {
  const metrics = yield* Metrics
  const clock = yield* Clock.Clock
  const text = yield* metrics.text.pipe(
    Effect.provideService(Clock.Clock, {
      ...clock,
      sleep: (duration) => clock.sleep(duration),
      currentTimeMillis: Effect.map(clock.currentTimeMillis, (now) => now + hourMillis)
    })
  )
  return (name: string): number => {
    const line = text.split("\n").find((one) => one.startsWith(`${name}{`))
    return Number(line?.split(" ").at(-1))
  }
})

describe("what the bus says of itself", () => {
  it.live("lag and the oldest unacknowledged message of a consumer, and how far back its stream reaches", () =>
    Effect.gen(function* () {
      const nats = yield* Nats
      const stream = streamOf("SEEN", { sizeMebibytes: 1 })
      yield* nats.ensureStreams([stream])
      yield* observeNats("ready", [stream])
      const consumer = yield* nats.consumer({ stream: stream.name, durable: "reader", ackPendingMax: 10 })
      const empty = yield* scrapeInAnHour
      assert.deepStrictEqual(
        ["consumer_lag_messages", "consumer_oldest_seconds", "stream_age_seconds", "stream_messages"].map((name) =>
          empty(`activity_nats_${name}`)
        ),
        [0, 0, 0, 0]
      )

      // Half of the stream's mebibyte.
      yield* nats.publish(messagesOf(stream, "one", 4, { sizeBytes: 131_072 }))
      const [first, ...others] = yield* consumer.take(4, "5 seconds")
      assert.isDefined(first)
      yield* consumer.acknowledge([first!])
      yield* until(
        "the floor has moved",
        Effect.map(nats.ackFloor(stream.name, "reader"), (floor) => floor === first!.sequence)
      )
      const behind = yield* scrapeInAnHour
      assert.strictEqual(behind("activity_nats_consumer_lag_messages"), 3)
      assert.strictEqual(behind("activity_nats_stream_messages"), 4)
      assert.closeTo(behind("activity_nats_stream_fill_ratio"), 0.5, 0.01)
      // An hour, and the moments of this test.
      for (const name of ["activity_nats_consumer_oldest_seconds", "activity_nats_stream_age_seconds"]) {
        assert.isAtLeast(behind(name), 3_600, name)
        assert.isBelow(behind(name), 3_660, name)
      }

      yield* consumer.acknowledge(others)
      yield* until(
        "all is acknowledged",
        Effect.map(scrapeInAnHour, (value) => value("activity_nats_consumer_lag_messages") === 0)
      )
      const done = yield* scrapeInAnHour
      assert.strictEqual(done("activity_nats_consumer_oldest_seconds"), 0)
      assert.isAtLeast(done("activity_nats_stream_age_seconds"), 3_600)
    }).pipe(
      Effect.scoped,
      Effect.provide(Layer.mergeAll(Health.layer, Metrics.layer, natsLayer({ servers: [server.url], name: "test" })))
    )
  )
})
