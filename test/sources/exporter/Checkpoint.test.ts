/** The exporter's checkpoint, in a real NATS. */
import { Effect, Exit, Option } from "effect"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { Nats } from "../../../src/clients/nats/Nats.ts"
import { natsLayer } from "../../../src/clients/nats/natsLayer.ts"
import { makeCheckpoint, type Position } from "../../../src/sources/exporter/Checkpoint.ts"
import type { Sight } from "../../../src/sources/exporter/Sights.ts"
import { startNatsServer, type TestNatsServer } from "../../support/natsServer.ts"

let nats: TestNatsServer
beforeAll(async () => {
  nats = await startNatsServer()
})
afterAll(() => nats.stop())

const run = <A, E>(effect: Effect.Effect<A, E, Nats>) =>
  Effect.runPromise(effect.pipe(Effect.provide(natsLayer({ servers: [nats.url], name: "test" }))))

const tenant = { type: "Project", name: "a name / with everything" }
const sightsOf = (from: number, to: number, resourceVersion: string): ReadonlyArray<Sight> =>
  Array.from({ length: to - from }, (_, index) => ({ uid: `uid-${from + index}`, resourceVersion, tenant }))
const positionOf = (resourceVersion: string): Position => ({
  resourceVersion,
  sequence: 7,
  seenUntilMillis: 8,
  orderOffset: "9"
})
const nothing = () => []

describe("a checkpoint", () => {
  it("is empty for a cluster that has none, and is what was saved last", () =>
    run(
      Effect.gen(function* () {
        const checkpoint = yield* makeCheckpoint("one.cluster")
        assert.deepInclude(yield* checkpoint.load, { isFound: false, resourceVersion: "", sights: new Map() })
        yield* checkpoint.save(sightsOf(0, 3, "1"), positionOf("10"), nothing, Effect.void)
        const gone = { uid: "uid-1", resourceVersion: undefined }
        yield* checkpoint.save([...sightsOf(2, 4, "2"), gone], positionOf("20"), nothing, Effect.void)
        const found = yield* (yield* makeCheckpoint("one.cluster")).load
        assert.deepInclude(found, { isFound: true, ...positionOf("20") })
        assert.deepStrictEqual(
          [...found.sights.values()].toSorted((one, other) => (one.uid < other.uid ? -1 : 1)),
          [...sightsOf(0, 1, "1"), ...sightsOf(2, 4, "2")]
        )
        assert.deepInclude(yield* (yield* makeCheckpoint("another")).load, { isFound: false })
      })
    ))

  it("of 50,000 Events that all change again and again keeps them all, in few entries", () =>
    run(
      Effect.gen(function* () {
        const checkpoint = yield* makeCheckpoint("large")
        yield* checkpoint.load
        const rounds = 6
        for (let round = 0; round < rounds; round++) {
          const all = sightsOf(0, 50_000, String(round))
          yield* checkpoint.save(all, positionOf(String(round)), () => all, Effect.void)
        }
        const found = yield* (yield* makeCheckpoint("large")).load
        assert.strictEqual(found.sights.size, 50_000)
        assert.isTrue([...found.sights.values()].every(({ resourceVersion }) => resourceVersion === String(rounds - 1)))
      })
    ))

  it("of another who has written meanwhile is written over as long as the lease is ours, and not without it", () =>
    run(
      Effect.gen(function* () {
        const before = yield* makeCheckpoint("handed-over")
        yield* before.load
        yield* before.save(sightsOf(0, 1, "1"), positionOf("1"), nothing, Effect.void)
        const now = yield* makeCheckpoint("handed-over")
        yield* now.load
        yield* before.save(sightsOf(0, 1, "2"), positionOf("2"), nothing, Effect.void)
        yield* now.save(sightsOf(1, 2, "3"), positionOf("3"), nothing, Effect.void)
        // Who has lost the lease may pass one guard, and none after that.
        let passes = 0
        const lost = Effect.suspend(() => (passes++ === 0 ? Effect.void : Effect.die("the lease is lost")))
        const saved = yield* Effect.exit(before.save(sightsOf(0, 1, "4"), positionOf("4"), nothing, lost))
        assert.isTrue(Exit.isFailure(saved))
        const found = yield* (yield* makeCheckpoint("handed-over")).load
        assert.strictEqual(found.resourceVersion, "3")
        assert.strictEqual(found.sights.get("uid-1")?.resourceVersion, "3")
      })
    ))

  for (const [what, head] of [
    ["no JSON", "{"],
    ["another shape", JSON.stringify({ whole: 7 })],
    [
      "of pieces that are gone",
      JSON.stringify({ resourceVersion: "9", sequence: 7, seenUntilMillis: 8, whole: ["broken.99"], deltas: [] })
    ]
  ] as const) {
    it(`whose head is ${what} counts as none, and is written over`, () =>
      run(
        Effect.gen(function* () {
          const nats = yield* Nats
          const before = yield* makeCheckpoint("broken")
          yield* before.load
          yield* before.save(sightsOf(0, 1, "1"), positionOf("1"), nothing, Effect.void)
          const bucket = yield* nats.bucket("activity_exporter", { history: 1, sizeBytesMax: 128 * 1024 * 1024 })
          const { revision } = Option.getOrThrow(yield* bucket.get("broken.head"))
          yield* bucket.update("broken.head", Buffer.from(head), revision)
          const now = yield* makeCheckpoint("broken")
          assert.deepInclude(yield* now.load, { isFound: false, resourceVersion: "", sights: new Map() })
          yield* now.save(sightsOf(3, 4, "4"), positionOf("4"), nothing, Effect.void)
          const found = yield* (yield* makeCheckpoint("broken")).load
          assert.deepInclude(found, { isFound: true, ...positionOf("4") })
          assert.deepStrictEqual([...found.sights.values()], [...sightsOf(3, 4, "4")])
        })
      ))
  }
})
