import { assert, describe } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { administered, idIn, messagesOf, sharedServer, streamOf, until } from "./fixtures.ts"

const { live, server } = sharedServer()
const mebibyte = 1024 * 1024

describe("trimming", () => {
  live("320 MiB pass through a stream of 32 MiB while they are consumed, without an error for the publisher", (nats) =>
    Effect.gen(function* () {
      const stream = streamOf("NARROW", { sizeMebibytes: 32 })
      yield* nats.ensureStreams([stream])
      const batches = 160
      const batchSize = 500
      const seen = new Set<string>()
      const consumer = yield* nats.consumer({ stream: "NARROW", durable: "reader", ackPendingMax: 4_000 })
      const reading = yield* Effect.forkChild(
        Effect.gen(function* () {
          while (seen.size < batches * batchSize) {
            const taken = yield* consumer.take(1_000, "50 millis")
            for (const delivery of taken) seen.add(idIn(delivery))
            yield* consumer.acknowledge(taken)
          }
        })
      )
      // 500 messages of 4 KiB are 2 MiB: 160 times that are 320 MiB, with headers somewhat more.
      yield* Effect.forEach(
        Array.from({ length: batches }, (_, batch) => batch),
        (batch) => nats.publish(messagesOf(stream, `batch${batch}`, batchSize, { sizeBytes: 4_096 })),
        { concurrency: 2, discard: true }
      )
      yield* Fiber.join(reading)
      assert.strictEqual(seen.size, 80_000)
      assert.strictEqual(nats.state().failed, 0)
      assert.deepStrictEqual(nats.state().lostPositions, [])
      assert.isAtMost((yield* nats.streamState("NARROW")).sizeBytes, 32 * mebibyte)
    })
  )

  live("what nobody has acknowledged stays: the stream is full, and nothing of it goes", (nats) =>
    Effect.gen(function* () {
      const stream = streamOf("UNREAD", { sizeMebibytes: 4 })
      yield* nats.ensureStreams([stream])
      const outcomes = yield* nats.publishEach(messagesOf(stream, "a", 100, { sizeBytes: 100_000 }))
      const stored = outcomes.filter((outcome) => !("reason" in outcome)).length
      // 4 MiB hold 41 messages of 100 kB and some overhead.
      assert.isAtLeast(stored, 38)
      assert.isAtMost(stored, 41)
      const error = yield* Effect.flip(nats.publish(messagesOf(stream, "b", 1, { sizeBytes: 100_000 })))
      assert.strictEqual(error.reason._tag, "StreamFull")
      assert.isTrue(error.retryable)
      assert.strictEqual((yield* nats.streamState("UNREAD")).messages, stored)
    })
  )

  live("what was acknowledged stays while it fits into 60 % of the budget", (nats) =>
    Effect.gen(function* () {
      const stream = streamOf("KEPT", { sizeMebibytes: 10 })
      yield* nats.ensureStreams([stream])
      const publishAndRead = (prefix: string, count: number) =>
        Effect.scoped(
          Effect.gen(function* () {
            yield* nats.publish(messagesOf(stream, prefix, count, { sizeBytes: 100_000 }))
            const consumer = yield* nats.consumer({ stream: "KEPT", durable: "reader", ackPendingMax: 1_000 })
            for (let left = count; left > 0;) {
              const taken = yield* consumer.take(100, "20 millis")
              yield* consumer.acknowledge(taken)
              left -= taken.length
            }
          })
        )
      // 5 of 10 MiB: below the part that is kept.
      yield* publishAndRead("a", 52)
      yield* nats.trim("KEPT")
      assert.strictEqual((yield* nats.streamState("KEPT")).messages, 52)
      yield* publishAndRead("b", 45)
      yield* nats.trim("KEPT")
      const { sizeBytes } = yield* nats.streamState("KEPT")
      assert.isAtMost(sizeBytes, 6 * mebibyte)
      assert.isAtLeast(sizeBytes, 5.5 * mebibyte)
    })
  )

  live("a required consumer that is missing stops the trimming, visibly, until it is back", (nats) =>
    Effect.gen(function* () {
      const stream = streamOf("MISSING", { sizeMebibytes: 4, consumers: ["reader", "other"] })
      yield* nats.ensureStreams([stream])
      yield* nats.publish(messagesOf(stream, "a", 38, { sizeBytes: 100_000 }))
      const acknowledgeAll = (durable: string) =>
        Effect.scoped(
          Effect.gen(function* () {
            const consumer = yield* nats.consumer({ stream: "MISSING", durable, ackPendingMax: 1_000 })
            for (let left = 38; left > 0;) {
              const taken = yield* consumer.take(100, "20 millis")
              yield* consumer.acknowledge(taken)
              left -= taken.length
            }
          })
        )
      yield* administered(server(), (manager) => manager.consumers.delete("MISSING", "other"))
      yield* acknowledgeAll("reader")
      yield* nats.trim("MISSING")
      assert.deepStrictEqual([...nats.state().trimStopped], [["MISSING", "other"]])
      assert.strictEqual((yield* nats.streamState("MISSING")).messages, 38)
      yield* acknowledgeAll("other")
      yield* nats.trim("MISSING")
      assert.deepStrictEqual([...nats.state().trimStopped], [])
      assert.isBelow((yield* nats.streamState("MISSING")).messages, 30)
    })
  )

  live("messages that were removed before they were acknowledged are a lost position with its exact bounds", (nats) =>
    Effect.gen(function* () {
      const stream = streamOf("LOST")
      yield* nats.ensureStreams([stream])
      const acks = yield* nats.publish(messagesOf(stream, "a", 20))
      const sequence = (index: number) => acks[index]?.sequence ?? 0
      yield* Effect.scoped(
        Effect.gen(function* () {
          const consumer = yield* nats.consumer({ stream: "LOST", durable: "reader", ackPendingMax: 5 })
          yield* consumer.acknowledge(yield* consumer.take(5, "1 hour"))
        })
      )
      yield* until(
        "the floor is known",
        nats
          .trim("LOST")
          .pipe(Effect.andThen(Effect.map(nats.ackFloor("LOST", "reader"), (floor) => floor === sequence(4))))
      )
      yield* administered(server(), (manager) => manager.streams.purge("LOST", { seq: sequence(12) }))
      yield* until(
        "the loss is noticed",
        Effect.as(nats.trim("LOST"), true).pipe(Effect.map(() => nats.state().lostPositions.length > 0))
      )
      assert.deepStrictEqual(nats.state().lostPositions, [
        { stream: "LOST", durable: "reader", from: sequence(5), to: sequence(11) }
      ])
    })
  )
})
