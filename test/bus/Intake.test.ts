import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Stream } from "effect"
import { rmSync, symlinkSync } from "node:fs"
import { join } from "node:path"
import { DeadLetters } from "../../src/bus/DeadLetters.ts"
import { Intake } from "../../src/bus/Intake.ts"
import { Nats } from "../../src/clients/nats/Nats.ts"
import { natsLayer } from "../../src/clients/nats/natsLayer.ts"
import { deadLetters, headerNames } from "../../src/domain/streams.ts"
import { ownIdentity } from "../../src/runtime/processes.ts"
import { idIn, messagesOf, streamOf, until } from "../clients/nats/fixtures.ts"
import { startNatsServer, type TestNatsServer } from "../support/natsServer.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"

let server: TestNatsServer

beforeAll(async () => {
  server = await startNatsServer()
})
afterAll(() => server.stop())

const timeout = 120_000

const withIntake = <A, E>(
  spoolBytesMax: number,
  work: (intake: Intake["Service"], nats: Nats["Service"]) => Effect.Effect<A, E>,
  at: TestNatsServer = server
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.promise(() => temporaryFolder("intake")),
        (made) => Effect.promise(made.remove)
      )
      return yield* Effect.flatMap(Intake, (intake) => Effect.flatMap(Nats, (nats) => work(intake, nats))).pipe(
        Effect.provide(
          Intake.layer({ folder: folder.path, sizeBytesMax: spoolBytesMax }).pipe(
            Layer.provideMerge(natsLayer({ servers: [at.url], name: "test", unavailableAfter: "5 seconds" }))
          )
        )
      )
    })
  )

const mebibyte = 1024 * 1024

