import { assert, describe, it, vi } from "@effect/vitest"
import { Effect, Fiber, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { execFileSync } from "node:child_process"
import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  unlinkSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { type AuditLog, openAuditLog } from "../../../src/sources/collector/AuditLog.ts"
import { LogFollower } from "../../../src/sources/collector/LogFollower.ts"
import { type LogPosition, readPosition, savePosition } from "../../../src/sources/collector/logPosition.ts"
import { eventually } from "../../support/eventually.ts"
import { temporaryFolder } from "../../support/temporaryFolder.ts"

/** A line as kube-apiserver writes one; `n` tells it from others. */
const line = (n: number, more = ""): string =>
  `{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"${String(n).padStart(8, "0")}-0000","n":${n},"more":"${more}"}`

const lines = (from: number, to: number): string =>
  Array.from({ length: to - from + 1 }, (_, index) => `${line(from + index)}\n`).join("")

const range = (from: number, to: number): ReadonlyArray<number> =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index)

const numbers = (read: ReadonlyArray<string>): ReadonlyArray<number> =>
  read.map((text) => Number(/"n":(\d+)/.exec(text)?.[1] ?? Number.NaN))

/** A log in a folder of its own, and a reader of it. */
const withLog = <A, E>(
  use: (log: {
    readonly path: string
    readonly at: (name: string) => string
    readonly open: (position?: LogPosition, lineBytesMax?: number) => Effect.Effect<AuditLog, never, Scope.Scope>
  }) => Effect.Effect<A, E, Scope.Scope>
) =>
  Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.promise(() => temporaryFolder("audit-log")),
      (made) => Effect.promise(() => made.remove())
    )
    const path = join(folder.path, "audit.log")
    return yield* use({
      path,
      at: (name) => join(folder.path, name),
      open: (position, lineBytesMax) =>
        openAuditLog({ path, position, ...(lineBytesMax === undefined ? {} : { lineBytesMax }) })
    })
  }).pipe(Effect.scoped)

/** Reads until so many lines are there. */
const take = (log: AuditLog, count: number) =>
  Effect.gen(function* () {
    const read: Array<string> = []
    let position: LogPosition | undefined
    while (read.length < count) {
      const batch = yield* log.next
      read.push(...batch.lines)
      position = batch.position
    }
    return { read, numbers: numbers(read), position: position! }
  })

const rotatedName = (second: number) => `audit-2026-11-20T15-01-${String(second).padStart(2, "0")}.931.log`

