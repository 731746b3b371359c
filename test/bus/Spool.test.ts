import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { cpSync, readdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { openSpool, type Spool, type SpoolOptions } from "../../src/bus/Spool.ts"
import type { OutgoingMessage } from "../../src/clients/nats/Nats.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"

const folder = Effect.acquireRelease(
  Effect.promise(() => temporaryFolder("spool")),
  (made) => Effect.promise(made.remove)
).pipe(Effect.map((made) => made.path))

const message = (id: string, body = `body of ${id}`): OutgoingMessage => ({
  subject: "audit.k8s.c",
  id,
  body: Buffer.from(body),
  headers: { "Activity-Cluster": "käse" }
})

const mebibyte = 1024 * 1024

const use = <A, E, R>(
  path: string,
  work: (spool: Spool) => Effect.Effect<A, E, R>,
  options: Partial<SpoolOptions> = {}
) => Effect.scoped(Effect.flatMap(openSpool({ folder: path, sizeBytesMax: 16 * mebibyte, ...options }), work))

/** The ids that a drain hands out, until there are `count`. */
const drained = (spool: Spool, count: number) =>
  Effect.gen(function* () {
    const ids: Array<string> = []
    const draining = yield* Effect.forkChild(
      spool.drain((messages) =>
        Effect.sync(() => {
          ids.push(...messages.map((found) => found.id))
          return []
        })
      )
    )
    while (ids.length < count || spool.state().messages > 0) yield* Effect.sleep("5 millis")
    yield* Fiber.interrupt(draining)
    return ids
  })

const segmentsIn = (path: string) =>
  readdirSync(path)
    .filter((name) => name.endsWith(".spool"))
    .sort()

describe("Spool", () => {
  it.live("what was appended comes out in order, whole, once, and its segments go", () =>
    Effect.gen(function* () {
      const path = yield* folder
      yield* use(path, (spool) =>
        Effect.gen(function* () {
          yield* spool.append([message("1"), message("2")])
          yield* spool.append([message("3", "")])
          assert.strictEqual(spool.state().messages, 3)
          const seen: Array<OutgoingMessage> = []
          const draining = yield* Effect.forkChild(
            spool.drain((messages) =>
              Effect.sync(() => {
                seen.push(...messages)
                return []
              })
            )
          )
          while (spool.state().messages > 0) yield* Effect.sleep("5 millis")
          yield* Fiber.interrupt(draining)
          assert.deepStrictEqual(
            seen.map(({ id }) => id),
            ["1", "2", "3"]
          )
          assert.strictEqual(Buffer.from(seen[0]?.body ?? []).toString(), "body of 1")
          assert.deepStrictEqual(seen[0]?.headers, { "Activity-Cluster": "käse" })
          assert.strictEqual(seen[0]?.subject, "audit.k8s.c")
          assert.strictEqual(spool.state().sizeBytes, 0)
        })
      )
      assert.deepStrictEqual(segmentsIn(path), [])
    }).pipe(Effect.scoped)
  )

  it.live("what was not drained is there after the next opening", () =>
    Effect.gen(function* () {
      const path = yield* folder
      for (let opening = 0; opening < 3; opening++) yield* use(path, (spool) => spool.append([message(`${opening}`)]))
      assert.deepStrictEqual(yield* use(path, (spool) => drained(spool, 3)), ["0", "1", "2"])
    }).pipe(Effect.scoped)
  )

  it.live("a file cut at any byte of its last entry loses that entry only", () =>
    Effect.gen(function* () {
      const source = yield* folder
      yield* use(source, (spool) => spool.append([message("1"), message("2")]))
      const whole = readFileSync(join(source, segmentsIn(source)[0] ?? ""))
      // Both entries are equally long: their ids are.
      const boundary = whole.length / 2
      for (let length = boundary; length < whole.length; length++) {
        const path = yield* folder
        cpSync(source, path, { recursive: true })
        truncateSync(join(path, segmentsIn(path)[0] ?? ""), length)
        const ids = yield* use(path, (spool) =>
          Effect.gen(function* () {
            assert.strictEqual(spool.state().messages, 1, `cut at ${length}`)
            assert.strictEqual(spool.state().cutBytes, length - boundary)
            yield* spool.append([message("3")])
            return yield* drained(spool, 2)
          })
        )
        assert.deepStrictEqual(ids, ["1", "3"], `cut at ${length}`)
      }
    }).pipe(Effect.scoped)
  )

  it.live("a damaged entry ends its segment, whose rest is set aside, and the others go on", () =>
    Effect.gen(function* () {
      const path = yield* folder
      yield* use(path, (spool) => spool.append([message("1"), message("2")]))
      yield* use(path, (spool) => spool.append([message("3")]))
      const [first = ""] = segmentsIn(path)
      const bytes = readFileSync(join(path, first))
      bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 0xff
      writeFileSync(join(path, first), bytes)
      assert.deepStrictEqual(yield* use(path, (spool) => drained(spool, 2)), ["1", "3"])
      assert.deepStrictEqual(readFileSync(join(path, `${first}.damaged`)), bytes.subarray(bytes.length / 2))
    }).pipe(Effect.scoped)
  )

  it.live("beyond its size it is SpoolFull, and takes again when it was drained", () =>
    Effect.gen(function* () {
      const path = yield* folder
      yield* use(
        path,
        (spool) =>
          Effect.gen(function* () {
            yield* spool.append([message("1", "x".repeat(600_000))])
            const error = yield* Effect.flip(spool.append([message("2", "x".repeat(600_000))]))
            assert.strictEqual(error._tag, "SpoolFull")
            assert.isTrue(error.retryable)
            assert.deepStrictEqual(yield* drained(spool, 1), ["1"])
            yield* spool.append([message("2", "x".repeat(600_000))])
          }),
        { sizeBytesMax: mebibyte }
      )
    }).pipe(Effect.scoped)
  )

  it.live("several segments come out in order, and 5,000 appends at once are all kept", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const ids = Array.from({ length: 5_000 }, (_, index) => `${index}`)
      yield* use(
        path,
        (spool) => Effect.forEach(ids, (id) => spool.append([message(id)]), { concurrency: 100, discard: true }),
        {
          segmentBytesMax: 20_000
        }
      )
      assert.isAbove(segmentsIn(path).length, 10)
      assert.deepStrictEqual(yield* use(path, (spool) => drained(spool, 5_000)), ids)
    }).pipe(Effect.scoped)
  )

  it.live("what the taker gives back waits behind the rest, and is there after the next opening", () =>
    Effect.gen(function* () {
      const path = yield* folder
      yield* use(path, (spool) =>
        Effect.gen(function* () {
          yield* spool.append(["junk1", "1", "junk2", "2"].map((id) => message(id)))
          const seen: Array<string> = []
          const draining = yield* Effect.forkChild(
            spool.drain((messages) =>
              Effect.sync(() => {
                seen.push(...messages.map((found) => found.id))
                return messages.filter((found) => found.id.startsWith("junk"))
              })
            )
          )
          while (spool.state().messages !== 2) yield* Effect.sleep("5 millis")
          yield* spool.append([message("3")])
          while (!seen.includes("3") || spool.state().messages !== 2) yield* Effect.sleep("5 millis")
          yield* Fiber.interrupt(draining)
          assert.deepStrictEqual(
            seen.filter((id) => !id.startsWith("junk")),
            ["1", "2", "3"]
          )
        })
      )
      assert.deepStrictEqual(yield* use(path, (spool) => drained(spool, 2)), ["junk1", "junk2"])
      assert.deepStrictEqual(segmentsIn(path), [])
    }).pipe(Effect.scoped)
  )

  it.live("what the taker has not taken stays", () =>
    Effect.gen(function* () {
      const path = yield* folder
      yield* use(path, (spool) =>
        Effect.gen(function* () {
          yield* spool.append([message("1")])
          assert.strictEqual(yield* Effect.flip(spool.drain(() => Effect.fail("no"))), "no")
          assert.strictEqual(spool.state().messages, 1)
        })
      )
      assert.deepStrictEqual(yield* use(path, (spool) => drained(spool, 1)), ["1"])
    }).pipe(Effect.scoped)
  )

  it.live("what is appended while it drains comes out too", () =>
    Effect.gen(function* () {
      const path = yield* folder
      yield* use(path, (spool) =>
        Effect.gen(function* () {
          const draining = yield* Effect.forkChild(drained(spool, 1_000))
          yield* Effect.forEach(
            Array.from({ length: 100 }, (_, batch) => batch),
            (batch) => spool.append(Array.from({ length: 10 }, (_, index) => message(`${batch * 10 + index}`))),
            { discard: true }
          )
          const seen = yield* Fiber.join(draining)
          assert.deepStrictEqual(
            seen,
            Array.from({ length: 1_000 }, (_, index) => `${index}`)
          )
        })
      )
    }).pipe(Effect.scoped)
  )

  it.live("a second opening of a folder is refused while the first lives", () =>
    Effect.gen(function* () {
      const path = yield* folder
      yield* use(path, () =>
        Effect.gen(function* () {
          const error = yield* Effect.flip(use(path, () => Effect.void))
          assert.strictEqual(error._tag, "FolderLocked")
        })
      )
      yield* use(path, () => Effect.void)
    }).pipe(Effect.scoped)
  )

  it.live("a folder that cannot be written is SpoolUnavailable", () =>
    Effect.gen(function* () {
      const path = yield* folder
      writeFileSync(join(path, "file"), "")
      const error = yield* Effect.flip(use(join(path, "file", "spool"), () => Effect.void))
      assert.strictEqual(error._tag, "SpoolUnavailable")
    }).pipe(Effect.scoped)
  )

  it.live("a segment that cannot be made fails the append, and what was kept before is whole", () =>
    Effect.gen(function* () {
      const path = yield* folder
      yield* use(path, (spool) => spool.append([message("1")]))
      yield* use(path, (spool) =>
        Effect.gen(function* () {
          symlinkSync("/dev/full", join(path, "0000000000000002.spool"))
          const error = yield* Effect.flip(spool.append([message("2")]))
          assert.strictEqual(error._tag, "SpoolUnavailable")
          assert.strictEqual(spool.state().messages, 1)
          yield* spool.append([message("3")])
          assert.deepStrictEqual(yield* drained(spool, 2), ["1", "3"])
        })
      )
    }).pipe(Effect.scoped)
  )
})