describe("Intake", () => {
  it.live(
    "publishes, and counts what the bus knew already",
    () =>
      withIntake(mebibyte, (intake, nats) =>
        Effect.gen(function* () {
          const stream = streamOf("TAKEN")
          yield* nats.ensureStreams([stream])
          yield* intake.publish(messagesOf(stream, "a", 5))
          const result = yield* intake.publish(messagesOf(stream, "a", 8))
          assert.deepStrictEqual(result, { published: 3, duplicates: 5, spooled: 0, refused: 0 })
          assert.deepStrictEqual(intake.counts(), {
            received: 13,
            published: 8,
            duplicates: 5,
            spooled: 0,
            refused: 0,
            returned: 0,
            replayed: 0
          })
          assert.isUndefined(intake.problem())
        })
      ),
    timeout
  )

  it.live(
    "spools while the bus is away, and replays beside live traffic when it is back: nothing lost, nothing twice",
    () =>
      Effect.scoped(
        Effect.gen(function* () {
          const own = yield* Effect.acquireRelease(Effect.promise(startNatsServer), (started) =>
            Effect.promise(started.stop)
          )
          yield* withIntake(
            16 * mebibyte,
            (intake, nats) =>
              Effect.gen(function* () {
                const stream = streamOf("AWAY")
                yield* nats.ensureStreams([stream])
                const replaying = yield* Effect.forkChild(intake.replay)
                yield* intake.publish(messagesOf(stream, "a", 100))
                yield* Effect.promise(own.kill)
                yield* until(
                  "the loss is noticed",
                  Effect.sync(() => !nats.connected())
                )
                const spooled = yield* intake.publish(messagesOf(stream, "a", 900, { first: 100 }))
                assert.deepStrictEqual(spooled, { published: 0, duplicates: 0, spooled: 900, refused: 0 })
                assert.strictEqual(intake.spool()?.messages, 900)
                yield* Effect.promise(own.start)
                yield* until(
                  "it is back",
                  Effect.sync(() => nats.connected())
                )
                yield* intake.publish(messagesOf(stream, "a", 100, { first: 1_000 }))
                yield* until(
                  "the spool is empty",
                  Effect.sync(() => intake.spool()?.messages === 0)
                )
                yield* Fiber.interrupt(replaying)
                assert.strictEqual(intake.counts().replayed, 900)
                const ids = yield* nats
                  .tail({ stream: "AWAY", from: 1 })
                  .pipe(Stream.take(1_100), Stream.map(idIn), Stream.runCollect)
                assert.strictEqual(new Set(ids).size, 1_100)
                assert.strictEqual((yield* nats.streamState("AWAY")).messages, 1_100)
              }),
            own
          )
        })
      ),
    timeout
  )

  it.live(
    "a full bus goes to the spool, a full spool to the sender",
    () =>
      withIntake(mebibyte, (intake, nats) =>
        Effect.gen(function* () {
          const stream = streamOf("FULL", { sizeMebibytes: 1 })
          yield* nats.ensureStreams([stream])
          // 1 MiB of bus and 1 MiB of spool take ten messages of 100 kB each, and not twenty-five.
          const first = yield* intake.publish(messagesOf(stream, "a", 18, { sizeBytes: 100_000 }))
          assert.strictEqual(first.published + first.spooled, 18)
          assert.isAtLeast(first.spooled, 8)
          const error = yield* Effect.flip(intake.publish(messagesOf(stream, "b", 7, { sizeBytes: 100_000 })))
          assert.strictEqual(error.state, "full")
          const { duplicates, published, received, refused, returned, spooled } = intake.counts()
          assert.strictEqual(received, published + duplicates + spooled + refused + returned)
        })
      ),
    timeout
  )

  it.live(
    "a full stream holds up only its own messages, from the spool and live, and gets them when it has room",
    () =>
      withIntake(16 * mebibyte, (intake, nats) =>
        Effect.gen(function* () {
          const junk = streamOf("JUNK", { sizeMebibytes: 1 })
          const good = streamOf("GOOD")
          yield* nats.ensureStreams([junk, good])
          const first = yield* intake.publish(messagesOf(junk, "a", 18, { sizeBytes: 100_000 }))
          assert.isAtLeast(first.spooled, 8)
          // Spooled behind the junk, as the bus was full for it.
          const mixed = yield* intake.publish([
            ...messagesOf(junk, "b", 2, { sizeBytes: 100_000 }),
            ...messagesOf(good, "b", 3)
          ])
          assert.deepStrictEqual(mixed, { published: 3, duplicates: 0, spooled: 2, refused: 0 })
          const unreachable = streamOf("LATE")
          yield* intake.publish(messagesOf(unreachable, "c", 3))
          const spooled = first.spooled + 2
          assert.strictEqual(intake.spool()?.messages, spooled + 3)
          yield* nats.ensureStreams([unreachable])
          const replaying = yield* Effect.forkChild(intake.replay)
          yield* until(
            "what is behind the junk is stored",
            Effect.map(nats.streamState("LATE"), (state) => state.messages === 3)
          )
          yield* until(
            "the junk is all that is left",
            Effect.sync(() => intake.spool()?.messages === spooled)
          )
          yield* nats.ensureStreams([{ ...junk, sizeBytesMax: 16 * mebibyte }])
          yield* until(
            "the spool is empty",
            Effect.sync(() => intake.spool()?.messages === 0)
          )
          yield* Fiber.interrupt(replaying)
          assert.strictEqual((yield* nats.streamState("JUNK")).messages, 20)
          assert.strictEqual(intake.counts().replayed, spooled + 3)
        })
      ),
    timeout
  )

  it.live(
    "a spool whose disk is full at the start is left out, said, and used when the disk has room",
    () =>
      Effect.scoped(
        Effect.gen(function* () {
          const own = yield* Effect.acquireRelease(Effect.promise(startNatsServer), (started) =>
            Effect.promise(started.stop)
          )
          const folder = yield* Effect.acquireRelease(
            Effect.promise(() => temporaryFolder("intake")),
            (made) => Effect.promise(made.remove)
          )
          // What is written first, the candidate of the lock, finds no room.
          const full = join(folder.path, `lock.${ownIdentity().replaceAll(/[^0-9A-Za-z]/g, "-")}`)
          symlinkSync("/dev/full", full)
          yield* Effect.gen(function* () {
            const intake = yield* Intake
            const nats = yield* Nats
            assert.match(intake.spool()?.problem ?? "", /the disk of the spool folder .* is full/)
            assert.isUndefined(intake.problem())
            const stream = streamOf("CRAMPED")
            yield* nats.ensureStreams([stream])
            assert.strictEqual((yield* intake.publish(messagesOf(stream, "a", 5))).published, 5)
            yield* Effect.promise(own.kill)
            yield* until(
              "the loss is noticed",
              Effect.sync(() => !nats.connected())
            )
            assert.match(intake.problem() ?? "", /^the bus is away and the disk of the spool folder/)
            assert.strictEqual((yield* Effect.flip(intake.publish(messagesOf(stream, "b", 3)))).state, "full")
            const replaying = yield* Effect.forkChild(intake.replay)
            rmSync(full)
            yield* until(
              "the spool is open",
              Effect.sync(() => intake.spool()?.problem === undefined)
            )
            assert.isUndefined(intake.problem())
            assert.strictEqual((yield* intake.publish(messagesOf(stream, "b", 3))).spooled, 3)
            yield* Effect.promise(own.start)
            yield* until(
              "the spool is empty",
              Effect.sync(() => intake.spool()?.messages === 0)
            )
            yield* Fiber.interrupt(replaying)
            assert.strictEqual((yield* nats.streamState("CRAMPED")).messages, 8)
          }).pipe(
            Effect.provide(
              Intake.layer({ folder: folder.path, sizeBytesMax: mebibyte }).pipe(
                Layer.provideMerge(natsLayer({ servers: [own.url], name: "test", unavailableAfter: "5 seconds" }))
              )
            )
          )
        })
      ),
    timeout
  )

  it.live(
    "without a spool a bus that is away is IntakeFull, unavailable",
    () =>
      Effect.scoped(
        Effect.gen(function* () {
          const own = yield* Effect.acquireRelease(Effect.promise(startNatsServer), (started) =>
            Effect.promise(started.stop)
          )
          yield* withIntake(
            0,
            (intake, nats) =>
              Effect.gen(function* () {
                yield* Effect.promise(own.kill)
                yield* until(
                  "the loss is noticed",
                  Effect.sync(() => !nats.connected())
                )
                const error = yield* Effect.flip(intake.publish(messagesOf(streamOf("NONE"), "a", 1)))
                assert.strictEqual(error.state, "unavailable")
                assert.strictEqual(intake.problem(), "the bus is away and there is no spool")
              }),
            own
          )
        })
      ),
    timeout
  )

  it.live(
    "what the bus never takes becomes a dead letter, and the rest goes on",
    () =>
      withIntake(64 * mebibyte, (intake, nats) =>
        Effect.gen(function* () {
          const stream = streamOf("REFUSED")
          yield* nats.ensureStreams([stream, deadLetters])
          const large = messagesOf(stream, "large", 1, { sizeBytes: 9 * mebibyte })
          const result = yield* intake.publish([...large, ...messagesOf(stream, "a", 2)])
          assert.deepStrictEqual(result, { published: 2, duplicates: 0, spooled: 0, refused: 1 })
          const [letter] = yield* nats
            .tail({ stream: deadLetters.name, from: 1 })
            .pipe(Stream.take(1), Stream.runCollect)
          assert.match(letter?.header(headerNames.cause) ?? "", /^MessageTooLarge/)
          if (letter !== undefined) yield* nats.deleteMessage(deadLetters.name, letter.sequence)
        })
      ),
    timeout
  )
})

