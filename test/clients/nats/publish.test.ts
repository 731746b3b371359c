import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Option, Stream } from "effect"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import type { NatsError } from "../../../src/clients/nats/Nats.ts"
import { subjectToken } from "../../../src/domain/subject.ts"
import { startNatsServer } from "../../support/natsServer.ts"
import { connected, idIn, messagesOf, onOwnServer, sharedServer, streamOf, until } from "./fixtures.ts"

const { live, server } = sharedServer()

setFlagsFromString("--expose-gc")
const collectGarbage: () => void = runInNewContext("gc")

describe("publish", () => {
  live(
    "behind what was read: of two who read the same one is stored, and nothing that follows what was trimmed",
    (nats) =>
      Effect.gen(function* () {
        const stream = streamOf("BEHIND", { consumers: [] })
        yield* nats.ensureStreams([stream])
        const subject = "behind.one"
        const message = (id: string) => ({ subject, id, body: Buffer.from(id) })
        const after = (last: number, id: string) =>
          nats.publishAfter({ stream: stream.name, last, message: message(id) }).pipe(
            Effect.map(({ duplicate, sequence }) => ({ duplicate, sequence })),
            Effect.catch((error) => Effect.succeed(error.reason._tag))
          )
        assert.strictEqual(yield* nats.lastSequenceOn(stream.name, subject), 0)
        const both = yield* Effect.all([after(0, "a"), after(0, "b")], { concurrency: 2 })
        assert.lengthOf(
          both.filter((outcome) => outcome === "RevisionMismatch"),
          1
        )
        yield* nats.publish([{ ...message("other"), subject: "behind.two" }])
        const first = yield* nats.lastSequenceOn(stream.name, subject)
        const second = { duplicate: false, sequence: first + 2 }
        assert.deepStrictEqual(yield* after(first, "c"), second)
        // Sent again it is known, though its place is taken: by itself.
        assert.deepStrictEqual(yield* after(first, "c"), { ...second, duplicate: true })
        assert.strictEqual(yield* after(first, "d"), "RevisionMismatch")
        assert.strictEqual(yield* after(0, "e"), "RevisionMismatch")
        assert.isTrue(yield* nats.deleteMessage(stream.name, second.sequence))
        assert.strictEqual(yield* after(second.sequence, "f"), "RevisionMismatch")
      })
  )

  live("a known id answers the old position and stores nothing", (nats) =>
    Effect.gen(function* () {
      const stream = streamOf("KNOWN")
      yield* nats.ensureStreams([stream])
      const [first] = yield* nats.publish(messagesOf(stream, "a", 1))
      const again = yield* nats.publish([...messagesOf(stream, "a", 1), ...messagesOf(stream, "b", 1)])
      assert.deepStrictEqual(
        again.map((ack) => ack.duplicate),
        [true, false]
      )
      assert.strictEqual(again[0]?.sequence, first?.sequence)
      assert.strictEqual((yield* nats.streamState("KNOWN")).messages, 2)
    })
  )

  live("50,000 messages of eight publishers are stored once each, each batch in order", (nats) =>
    Effect.gen(function* () {
      const stream = streamOf("MANY")
      yield* nats.ensureStreams([stream])
      const acks = yield* Effect.forEach(
        Array.from({ length: 50 }, (_, batch) => batch),
        (batch) => nats.publish(messagesOf(stream, `batch${batch}`, 1_000)),
        { concurrency: 8 }
      )
      for (const batch of acks) {
        const sequences = batch.map((ack) => ack.sequence)
        assert.deepStrictEqual(
          sequences,
          sequences.toSorted((left, right) => left - right)
        )
      }
      const state = yield* nats.streamState("MANY")
      assert.strictEqual(state.messages, 50_000)
      assert.strictEqual(state.lastSequence - state.firstSequence + 1, 50_000)
      assert.strictEqual(nats.state().published, 50_000)
      assert.strictEqual(nats.state().failed, 0)
    })
  )

  live("what was stored is let go of, though the queue is never empty", (nats) =>
    Effect.gen(function* () {
      const stream = streamOf("GOING")
      yield* nats.ensureStreams([stream])
      const bodies: Array<WeakRef<Uint8Array>> = []
      let stored = 0
      let alive = -1
      const publish = (batch: number) =>
        Effect.gen(function* () {
          const messages = messagesOf(stream, `going${batch}`, 1_000).map((message) => ({
            ...message,
            body: new Uint8Array(100)
          }))
          bodies.push(new WeakRef(messages[0]!.body))
          yield* nats.publish(messages)
          if (++stored !== 30) return
          collectGarbage()
          alive = bodies.slice(0, 20).filter((body) => body.deref() !== undefined).length
        })
      // Four at once: the window holds half of one.
      yield* Effect.forEach(
        Array.from({ length: 40 }, (_, batch) => batch),
        publish,
        { concurrency: 4, discard: true }
      )
      assert.strictEqual(alive, 0)
    })
  )

  live("a message does not wait for a large batch that was there before it", (nats) =>
    Effect.gen(function* () {
      const stream = streamOf("TURNS")
      yield* nats.ensureStreams([stream])
      const large = yield* Effect.forkChild(nats.publish(messagesOf(stream, "large", 20_000)))
      const [alone] = yield* nats.publish(messagesOf(stream, "alone", 1))
      const first = (yield* nats.streamState(stream.name)).firstSequence
      yield* Fiber.join(large)
      assert.isBelow((alone?.sequence ?? Number.NaN) - first, 10_000)
    })
  )

  live("an empty batch is published at once", (nats) =>
    Effect.map(nats.publish([]), (acks) => assert.deepStrictEqual(acks, []))
  )

  live("what is larger than the server takes is MessageTooLarge, and its neighbours are stored", (nats) =>
    Effect.gen(function* () {
      const stream = streamOf("LARGE")
      yield* nats.ensureStreams([stream])
      assert.strictEqual(nats.messageSizeBytesMax(), 8_388_608)
      const large = messagesOf(stream, "large", 1, { sizeBytes: 8_388_609 })
      const outcomes = yield* nats.publishEach([...messagesOf(stream, "a", 1), ...large, ...messagesOf(stream, "b", 1)])
      assert.deepStrictEqual(
        outcomes.map((outcome) => ("reason" in outcome ? outcome.reason._tag : "stored")),
        ["stored", "MessageTooLarge", "stored"]
      )
      const error = yield* Effect.flip(nats.publish(large))
      assert.strictEqual(error.reason._tag, "MessageTooLarge")
      assert.isFalse(error.retryable)
    })
  )

  live("subjects of odd names come back as they were sent", (nats) =>
    Effect.gen(function* () {
      const stream = streamOf("ODD")
      yield* nats.ensureStreams([stream])
      const names = ["", ".", "a.b", "*", ">", "über", "a b", "_", "%", "tab\there", "日本", "a/b:c", "\u0000"]
      const subjects = names.map((name) => `odd.${subjectToken(name)}`)
      assert.strictEqual(new Set(subjects).size, names.length)
      const acks = yield* nats.publish(
        subjects.map((subject, index) => ({ subject, id: `odd-${index}`, body: Buffer.from("x") }))
      )
      for (const [index, ack] of acks.entries()) {
        const found = Option.getOrThrow(yield* nats.messageAt("ODD", ack.sequence))
        assert.strictEqual(found.subject, subjects[index])
      }
    })
  )

  live("a line break in a header's value does not become another header", (nats) =>
    Effect.gen(function* () {
      const stream = streamOf("HEADERS")
      yield* nats.ensureStreams([stream])
      const headers = { "Activity-Cause": "first\r\nActivity-Mark: forged", "Activity-Tenant": "Project/käse" }
      const [ack] = yield* nats.publish([{ subject: "headers.one", id: "1", body: Buffer.from("x"), headers }])
      const found = Option.getOrThrow(yield* nats.messageAt("HEADERS", ack?.sequence ?? 0))
      assert.strictEqual(found.header("Activity-Cause"), "first Activity-Mark: forged")
      assert.strictEqual(found.header("Activity-Mark"), "")
      assert.strictEqual(found.header("Activity-Tenant"), "Project/käse")
      assert.strictEqual(found.header("absent"), "")
    })
  )

  live("a subject that would cost the connection is refused at once, and its neighbours are stored", (nats) =>
    Effect.gen(function* () {
      const stream = streamOf("CONTROL")
      yield* nats.ensureStreams([stream])
      const [message] = messagesOf(stream, "odd", 1)
      assert.isDefined(message)
      const odd = [
        "x".repeat(3_493),
        "ü".repeat(1_750),
        "x".repeat(9_000),
        "a b",
        "a\r\nPING",
        "a..b",
        "a.",
        "",
        "*",
        ">"
      ]
      const outcomes = yield* nats.publishEach([
        ...messagesOf(stream, "a", 1),
        ...odd.map((rest, index) => ({ ...message, id: `odd${index}`, subject: `control.${rest}` })),
        { ...message, subject: `control.${"x".repeat(3_492)}` },
        ...messagesOf(stream, "b", 1)
      ])
      assert.deepStrictEqual(
        outcomes.map((outcome) => ("reason" in outcome ? outcome.reason._tag : "stored")),
        ["stored", ...odd.map(() => "NatsRefused"), "stored", "stored"]
      )
      const [, long] = outcomes
      assert.isTrue(long !== undefined && "reason" in long && !long.retryable)
      assert.match(long !== undefined && "reason" in long ? long.message : "", /subject too long/)
      assert.strictEqual(nats.state().disconnects, 0)
    })
  )

  live("a subject that no stream takes yet is published as soon as one does, else NatsUnavailable", (nats) =>
    Effect.gen(function* () {
      const stream = streamOf("LATER")
      const error = yield* connected(server(), (other) => Effect.flip(other.publish(messagesOf(stream, "a", 1))), {
        unavailableAfter: "1 second"
      })
      assert.strictEqual(error.reason._tag, "NatsUnavailable")
      assert.isTrue(error.retryable)
      const publishing = yield* Effect.forkChild(nats.publish(messagesOf(stream, "b", 3)))
      yield* nats.ensureStreams([stream])
      assert.lengthOf(yield* Fiber.join(publishing), 3)
    })
  )

  onOwnServer("what is published over kill -9 and restart of the server is stored once", (nats, own) =>
    Effect.gen(function* () {
      const stream = streamOf("KILLED")
      yield* nats.ensureStreams([stream])
      const publishing = yield* Effect.forkChild(
        Effect.forEach(
          Array.from({ length: 60 }, (_, batch) => batch),
          (batch) => nats.publish(messagesOf(stream, `batch${batch}`, 500)),
          { concurrency: 4, discard: true }
        )
      )
      for (let kill = 1; kill <= 3; kill++) {
        yield* until(
          "more is published",
          Effect.sync(() => nats.state().published >= kill * 5_000)
        )
        yield* Effect.promise(own.kill)
        yield* Effect.promise(own.start)
      }
      yield* Fiber.join(publishing)
      assert.isAtLeast(nats.state().disconnects, 1)
      const ids = yield* nats
        .tail({ stream: "KILLED", from: 1 })
        .pipe(Stream.take(30_000), Stream.map(idIn), Stream.runCollect)
      assert.strictEqual(new Set(ids).size, 30_000)
      assert.strictEqual((yield* nats.streamState("KILLED")).messages, 30_000)
    })
  )

  onOwnServer("a server that hangs for a while loses and doubles nothing", (nats, own) =>
    Effect.gen(function* () {
      const stream = streamOf("FROZEN")
      yield* nats.ensureStreams([stream])
      own.freeze()
      const publishing = yield* Effect.forkChild(nats.publish(messagesOf(stream, "a", 2_000)))
      yield* until(
        "answers are overdue",
        Effect.sync(() => nats.state().resent > 0)
      )
      own.thaw()
      yield* Fiber.join(publishing)
      assert.strictEqual((yield* nats.streamState("FROZEN")).messages, 2_000)
    })
  )

  onOwnServer(
    "without a server publishing fails with NatsUnavailable after the wait, and goes on when it is back",
    (nats, own) =>
      Effect.gen(function* () {
        const stream = streamOf("AWAY")
        yield* patiently(nats.ensureStreams([stream]))
        yield* Effect.promise(own.kill)
        yield* until(
          "the loss is noticed",
          Effect.sync(() => !nats.connected())
        )
        const error = yield* Effect.flip(nats.publish(messagesOf(stream, "a", 10)))
        assert.strictEqual(error.reason._tag, "NatsUnavailable")
        assert.strictEqual((yield* Effect.flip(nats.streamState("AWAY"))).reason._tag, "NatsUnavailable")
        yield* Effect.promise(own.start)
        yield* until(
          "it is connected again",
          Effect.sync(() => nats.connected())
        )
        yield* patiently(nats.publish(messagesOf(stream, "a", 10)))
        assert.strictEqual((yield* patiently(nats.streamState("AWAY"))).messages, 10)
      }),
    "1 second"
  )

  it.live("a connection that is opened before its server works when the server is there", () =>
    Effect.gen(function* () {
      const own = yield* Effect.acquireRelease(Effect.promise(startNatsServer), (started) =>
        Effect.promise(started.stop)
      )
      yield* Effect.promise(own.kill)
      const stream = streamOf("EARLY")
      const working = yield* Effect.forkChild(
        connected(
          own,
          (nats) => nats.ensureStreams([stream]).pipe(Effect.andThen(nats.publish(messagesOf(stream, "a", 1)))),
          { unavailableAfter: "1 minute" }
        )
      )
      yield* Effect.promise(own.start)
      assert.lengthOf(yield* Fiber.join(working), 1)
    }).pipe(Effect.scoped)
  )
})

/** Again as long as it may help: a server that has just started may be a while about its streams. */
const patiently = <A>(effect: Effect.Effect<A, NatsError>) =>
  Effect.retry(effect, { while: ({ retryable }) => retryable })
