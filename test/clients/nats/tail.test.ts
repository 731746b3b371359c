import { assert, describe } from "@effect/vitest"
import { Effect, Fiber, Option, Stream } from "effect"
import { connected, idIn, messagesOf, onOwnServer, sharedServer, streamOf, until } from "./fixtures.ts"

const { live, server } = sharedServer()

describe("tail", () => {
  live("shows everything from a sequence on, in order, and what comes later", (nats) =>
    Effect.gen(function* () {
      const stream = streamOf("TAILED")
      yield* nats.ensureStreams([stream])
      const acks = yield* nats.publish(messagesOf(stream, "a", 3_000))
      const tailing = yield* Effect.forkChild(
        nats
          .tail({ stream: "TAILED", from: acks[10]?.sequence ?? 0 })
          .pipe(Stream.take(4_990), Stream.map(idIn), Stream.runCollect)
      )
      yield* nats.publish(messagesOf(stream, "a", 2_000, { first: 3_000 }))
      assert.deepStrictEqual(
        yield* Fiber.join(tailing),
        Array.from({ length: 4_990 }, (_, index) => `a-${index + 10}`)
      )
    })
  )

  live("shows only the subjects that were asked for, and no bodies when only headers were", (nats) =>
    Effect.gen(function* () {
      yield* nats.ensureStreams([streamOf("FILTERED")])
      yield* nats.publish(
        ["a", "b", "c", "a"].map((name, index) => ({
          subject: `filtered.${name}.x`,
          id: `${index}`,
          body: Buffer.from(name),
          headers: { "Activity-Mark": name }
        }))
      )
      const seen = yield* nats
        .tail({ stream: "FILTERED", from: 1, subjects: ["filtered.a.>", "filtered.c.>"], headersOnly: true })
        .pipe(Stream.take(3), Stream.runCollect)
      assert.deepStrictEqual(
        seen.map((message) => [message.header("Activity-Mark"), message.body.length]),
        [
          ["a", 0],
          ["c", 0],
          ["a", 0]
        ]
      )
    })
  )

  live("a slow reader does not make the client hold the stream", (nats) =>
    Effect.gen(function* () {
      const stream = streamOf("SLOW")
      yield* nats.ensureStreams([stream])
      yield* nats.publish(messagesOf(stream, "a", 20_000))
      let last = ""
      yield* nats.tail({ stream: "SLOW", from: 1 }).pipe(
        Stream.tap((message) => Effect.sync(() => void (last = idIn(message)))),
        Stream.rechunk(100),
        Stream.mapArray((chunk) => [chunk]),
        Stream.mapEffect(() => Effect.yieldNow),
        Stream.take(200),
        Stream.runDrain
      )
      assert.strictEqual(last, "a-19999")
    })
  )

  live("strict fails with 410 where messages are gone; otherwise it goes on with what there is", (nats) =>
    Effect.gen(function* () {
      yield* nats.ensureStreams([streamOf("STRICT")])
      const [first] = yield* nats.publish(messagesOf(streamOf("STRICT"), "a", 2))
      const from = (first?.sequence ?? 0) - 1
      const error = yield* nats.tail({ stream: "STRICT", from, strict: true }).pipe(Stream.runDrain, Effect.flip)
      assert.strictEqual(error.reason._tag === "NatsRefused" ? error.reason.code : 0, 410)
      const seen = yield* nats
        .tail({ stream: "STRICT", from })
        .pipe(Stream.take(2), Stream.map(idIn), Stream.runCollect)
      assert.deepStrictEqual(seen, ["a-0", "a-1"])
    })
  )

  onOwnServer("goes on without gap or repetition when the server is killed", (nats, own) =>
    Effect.gen(function* () {
      const stream = streamOf("HEALED")
      yield* nats.ensureStreams([stream])
      let seen = 0
      const tailing = yield* Effect.forkChild(
        nats.tail({ stream: "HEALED", from: 1 }).pipe(
          Stream.tap(() => Effect.sync(() => void seen++)),
          Stream.take(10_000),
          Stream.map(idIn),
          Stream.runCollect
        )
      )
      for (let batch = 0; batch < 20; batch++) {
        yield* nats.publish(messagesOf(stream, "a", 500, { first: batch * 500 }))
        if (batch % 8 === 4) {
          yield* until(
            "some were seen",
            Effect.sync(() => seen > 0)
          )
          yield* Effect.promise(own.kill)
          yield* Effect.promise(own.start)
        }
      }
      assert.deepStrictEqual(
        yield* Fiber.join(tailing),
        Array.from({ length: 10_000 }, (_, index) => `a-${index}`)
      )
    })
  )
})

describe("messages by sequence", () => {
  live("a message is read, deleted once, and then absent", (nats) =>
    Effect.gen(function* () {
      const stream = streamOf("SINGLE", { consumers: [] })
      yield* nats.ensureStreams([stream])
      const acks = yield* nats.publish(messagesOf(stream, "a", 3))
      const sequence = acks[1]?.sequence ?? 0
      assert.strictEqual(idIn(Option.getOrThrow(yield* nats.messageAt("SINGLE", sequence))), "a-1")
      assert.isTrue(yield* nats.deleteMessage("SINGLE", sequence))
      assert.isFalse(yield* nats.deleteMessage("SINGLE", sequence))
      assert.isTrue(Option.isNone(yield* nats.messageAt("SINGLE", sequence)))
      assert.strictEqual((yield* nats.streamState("SINGLE")).messages, 2)
    })
  )
})

describe("streams", () => {
  live("made twice keep their data and take the new limit", (nats) =>
    Effect.gen(function* () {
      const stream = streamOf("TWICE", { sizeMebibytes: 8 })
      yield* nats.ensureStreams([stream])
      const [ack] = yield* nats.publish(messagesOf(stream, "a", 1))
      yield* nats.ensureStreams([stream], { sizeScale: 2 })
      const state = yield* nats.streamState("TWICE")
      assert.strictEqual(state.sizeBytesMax, 16 * 1024 * 1024)
      assert.strictEqual(state.firstSequence, ack?.sequence)
      assert.strictEqual(state.messages, 1)
      assert.isAbove(state.lastTimeMillis, 0)
    })
  )

  live("made by several programs at once are made once", (nats) =>
    connected(server(), (other) =>
      Effect.gen(function* () {
        const stream = streamOf("ATONCE", { consumers: ["reader", "second"] })
        yield* Effect.all([nats.ensureStreams([stream]), other.ensureStreams([stream]), nats.ensureStreams([stream])], {
          concurrency: "unbounded"
        })
        assert.lengthOf(yield* nats.publish(messagesOf(stream, "a", 1)), 1)
      })
    )
  )

  live("a stream starts at microseconds since 1970, or at the sequence that was asked for", (nats) =>
    Effect.gen(function* () {
      yield* nats.ensureStreams([streamOf("FIRST")])
      // 2020-01-01 and 2100-01-01 in microseconds.
      const { firstSequence } = yield* nats.streamState("FIRST")
      assert.isAbove(firstSequence, 1_577_836_800_000_000)
      assert.isBelow(firstSequence, 4_102_444_800_000_000)
      yield* nats.ensureStreams([streamOf("ASKED")], { firstSequenceMin: 4_102_444_800_000_000 })
      assert.strictEqual((yield* nats.streamState("ASKED")).firstSequence, 4_102_444_800_000_000)
    })
  )
})
