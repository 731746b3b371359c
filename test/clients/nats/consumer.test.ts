import { assert, describe } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import type { Consumer } from "../../../src/clients/nats/Nats.ts"
import { administered, connected, idIn, messagesOf, onOwnServer, sharedServer, streamOf, until } from "./fixtures.ts"

const { live, server } = sharedServer()

/** Takes and acknowledges until `count` different ids were seen. */
const readUntil = (consumer: Consumer, seen: Map<string, number>, count: number) =>
  Effect.gen(function* () {
    while (seen.size < count) {
      const taken = yield* consumer.take(500, "20 millis")
      for (const delivery of taken) seen.set(idIn(delivery), (seen.get(idIn(delivery)) ?? 0) + 1)
      yield* consumer.acknowledge(taken)
    }
  })

describe("consumer", () => {
  live("a delivery tells its position, time, headers and body", (nats) =>
    Effect.gen(function* () {
      const stream = streamOf("TOLD")
      yield* nats.ensureStreams([stream])
      const [ack] = yield* nats.publish([
        { subject: "told.a", id: "1", body: Buffer.from("x"), headers: { "Activity-Mark": "added" } }
      ])
      const consumer = yield* nats.consumer({ stream: "TOLD", durable: "reader", ackPendingMax: 10 })
      const [delivery] = yield* consumer.take(10, "10 millis")
      assert.strictEqual(delivery?.stream, "TOLD")
      assert.strictEqual(delivery?.subject, "told.a")
      assert.strictEqual(delivery?.sequence, ack?.sequence)
      assert.strictEqual(delivery?.deliveries, 1)
      assert.strictEqual(delivery?.header("Activity-Mark"), "added")
      assert.strictEqual(delivery?.header("activity-mark"), "")
      assert.strictEqual(idIn(delivery ?? { body: new Uint8Array() }), "x")
      const stored = yield* nats.messageAt("TOLD", ack?.sequence ?? 0)
      assert.strictEqual(stored._tag === "Some" ? stored.value.timeMillis : 0, delivery?.timeMillis)
      assert.isTrue(consumer.healthy())
    })
  )

  live("take answers at `max` at once, and with less after `wait`", (nats) =>
    Effect.gen(function* () {
      const stream = streamOf("BATCHED")
      yield* nats.ensureStreams([stream])
      yield* nats.publish(messagesOf(stream, "a", 25))
      const consumer = yield* nats.consumer({ stream: "BATCHED", durable: "reader", ackPendingMax: 100 })
      assert.lengthOf(yield* consumer.take(10, "1 hour"), 10)
      assert.lengthOf(yield* consumer.take(10, "1 hour"), 10)
      assert.lengthOf(yield* consumer.take(10, "1 second"), 5)
    })
  )

  live("two fibers of two replicas share a stream: each message goes to one of them", (nats) =>
    connected(server(), (other) =>
      Effect.gen(function* () {
        const stream = streamOf("SHARED")
        yield* nats.ensureStreams([stream])
        const seen = new Map<string, number>()
        const options = { stream: "SHARED", durable: "reader", ackPendingMax: 2_000 }
        const consumers = [yield* nats.consumer(options), yield* other.consumer(options)]
        const readers = yield* Effect.forEach([...consumers, ...consumers], (consumer) =>
          Effect.forkChild(readUntil(consumer, seen, 20_000))
        )
        yield* nats.publish(messagesOf(stream, "a", 20_000))
        yield* until(
          "all are read",
          Effect.sync(() => seen.size === 20_000)
        )
        yield* Fiber.interruptAll(readers)
        assert.deepStrictEqual(
          [...seen.values()].filter((count) => count !== 1),
          []
        )
      })
    )
  )

  live("what is not acknowledged is not taken beyond the limit, and waits", (nats) =>
    Effect.gen(function* () {
      const stream = streamOf("LIMITED")
      yield* nats.ensureStreams([stream])
      yield* nats.publish(messagesOf(stream, "a", 50))
      const consumer = yield* nats.consumer({ stream: "LIMITED", durable: "reader", ackPendingMax: 20 })
      const first = yield* consumer.take(50, "2 seconds")
      assert.lengthOf(first, 20)
      yield* consumer.acknowledge(first)
      assert.lengthOf(yield* consumer.take(20, "1 hour"), 20)
    })
  )

  live("what a released consumer has not acknowledged goes to the next one at once", (nats) =>
    Effect.gen(function* () {
      const stream = streamOf("RELEASED")
      yield* nats.ensureStreams([stream])
      yield* nats.publish(messagesOf(stream, "a", 30))
      const options = { stream: "RELEASED", durable: "reader", ackPendingMax: 100 }
      yield* Effect.scoped(
        Effect.gen(function* () {
          const consumer = yield* nats.consumer(options)
          const taken = yield* consumer.take(10, "1 hour")
          yield* consumer.acknowledge(taken.slice(0, 4))
        })
      )
      const seen = new Map<string, number>()
      yield* readUntil(yield* nats.consumer(options), seen, 26)
      assert.isFalse(seen.has("a-3"))
      assert.isTrue(seen.has("a-4"))
      assert.isTrue(seen.has("a-29"))
    })
  )

  live("a consumer that is deleted is made again behind its ack floor: nothing is lost", (nats) =>
    Effect.gen(function* () {
      const stream = streamOf("DELETED")
      yield* nats.ensureStreams([stream])
      const seen = new Map<string, number>()
      const consumer = yield* nats.consumer({ stream: "DELETED", durable: "reader", ackPendingMax: 1_000 })
      const reading = yield* Effect.forkChild(readUntil(consumer, seen, 6_000))
      for (let round = 0; round < 3; round++) {
        yield* nats.publish(messagesOf(stream, "a", 1_000, { first: round * 2_000 }))
        yield* administered(server(), (manager) => manager.consumers.delete("DELETED", "reader"))
        yield* nats.publish(messagesOf(stream, "a", 1_000, { first: round * 2_000 + 1_000 }))
        yield* until(
          "the one made again has delivered",
          Effect.sync(() => seen.size === (round + 1) * 2_000)
        )
      }
      yield* Fiber.join(reading)
      assert.strictEqual(seen.size, 6_000)
      assert.isTrue(consumer.healthy())
      yield* until(
        "the floor is at the end",
        Effect.gen(function* () {
          return (yield* nats.ackFloor("DELETED", "reader")) === (yield* nats.streamState("DELETED")).lastSequence
        })
      )
    })
  )

  live("a consumer made again does not deliver what its floor has passed", (nats) =>
    Effect.gen(function* () {
      const stream = streamOf("BEHIND")
      yield* nats.ensureStreams([stream])
      const acks = yield* nats.publish(messagesOf(stream, "a", 100))
      const options = { stream: "BEHIND", durable: "reader", ackPendingMax: 1_000 }
      yield* Effect.scoped(Effect.flatMap(nats.consumer(options), (consumer) => readUntil(consumer, new Map(), 100)))
      yield* nats.trim("BEHIND")
      yield* administered(server(), (manager) => manager.consumers.delete("BEHIND", "reader"))
      assert.strictEqual(yield* nats.ackFloor("BEHIND", "reader"), acks[99]?.sequence)
      yield* nats.publish(messagesOf(stream, "b", 5))
      const seen = new Map<string, number>()
      yield* readUntil(yield* nats.consumer(options), seen, 5)
      assert.deepStrictEqual([...seen.keys()], ["b-0", "b-1", "b-2", "b-3", "b-4"])
    })
  )

  live(
    "the ack floor of a stream that nobody has read is its first sequence less one, and it never goes back",
    (nats) =>
      Effect.gen(function* () {
        const stream = streamOf("FLOOR")
        yield* nats.ensureStreams([stream], { firstSequenceMin: 5_000_000_000_000_000 })
        assert.strictEqual(yield* nats.ackFloor("FLOOR", "reader"), 4_999_999_999_999_999)
        yield* nats.publish(messagesOf(stream, "a", 3))
        const consumer = yield* nats.consumer({ stream: "FLOOR", durable: "reader", ackPendingMax: 10 })
        const [first, second, third] = yield* consumer.take(3, "1 hour")
        yield* consumer.acknowledge(second === undefined ? [] : [second])
        assert.strictEqual(yield* nats.ackFloor("FLOOR", "reader"), 4_999_999_999_999_999)
        yield* consumer.acknowledge(first === undefined ? [] : [first])
        assert.strictEqual(yield* nats.ackFloor("FLOOR", "reader"), 5_000_000_000_000_001)
        yield* nats.trim("FLOOR")
        yield* administered(server(), (manager) => manager.consumers.delete("FLOOR", "reader"))
        assert.strictEqual(yield* nats.ackFloor("FLOOR", "reader"), 5_000_000_000_000_001)
        assert.isDefined(third)
      })
  )

  onOwnServer("kill -9 of the server while consuming loses nothing", (nats, own) =>
    Effect.gen(function* () {
      const stream = streamOf("RESTARTED")
      yield* nats.ensureStreams([stream])
      const seen = new Map<string, number>()
      const consumer = yield* nats.consumer({ stream: "RESTARTED", durable: "reader", ackPendingMax: 2_000 })
      const reading = yield* Effect.forkChild(readUntil(consumer, seen, 20_000))
      const publishing = yield* Effect.forkChild(
        Effect.forEach(
          Array.from({ length: 40 }, (_, batch) => batch),
          (batch) => nats.publish(messagesOf(stream, "a", 500, { first: batch * 500 })),
          { discard: true }
        )
      )
      for (let kill = 1; kill <= 2; kill++) {
        yield* until(
          "more is read",
          Effect.sync(() => seen.size >= kill * 5_000)
        )
        yield* Effect.promise(own.kill)
        yield* Effect.promise(own.start)
      }
      yield* Fiber.join(publishing)
      yield* Fiber.join(reading)
      assert.strictEqual(seen.size, 20_000)
    })
  )

  onOwnServer(
    "after the server has lost its data streams and consumers are made again, and sequences do not go back",
    (nats, own) =>
      Effect.gen(function* () {
        const stream = streamOf("WIPED")
        yield* nats.ensureStreams([stream])
        const seen = new Map<string, number>()
        const consumer = yield* nats.consumer({ stream: "WIPED", durable: "reader", ackPendingMax: 100 })
        const bucket = yield* nats.bucket("wiped", { history: 1, sizeBytesMax: 1_000_000 })
        const revision = yield* bucket.put("key", Buffer.from("1"))
        const before = yield* nats.publish(messagesOf(stream, "before", 10))
        yield* readUntil(consumer, seen, 10)
        yield* Effect.promise(own.kill)
        yield* Effect.promise(own.removeData)
        yield* Effect.promise(own.start)
        const after = yield* nats.publish(messagesOf(stream, "after", 10))
        assert.isAbove(after[0]?.sequence ?? 0, before.at(-1)?.sequence ?? 0)
        yield* readUntil(consumer, seen, 20)
        const again = yield* nats.bucket("wiped", { history: 1, sizeBytesMax: 1_000_000 })
        assert.isAbove(yield* again.put("key", Buffer.from("2")), revision)
      })
  )
})