describe("an audit log", () => {
  it.live("is read from its start, and goes on as it grows; half a line waits for its end", () =>
    withLog(({ open, path }) =>
      Effect.gen(function* () {
        writeFileSync(path, lines(1, 3) + line(4).slice(0, 20))
        const log = yield* open()
        assert.deepStrictEqual((yield* take(log, 3)).numbers, [1, 2, 3])
        appendFileSync(path, `${line(4).slice(20)}\n\n${line(5)}\r\n`)
        const { read } = yield* take(log, 2)
        assert.deepStrictEqual(read, [line(4), line(5)])
        assert.deepStrictEqual(log.counts(), { rotations: 0, gaps: 0 })
      })
    )
  )

  it.live("that is not there yet is waited for, and says so", () =>
    withLog(({ open, path }) =>
      Effect.gen(function* () {
        const log = yield* open()
        const reading = yield* Effect.forkScoped(take(log, 1))
        yield* Effect.promise(() => eventually("it says so", () => log.problem() !== undefined))
        assert.match(log.problem() ?? "", /audit\.log is not there yet/)
        writeFileSync(path, lines(1, 1))
        assert.deepStrictEqual((yield* Fiber.join(reading)).numbers, [1])
        assert.strictEqual(log.problem(), undefined)
      })
    )
  )

  it.live("that is rotated is read to its end first, what was written just before the rotation too", () =>
    withLog(({ at, open, path }) =>
      Effect.gen(function* () {
        writeFileSync(path, lines(1, 2))
        const log = yield* open()
        yield* take(log, 2)
        appendFileSync(path, lines(3, 4))
        renameSync(path, at(rotatedName(1)))
        writeFileSync(path, lines(5, 6))
        assert.deepStrictEqual((yield* take(log, 4)).numbers, [3, 4, 5, 6])
        assert.deepStrictEqual(log.counts(), { rotations: 1, gaps: 0 })
      })
    )
  )

  it.live("that is rotated three times between two looks loses nothing, compressed or empty ones among them", () =>
    withLog(({ at, open, path }) =>
      Effect.gen(function* () {
        writeFileSync(path, lines(1, 2))
        const log = yield* open()
        yield* take(log, 2)
        appendFileSync(path, lines(3, 3))
        renameSync(path, at(rotatedName(1)))
        writeFileSync(at(`${rotatedName(2)}.gz`), gzipSync(lines(4, 9)))
        writeFileSync(at(rotatedName(3)), "")
        writeFileSync(at(rotatedName(4)), "\n\n")
        writeFileSync(path, lines(10, 10))
        assert.deepStrictEqual((yield* take(log, 8)).numbers, range(3, 10))
        assert.strictEqual(log.counts().gaps, 0)
      })
    )
  )

  it.live("resumes where the position says, in whatever its file has become", () =>
    withLog(({ at, open, path }) =>
      Effect.gen(function* () {
        const saved = at("position.json")
        writeFileSync(path, lines(1, 4))
        const { position } = yield* Effect.scoped(Effect.flatMap(open(), (log) => take(log, 4)))
        yield* savePosition(saved, position)
        appendFileSync(path, lines(5, 6))
        const resumed = (count: number) =>
          Effect.gen(function* () {
            const log = yield* open(yield* readPosition(saved))
            const taken = yield* take(log, count)
            assert.strictEqual(log.counts().gaps, 0)
            return taken.numbers
          }).pipe(Effect.scoped)
        assert.deepStrictEqual(yield* resumed(2), [5, 6])
        // Rotated while nobody looked.
        renameSync(path, at(rotatedName(1)))
        writeFileSync(path, lines(7, 8))
        assert.deepStrictEqual(yield* resumed(4), [5, 6, 7, 8])
        // Compressed, and rotated again.
        writeFileSync(at(`${rotatedName(1)}.gz`), gzipSync(readFileSync(at(rotatedName(1)))))
        unlinkSync(at(rotatedName(1)))
        renameSync(path, at(rotatedName(2)))
        writeFileSync(path, lines(9, 9))
        assert.deepStrictEqual(yield* resumed(5), [5, 6, 7, 8, 9])
      })
    )
  )

  it.live("whose position is at its end goes on with the next file", () =>
    withLog(({ at, open, path }) =>
      Effect.gen(function* () {
        writeFileSync(path, lines(1, 2))
        const { position } = yield* Effect.scoped(Effect.flatMap(open(), (log) => take(log, 2)))
        renameSync(path, at(rotatedName(1)))
        writeFileSync(path, lines(3, 3))
        const log = yield* open(position)
        assert.deepStrictEqual((yield* take(log, 1)).numbers, [3])
      })
    )
  )

  it.live("that logrotate copies and cuts is read on in the copy", () =>
    withLog(({ at, open, path }) =>
      Effect.gen(function* () {
        writeFileSync(path, lines(1, 2))
        const log = yield* open()
        yield* take(log, 2)
        appendFileSync(path, lines(3, 5))
        copyFileSync(path, at("audit.log.1"))
        truncateSync(path)
        appendFileSync(path, lines(6, 6))
        assert.deepStrictEqual((yield* take(log, 4)).numbers, [3, 4, 5, 6])
        assert.strictEqual(log.counts().gaps, 0)
        // Cut, and longer than it was at once.
        copyFileSync(path, at("audit.log.1"))
        truncateSync(path)
        appendFileSync(path, lines(7, 20))
        assert.deepStrictEqual((yield* take(log, 14)).numbers, range(7, 20))
        assert.strictEqual(log.counts().gaps, 0)
      })
    )
  )

  it.live("that is away for a moment is read on, and a name that was blank once may hold something later", () =>
    withLog(({ at, open, path }) =>
      Effect.gen(function* () {
        writeFileSync(at("audit.log.1"), "")
        writeFileSync(path, lines(1, 2))
        const log = yield* open()
        yield* take(log, 2)
        renameSync(path, at("elsewhere"))
        const reading = yield* Effect.forkScoped(take(log, 1))
        yield* Effect.promise(() => eventually("it is missed", () => log.problem() !== undefined))
        renameSync(at("elsewhere"), path)
        appendFileSync(path, lines(3, 3))
        assert.deepStrictEqual((yield* Fiber.join(reading)).numbers, [3])
        appendFileSync(path, lines(4, 4))
        renameSync(path, at("audit.log.1"))
        writeFileSync(path, lines(5, 5))
        assert.deepStrictEqual((yield* take(log, 2)).numbers, [4, 5])
        assert.strictEqual(log.counts().gaps, 0)
      })
    )
  )

  it.live("that is emptied with no copy goes on with what is new, and counts a gap", () =>
    withLog(({ open, path }) =>
      Effect.gen(function* () {
        writeFileSync(path, lines(1, 5))
        const log = yield* open()
        yield* take(log, 5)
        writeFileSync(path, lines(6, 6))
        assert.deepStrictEqual((yield* take(log, 1)).numbers, [6])
        assert.strictEqual(log.counts().gaps, 1)
      })
    )
  )

  it.live("whose position's file is gone is read from the oldest file, and counts a gap", () =>
    withLog(({ at, open, path }) =>
      Effect.gen(function* () {
        writeFileSync(at(rotatedName(8)), lines(3, 4))
        writeFileSync(path, lines(5, 5))
        const log = yield* open({ head: "0".repeat(64), headBytes: 100, offset: 200 })
        assert.deepStrictEqual((yield* take(log, 3)).numbers, [3, 4, 5])
        assert.strictEqual(log.counts().gaps, 1)
      })
    )
  )

  it.live("of a killed API server: half a line and the next record behind it are two", () =>
    withLog(({ at, open, path }) =>
      Effect.gen(function* () {
        const half = line(1).slice(0, 60)
        // A record may hold the text of another, as any text.
        const quoting = line(3, JSON.stringify(line(9)).slice(1, -1))
        writeFileSync(at(rotatedName(1)), `${half}${line(2)}\n${quoting}\n${half}`)
        writeFileSync(path, lines(4, 4))
        const log = yield* open()
        assert.deepStrictEqual((yield* take(log, 5)).read, [half, line(2), quoting, half, line(4)])
      })
    )
  )

  it.live("with a line that is too long keeps its start, and goes on behind it", () =>
    withLog(({ open, path }) =>
      Effect.gen(function* () {
        writeFileSync(path, `${line(1, "x".repeat(3_000_000))}\n${line(2)}\n`)
        const log = yield* open(undefined, 100_000)
        const { read, position } = yield* take(log, 2)
        assert.strictEqual(read[0], line(1, "x".repeat(3_000_000)).slice(0, 4096))
        assert.strictEqual(read[1], line(2))
        assert.strictEqual(position.offset, readFileSync(path).length)
      })
    )
  )

  it.live("with a compressed file that is broken reads what is whole of it, and goes on", () =>
    withLog(({ at, open, path }) =>
      Effect.gen(function* () {
        const whole = gzipSync(Array.from({ length: 20_000 }, (_, n) => `${line(n, String(n * 7919))}\n`).join(""))
        writeFileSync(at(`${rotatedName(1)}.gz`), whole.subarray(0, whole.length / 2))
        writeFileSync(path, `${line(30_000)}\n`)
        const log = yield* open()
        const read: Array<string> = []
        while (read.at(-1) !== line(30_000)) read.push(...(yield* log.next).lines)
        assert.isAbove(read.length, 5_000)
        assert.strictEqual(log.counts().gaps, 1)
      })
    )
  )

  it.live("that may not be read is waited for, with the reason", () =>
    withLog(({ open, path }) =>
      Effect.gen(function* () {
        // A folder in the log's place: nobody may read it as a file, root neither.
        mkdirSync(path)
        const log = yield* open()
        const reading = yield* Effect.forkScoped(take(log, 1))
        yield* Effect.promise(() => eventually("it says why", () => /cannot be read/.test(log.problem() ?? "")))
        rmSync(path, { recursive: true })
        writeFileSync(path, lines(1, 1))
        assert.deepStrictEqual((yield* Fiber.join(reading)).numbers, [1])
      })
    )
  )

  it.live("with a pipe in its place is waited for, with the reason, and read on when it is back", () =>
    withLog(({ at, open, path }) =>
      Effect.gen(function* () {
        writeFileSync(path, lines(1, 2))
        const log = yield* open()
        yield* take(log, 2)
        renameSync(path, at("elsewhere"))
        execFileSync("mkfifo", [path])
        const reading = yield* Effect.forkScoped(take(log, 2))
        yield* Effect.promise(() =>
          eventually("it says why", () => /cannot be read: it is no regular file/.test(log.problem() ?? ""))
        )
        // Without reading on a thread that never comes back: as many looks as there are threads would stop them all.
        assert.strictEqual(yield* log.lagBytes, 0)
        rmSync(path)
        renameSync(at("elsewhere"), path)
        appendFileSync(path, lines(3, 4))
        assert.deepStrictEqual((yield* Fiber.join(reading)).numbers, [3, 4])
        assert.strictEqual(log.counts().gaps, 0)
        assert.isUndefined(log.problem())
      })
    )
  )

  it.live("with a pipe among its rotated files waits for that too", () =>
    withLog(({ at, open, path }) =>
      Effect.gen(function* () {
        for (const name of [rotatedName(1), `${rotatedName(2)}.gz`]) {
          execFileSync("mkfifo", [at(name)])
          writeFileSync(path, lines(1, 1))
          const log = yield* open()
          const reading = yield* Effect.forkScoped(take(log, 1))
          yield* Effect.promise(() => eventually("it says why", () => /no regular file/.test(log.problem() ?? "")))
          rmSync(at(name))
          assert.deepStrictEqual((yield* Fiber.join(reading)).numbers, [1])
        }
      })
    )
  )

  it.effect("that a look at does not come back from is told", () =>
    withLog(({ open, path }) =>
      Effect.gen(function* () {
        writeFileSync(path, lines(1, 1))
        const log = yield* open()
        const stuck = vi.spyOn(LogFollower.prototype, "poll").mockReturnValue(new Promise(() => undefined))
        yield* Effect.addFinalizer(() => Effect.sync(() => stuck.mockRestore()))
        yield* Effect.forkScoped(log.next)
        yield* TestClock.adjust("11 seconds")
        assert.match(log.problem() ?? "", /audit\.log cannot be read: the file system does not answer/)
      })
    )
  )

  it.live("says how much of it was not read", () =>
    withLog(({ at, open, path }) =>
      Effect.gen(function* () {
        writeFileSync(path, lines(1, 10))
        const log = yield* open()
        yield* take(log, 10)
        assert.strictEqual(yield* log.lagBytes, 0)
        appendFileSync(path, "x".repeat(100))
        renameSync(path, at(rotatedName(1)))
        writeFileSync(path, "y".repeat(1000))
        assert.strictEqual(yield* log.lagBytes, 1100)
      })
    )
  )

  it.live("has no position where none was saved, or what is there is none", () =>
    withLog(({ at }) =>
      Effect.gen(function* () {
        assert.strictEqual(yield* readPosition(at("none.json")), undefined)
        writeFileSync(at("broken.json"), `{"head":1}`)
        assert.strictEqual(yield* readPosition(at("broken.json")), undefined)
        writeFileSync(at("file"), "")
        const failed = yield* Effect.flip(savePosition(at("file/position.json"), { head: "", headBytes: 1, offset: 1 }))
        assert.strictEqual(failed._tag, "PositionUnsaved")
      })
    )
  )
})