describe("DeadLetters", () => {
  it.live(
    "letters that nobody tries again go, oldest first, when the stream is nearly full; those of policies stay",
    () =>
      Effect.gen(function* () {
        const nats = yield* Nats
        const letters = yield* DeadLetters
        const small = { ...deadLetters, sizeBytesMax: 4 * mebibyte }
        yield* nats.ensureStreams([small])
        const letterOf = (reason: string, index: number) => ({
          subject: `dead.AUDIT%5FEVENTS.processor.${reason}._`,
          id: `trim-${reason}-${index}`,
          body: Buffer.alloc(10_000),
          headers: { [headerNames.attempts]: "1" }
        })
        // 2.5 MB that stay, and 1.5 MB of the others: 4 MB of 4 MiB, of which 110 letters have to go.
        yield* nats.publish(Array.from({ length: 250 }, (_, index) => letterOf("policy-failed", index)))
        const junk = ["unreadable", "row-refused", "refused"].flatMap((reason) =>
          Array.from({ length: 50 }, (_, index) => letterOf(reason, index))
        )
        yield* nats.publish(junk)
        const last = (yield* nats.streamState(deadLetters.name)).lastSequence
        const running = yield* Effect.forkChild(letters.run({ accepts: () => false, retry: () => Effect.die("never") }))
        const sizeAfter = Effect.map(
          nats.streamState(deadLetters.name),
          (state) => state.sizeBytes / small.sizeBytesMax
        )
        yield* until(
          "there is room",
          Effect.map(sizeAfter, (part) => part <= 0.8)
        )
        yield* until(
          "the trimming has ended",
          Effect.map(nats.streamState(deadLetters.name), (state) => 400 - state.messages === letters.trimmed())
        )
        yield* Fiber.interrupt(running)
        assert.isAbove(letters.trimmed(), 0)
        assert.isAtLeast((yield* nats.streamState(deadLetters.name)).messages, 250)
        const left = yield* nats.tail({ stream: deadLetters.name, from: 1 }).pipe(
          Stream.takeUntil((letter) => letter.sequence === last),
          Stream.map((letter) => letter.subject.split(".")[3]),
          Stream.runCollect
        )
        assert.strictEqual(left.filter((reason) => reason === "policy-failed").length, 250)
        // The newest of them are the last to go.
        assert.strictEqual(left.at(-1), "refused")
        yield* Effect.forEach(letters.waiting(), ({ sequence }) => nats.deleteMessage(deadLetters.name, sequence), {
          concurrency: 16
        })
      }).pipe(
        Effect.scoped,
        Effect.provide(DeadLetters.layer.pipe(Layer.provideMerge(natsLayer({ servers: [server.url], name: "test" }))))
      ),
    timeout
  )

  it.live(
    "a letter of a policy that changed while nobody ran is due at once, and once",
    () =>
      Effect.gen(function* () {
        const nats = yield* Nats
        const letters = yield* DeadLetters
        yield* nats.ensureStreams([deadLetters])
        yield* nats.publish(
          [1, 2].map((generation) => ({
            subject: "dead.AUDIT%5FEVENTS.processor.policy-failed.changed",
            id: `generation ${generation}`,
            body: Buffer.from(`failed on generation ${generation}`),
            headers: {
              [headerNames.policy]: "changed",
              [headerNames.generation]: String(generation),
              [headerNames.attempts]: "12",
              [headerNames.position]: `AUDIT_EVENTS:${generation}`
            }
          }))
        )
        const tried: Array<string> = []
        const running = yield* Effect.forkChild(
          letters.run({
            accepts: (letter) => letter.policy === "changed",
            isOutdated: (letter) => letter.generation < 2,
            retry: (letter) =>
              Effect.sync(() => {
                tried.push(Buffer.from(letter.body).toString())
                return { _tag: "Failed", cause: "still wrong", policy: "changed", generation: 2 } as const
              })
          })
        )
        yield* until(
          "the first was tried and written anew",
          Effect.sync(() => letters.waiting().some(({ attempts }) => attempts === 13))
        )
        assert.deepStrictEqual(tried, ["failed on generation 1"])
        assert.isTrue(
          letters.waiting().every(({ dueMillis, generation }) => generation === 2 && dueMillis > Date.now())
        )
        yield* Fiber.interrupt(running)
        yield* Effect.forEach(letters.waiting(), ({ sequence }) => nats.deleteMessage(deadLetters.name, sequence))
      }).pipe(
        Effect.scoped,
        Effect.provide(DeadLetters.layer.pipe(Layer.provideMerge(natsLayer({ servers: [server.url], name: "test" }))))
      ),
    timeout
  )

  it.live(
    "a letter waits, is tried again when its policy changes, and is deleted when it is settled",
    () =>
      Effect.gen(function* () {
        const nats = yield* Nats
        const letters = yield* DeadLetters
        yield* nats.ensureStreams([deadLetters])
        yield* nats.publish(
          ["one", "two"].map((policy) => ({
            subject: `dead.AUDIT%5FEVENTS.processor.policy-failed.${policy}`,
            id: policy,
            body: Buffer.from(`record of ${policy}`),
            headers: {
              [headerNames.policy]: policy,
              [headerNames.attempts]: "1",
              [headerNames.position]: `AUDIT_EVENTS:${policy}`
            }
          }))
        )
        const tried: Array<string> = []
        let settles = false
        const running = yield* Effect.forkChild(
          letters.run({
            accepts: ({ program }) => program === "processor",
            retry: (letter) =>
              Effect.sync(() => {
                tried.push(Buffer.from(letter.body).toString())
                return settles
                  ? ({ _tag: "Settled" } as const)
                  : ({ _tag: "Failed", cause: "still wrong", generation: 2 } as const)
              })
          })
        )
        yield* until(
          "both are known",
          Effect.sync(() => letters.waiting().length === 2)
        )
        assert.deepStrictEqual(tried, [])
        yield* letters.wake("one")
        yield* until(
          "one was tried and written anew",
          Effect.sync(
            () =>
              letters.waiting().some((letter) => letter.policy === "one" && letter.attempts === 2) &&
              letters.waiting().length === 2
          )
        )
        assert.deepStrictEqual(tried, ["record of one"])
        const again = letters.waiting().find((letter) => letter.policy === "one")
        const stored = yield* nats.messageAt(deadLetters.name, again?.sequence ?? 0)
        assert.strictEqual(stored._tag === "Some" ? stored.value.header(headerNames.cause) : "", "still wrong")
        assert.strictEqual(stored._tag === "Some" ? stored.value.header(headerNames.position) : "", "AUDIT_EVENTS:one")
        // 2 minutes after it was written: 1 minute, doubled once.
        assert.strictEqual((again?.dueMillis ?? 0) - (stored._tag === "Some" ? stored.value.timeMillis : 0), 120_000)
        settles = true
        yield* letters.wake("one")
        yield* letters.wake("two")
        yield* until(
          "both are settled",
          Effect.map(nats.streamState(deadLetters.name), (state) => state.messages === 0)
        )
        yield* Fiber.interrupt(running)
      }).pipe(
        Effect.scoped,
        Effect.provide(DeadLetters.layer.pipe(Layer.provideMerge(natsLayer({ servers: [server.url], name: "test" }))))
      ),
    timeout
  )
})
