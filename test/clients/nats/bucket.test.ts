import { assert, describe } from "@effect/vitest"
import { Effect, Fiber, Option, Stream } from "effect"
import { onOwnServer, sharedServer } from "./fixtures.ts"

const { live } = sharedServer()
const options = { history: 1, sizeBytesMax: 1_000_000 }
const bytes = (text: string) => Buffer.from(text)
const shown = (entry: { readonly key: string; readonly value: Uint8Array; readonly deleted: boolean }) =>
  `${entry.key}=${entry.deleted ? "deleted" : Buffer.from(entry.value).toString()}`

describe("bucket", () => {
  live("create of an existing key and update of another revision are RevisionMismatch", (nats) =>
    Effect.gen(function* () {
      const bucket = yield* nats.bucket("conflicts", options)
      const first = yield* bucket.create("a", bytes("1"))
      assert.strictEqual((yield* Effect.flip(bucket.create("a", bytes("2")))).reason._tag, "RevisionMismatch")
      const second = yield* bucket.update("a", bytes("3"), first)
      assert.isAbove(second, first)
      const error = yield* Effect.flip(bucket.update("a", bytes("4"), first))
      assert.strictEqual(error.reason._tag, "RevisionMismatch")
      assert.isFalse(error.retryable)
      assert.strictEqual((yield* Effect.flip(bucket.delete("a", first))).reason._tag, "RevisionMismatch")
      assert.strictEqual(shown(Option.getOrThrow(yield* bucket.get("a"))), "a=3")
    })
  )

  live("of ten writers that update one revision one succeeds", (nats) =>
    Effect.gen(function* () {
      const bucket = yield* nats.bucket("race", options)
      const revision = yield* bucket.create("a", bytes("0"))
      const results = yield* Effect.forEach(
        Array.from({ length: 10 }, (_, writer) => writer),
        (writer) => Effect.isSuccess(bucket.update("a", bytes(String(writer)), revision)),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(results.filter((succeeded) => succeeded).length, 1)
    })
  )

  live("revisions start at microseconds since 1970 and rise over all keys", (nats) =>
    Effect.gen(function* () {
      const bucket = yield* nats.bucket("revisions", options)
      const first = yield* bucket.put("a", bytes("1"))
      // 2020-01-01 in microseconds.
      assert.isAbove(first, 1_577_836_800_000_000)
      assert.strictEqual(yield* bucket.put("b", bytes("1")), first + 1)
      assert.strictEqual(yield* bucket.put("a", bytes("2")), first + 2)
    })
  )

  live("a deleted key is absent, leaves a tombstone for watches, and may be created again", (nats) =>
    Effect.gen(function* () {
      const bucket = yield* nats.bucket("deleted", { ...options, history: 8 })
      const created = yield* bucket.create("a", bytes("1"))
      const tombstone = yield* bucket.delete("a", created)
      assert.isTrue(Option.isNone(yield* bucket.get("a")))
      assert.deepStrictEqual((yield* bucket.list).entries, [])
      assert.strictEqual((yield* bucket.list).revision, tombstone)
      const again = yield* bucket.create("a", bytes("2"))
      assert.isAbove(again, tombstone)
      const seen = yield* bucket.watch(created).pipe(Stream.take(2), Stream.map(shown), Stream.runCollect)
      assert.deepStrictEqual(seen, ["a=deleted", "a=2"])
    })
  )

  live("list holds every live entry and the revision from which a watch misses nothing", (nats) =>
    Effect.gen(function* () {
      const bucket = yield* nats.bucket("listed", options)
      assert.deepStrictEqual((yield* bucket.list).entries, [])
      const keys = Array.from({ length: 2_000 }, (_, index) => `policy.${index}`)
      yield* Effect.forEach(keys, (key) => bucket.put(key, bytes("1")), { concurrency: 64, discard: true })
      const writing = yield* Effect.forkChild(
        Effect.forEach(keys, (key) => bucket.put(key, bytes("2")), { concurrency: 64, discard: true })
      )
      const { entries, revision } = yield* bucket.list
      assert.strictEqual(entries.length, 2_000)
      const state = new Map(entries.map((entry) => [entry.key, Buffer.from(entry.value).toString()]))
      yield* Fiber.join(writing)
      yield* bucket.put("end", bytes("2"))
      yield* bucket.watch(revision).pipe(
        Stream.takeUntil((entry) => entry.key === "end"),
        Stream.runForEach((entry) => Effect.sync(() => state.set(entry.key, Buffer.from(entry.value).toString())))
      )
      assert.deepStrictEqual(
        [...state.values()].filter((value) => value !== "2"),
        []
      )
      assert.strictEqual(state.size, 2_001)
    })
  )

  live("watch without a revision shows every live entry, then changes and tombstones", (nats) =>
    Effect.gen(function* () {
      const bucket = yield* nats.bucket("watched", options)
      yield* bucket.put("a", bytes("1"))
      yield* bucket.put("gone", bytes("1"))
      yield* bucket.delete("gone")
      yield* bucket.put("b", bytes("1"))
      const watching = yield* Effect.forkChild(
        bucket.watch(undefined).pipe(
          Stream.map(shown),
          Stream.tap((entry) =>
            entry === "b=1" ? Effect.andThen(bucket.put("a", bytes("2")), bucket.delete("b")) : Effect.void
          ),
          Stream.take(4),
          Stream.runCollect
        )
      )
      assert.deepStrictEqual(yield* Fiber.join(watching), ["a=1", "b=1", "a=2", "b=deleted"])
    })
  )

  live("watch of a revision that the bucket has forgotten is refused with 410", (nats) =>
    Effect.gen(function* () {
      const bucket = yield* nats.bucket("forgotten", options)
      const first = yield* bucket.put("a", bytes("1"))
      yield* bucket.put("a", bytes("2"))
      yield* bucket.put("a", bytes("3"))
      assert.strictEqual(yield* bucket.firstRevision, first + 2)
      const error = yield* bucket.watch(first).pipe(Stream.runDrain, Effect.flip)
      assert.strictEqual(error.reason._tag === "NatsRefused" ? error.reason.code : 0, 410)
      const [seen] = yield* bucket.watch(first + 1).pipe(Stream.take(1), Stream.map(shown), Stream.runCollect)
      assert.strictEqual(seen, "a=3")
    })
  )

  live("a key with other than the allowed characters is refused", (nats) =>
    Effect.gen(function* () {
      const bucket = yield* nats.bucket("keys", options)
      for (const key of ["", "a b", "a*", ">", ".a", "a.", "a..b", "ü"]) {
        assert.strictEqual((yield* Effect.flip(bucket.put(key, bytes("1")))).reason._tag, "NatsRefused", key)
      }
      yield* bucket.put("a-b_c=d/e.F1", bytes("1"))
    })
  )

  live("what is not a key is absent, cannot be overwritten or created, and costs no connection", (nats) =>
    Effect.gen(function* () {
      const bucket = yield* nats.bucket("foreign", options)
      const revision = yield* bucket.create("a", bytes("1"))
      for (const key of ["*", ">", "a b", "a\r\nPING", "", ".", "a".repeat(254), "a".repeat(5_000)]) {
        const label = key.slice(0, 10)
        assert.isTrue(Option.isNone(yield* bucket.get(key)), label)
        const updated = yield* Effect.flip(bucket.update(key, bytes("2"), revision))
        assert.strictEqual(updated.reason._tag, "RevisionMismatch", label)
        const deleted = yield* Effect.flip(bucket.delete(key, revision))
        assert.strictEqual(deleted.reason._tag, "RevisionMismatch", label)
        const created = yield* Effect.flip(bucket.create(key, bytes("2")))
        assert.strictEqual(created.reason._tag === "NatsRefused" ? created.reason.code : 0, 400, label)
      }
      yield* bucket.create("a".repeat(253), bytes("1"))
      assert.strictEqual(shown(Option.getOrThrow(yield* bucket.get("a"))), "a=1")
      assert.strictEqual(nats.state().disconnects, 0)
    })
  )

  onOwnServer("a watch goes on without a gap when the server is killed", (nats, own) =>
    Effect.gen(function* () {
      const bucket = yield* nats.bucket("healed", { history: 1, sizeBytesMax: 1_000_000 })
      const start = yield* bucket.put("a", bytes("start"))
      const watching = yield* Effect.forkChild(
        bucket.watch(start).pipe(Stream.map(shown), Stream.take(300), Stream.runCollect)
      )
      for (let index = 0; index < 300; index++) {
        if (index === 100 || index === 200) {
          yield* Effect.promise(own.kill)
          yield* Effect.promise(own.start)
        }
        yield* bucket.put(`key${index}`, bytes("1"))
      }
      assert.deepStrictEqual(
        yield* Fiber.join(watching),
        Array.from({ length: 300 }, (_, index) => `key${index}=1`)
      )
    })
  )
})
