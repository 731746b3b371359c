/** What two API servers do to the same dead letters in the same moment, each on a connection of its own. */
import { Effect, ManagedRuntime, Layer } from "effect"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { DeadLetters } from "../../src/bus/DeadLetters.ts"
import { Nats, type StoredMessage } from "../../src/clients/nats/Nats.ts"
import { natsLayer } from "../../src/clients/nats/natsLayer.ts"
import { deadLetters, headerNames } from "../../src/domain/streams.ts"
import { deadLetterOf } from "../../src/programs/deadLetterOf.ts"
import { DeadLetterGroups, type Settled } from "../../src/store/DeadLetterGroups.ts"
import { type Bus, connectBus } from "../support/bus.ts"
import { eventually } from "../support/eventually.ts"
import { startNatsServer, type TestNatsServer } from "../support/natsServer.ts"

const startReplica = (url: string) =>
  ManagedRuntime.make(DeadLetterGroups.layer.pipe(Layer.provideMerge(natsLayer({ servers: [url], name: "replica" }))))

type Replica = ReturnType<typeof startReplica>

const failing = (sequence: number) => {
  const message: StoredMessage = {
    stream: "AUDIT_EVENTS",
    subject: "",
    sequence,
    timeMillis: 0,
    body: Buffer.from(String(sequence)),
    header: () => ""
  }
  return deadLetterOf(message, {
    program: "processor",
    reason: "policy-failed",
    cause: "match, line 1, column 7: no such key: name",
    policy: "one",
    generation: 3,
    rule: "audit-0"
  })
}

const lettersPerRound = 100

describe("dead letters, of two API servers", () => {
  let server: TestNatsServer
  let bus: Bus
  let one: Replica
  let other: Replica
  let written = 0

  beforeAll(async () => {
    server = await startNatsServer()
    bus = connectBus(server.url)
    one = startReplica(server.url)
    other = startReplica(server.url)
    await one.runPromise(Nats.use((nats) => nats.ensureStreams([deadLetters], { sizeScale: 0.1 })))
    await other.runPromise(DeadLetterGroups.use(({ current }) => current))
  })
  afterAll(async () => {
    await one?.dispose()
    await other?.dispose()
    await bus?.[Symbol.asyncDispose]()
    await server?.[Symbol.asyncDispose]()
  })

  const write = async (): Promise<ReadonlyArray<number>> => {
    const letters = Array.from({ length: lettersPerRound }, () => failing(++written))
    const acks = await one.runPromise(Nats.use((nats) => nats.publish(letters)))
    return acks.map(({ sequence }) => sequence)
  }
  /** Letter by letter, all at once: what became of each. */
  const each = (
    replica: Replica,
    sequences: ReadonlyArray<number>,
    settle: (
      groups: DeadLetterGroups["Service"]
    ) => (sequences: ReadonlyArray<number>) => Effect.Effect<Settled, unknown>
  ) =>
    Promise.all(
      sequences.map((sequence) =>
        replica.runPromise(DeadLetterGroups.use((groups) => settle(groups)([sequence]).pipe(Effect.orDie)))
      )
    )

  it("each is either redriven or discarded, as the answers say", { timeout: 120_000 }, async () => {
    for (let round = 0; round < 5; round++) {
      const sequences = await write()
      const [redriven, discarded] = await Promise.all([
        each(one, sequences, ({ redrive }) => redrive),
        // They meet in the middle, and on the way.
        each(other, round % 2 === 0 ? sequences : sequences.toReversed(), ({ discard }) => discard).then((done) =>
          round % 2 === 0 ? done : done.toReversed()
        )
      ])
      const left = await bus.messages(deadLetters.name)
      const bodies = left.map(({ body }) => Buffer.from(body).toString())
      const first = written - lettersPerRound + 1
      const said = sequences.map((_, index) => `${redriven[index]?.done} ${discarded[index]?.done}`)
      assert.deepStrictEqual(
        said.filter((text) => text !== "1 0" && text !== "0 1"),
        []
      )
      assert.deepStrictEqual(
        bodies.map(Number).toSorted((a, b) => a - b),
        sequences.flatMap((_, index) => (redriven[index]?.done === 1 ? [first + index] : []))
      )
      for (const letter of left) assert.strictEqual(letter.header(headerNames.redriven), "true")
      await one.runPromise(
        Nats.use((nats) =>
          Effect.forEach(left, ({ sequence }) => nats.deleteMessage(deadLetters.name, sequence), { concurrency: 16 })
        )
      )
    }
  })

  it("one that was discarded is gone, also where whoever did it died before it was deleted", async () => {
    const [sequence = 0] = await write()
    const letter = failing(written - lettersPerRound + 1)
    await one.runPromise(
      Nats.use((nats) =>
        nats.publishAfter({
          stream: deadLetters.name,
          last: sequence,
          message: {
            ...letter,
            id: "discard",
            body: new Uint8Array(0),
            headers: { ...letter.headers, [headerNames.discarded]: "true" }
          }
        })
      )
    )
    const groups = await one.runPromise(DeadLetterGroups.use(({ current }) => current))
    const shown = [...groups.groups.values()].flatMap(({ letters }) => letters.map((each) => each.sequence))
    assert.strictEqual(shown.length, lettersPerRound - 1)
    assert.notInclude(shown, sequence)
    const tried: Array<number> = []
    await one.runPromise(
      Effect.raceFirst(
        DeadLetters.use((letters) =>
          letters.run({
            accepts: () => true,
            isOutdated: () => true,
            retry: (message) =>
              Effect.sync(() => {
                tried.push(message.sequence)
                return { _tag: "Settled" } as const
              })
          })
        ).pipe(Effect.provide(DeadLetters.layer)),
        // What stands for it stays for a minute.
        Effect.promise(() =>
          eventually("all others were tried", async () => (await bus.state(deadLetters.name)).messages === 1)
        )
      )
    )
    assert.strictEqual(tried.length, lettersPerRound - 1)
    assert.notInclude(tried, sequence)
    const [mark] = await bus.messages(deadLetters.name)
    assert.strictEqual(mark?.header(headerNames.discarded), "true")
  })

  it("what fills the stream can be discarded", { timeout: 60_000 }, async () => {
    await using full = await startNatsServer()
    const replica = startReplica(full.url)
    try {
      await replica.runPromise(Nats.use((nats) => nats.ensureStreams([deadLetters], { sizeScale: 0.004 })))
      const large = Array.from({ length: 12 }, (_, index) => ({
        ...failing(1_000_000 + index),
        body: Buffer.alloc(100_000, "x")
      }))
      const outcomes = await replica.runPromise(Nats.use((nats) => nats.publishEach(large)))
      const stored = outcomes.flatMap((outcome) => ("sequence" in outcome ? [outcome.sequence] : []))
      assert.isBelow(stored.length, large.length)
      // Room for a mark, and none for a letter: then for neither.
      for (let filled = true; filled;) {
        const small = { ...failing(2_000_000 + ++written), body: Buffer.alloc(2_000, "x") }
        const [outcome] = await replica.runPromise(Nats.use((nats) => nats.publishEach([small])))
        filled = outcome !== undefined && "sequence" in outcome
      }
      const settled = await replica.runPromise(DeadLetterGroups.use(({ discard }) => discard(stored)))
      assert.deepStrictEqual(settled, { done: stored.length, gone: 0 })
    } finally {
      await replica.dispose()
    }
  })
})
