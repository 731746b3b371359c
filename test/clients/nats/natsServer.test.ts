import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Fiber, Stream } from "effect"
import { execFileSync, spawn, spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { kill } from "node:process"
import { findNatsServer } from "../../../src/clients/nats/findNatsServer.ts"
import { natsLayer } from "../../../src/clients/nats/natsLayer.ts"
import { Nats } from "../../../src/clients/nats/Nats.ts"
import { startNatsServer } from "../../../src/clients/nats/natsServer.ts"
import { isAlive } from "../../../src/runtime/processes.ts"
import { temporaryFolder } from "../../support/temporaryFolder.ts"
import { idIn, messagesOf, streamOf, until } from "./fixtures.ts"

const timeout = 330_000

const folder = Effect.acquireRelease(
  Effect.promise(() => temporaryFolder("nats")),
  (made) => Effect.promise(made.remove)
).pipe(Effect.map((made) => made.path))

/** Tried once in a mount namespace of its own, which leaves nothing. */
const mountPermitted = spawnSync("unshare", ["--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).status === 0

describe("a nats-server of our own", () => {
  it.live(
    "runs while its scope is open, keeps its data, and leaves no process",
    () =>
      Effect.gen(function* () {
        const path = yield* folder
        const stream = streamOf("KEPT")
        const once = (count: number) =>
          Effect.scoped(
            Effect.gen(function* () {
              const server = yield* startNatsServer({ folder: path })
              yield* Effect.gen(function* () {
                const nats = yield* Nats
                yield* nats.ensureStreams([stream])
                yield* nats.publish(messagesOf(stream, `${count}`, 1))
                assert.strictEqual((yield* nats.streamState("KEPT")).messages, count)
              }).pipe(Effect.provide(natsLayer({ servers: [server.url], name: "test" })))
              return server.pid()
            })
          )
        assert.isFalse(isAlive(yield* once(1)))
        assert.isFalse(isAlive(yield* once(2)))
        assert.isFalse(existsSync(join(path, "nats-server.json")))
      }).pipe(Effect.scoped),
    timeout
  )

  it.live(
    "is started again on its port when it dies",
    () =>
      Effect.gen(function* () {
        const server = yield* startNatsServer({ folder: yield* folder })
        const first = server.pid()
        yield* Effect.gen(function* () {
          const nats = yield* Nats
          const stream = streamOf("AGAIN")
          yield* nats.ensureStreams([stream])
          yield* nats.publish(messagesOf(stream, "a", 1))
          kill(first, "SIGKILL")
          yield* until(
            "another one runs",
            Effect.sync(() => server.pid() !== first)
          )
          yield* nats.publish(messagesOf(stream, "a", 2))
          assert.strictEqual((yield* nats.streamState("AGAIN")).messages, 2)
        }).pipe(Effect.provide(natsLayer({ servers: [server.url], name: "test", unavailableAfter: "1 minute" })))
        assert.isFalse(isAlive(first))
      }).pipe(Effect.scoped),
    timeout
  )

  // A disk that can be filled is a mount, which needs root and a system that permits it.
  it.live.skipIf(!mountPermitted)(
    "a disk that was full and has room again: publishes go on, and what was confirmed is there",
    () =>
      Effect.gen(function* () {
        const path = yield* folder
        const disk = yield* Effect.acquireRelease(
          Effect.sync(() => {
            const made = join(path, "disk")
            mkdirSync(made)
            execFileSync("mount", ["-t", "tmpfs", "-o", "size=100m", "tmpfs", made])
            return made
          }),
          // Released after the server, whose files it holds.
          (made) => Effect.sync(() => void execFileSync("umount", ["-l", made]))
        )
        const server = yield* startNatsServer({ folder: disk, roomWait: "2 seconds" })
        const first = server.pid()
        yield* Effect.gen(function* () {
          const nats = yield* Nats
          const stream = streamOf("CRAMPED", { sizeMebibytes: 8 })
          yield* nats.ensureStreams([stream])
          yield* nats.publish(messagesOf(stream, "before", 100, { sizeBytes: 3_000 }))
          assert.throws(() => execFileSync("dd", ["if=/dev/zero", `of=${disk}/filler`, "bs=1M"], { stdio: "ignore" }))
          const publishing = yield* Effect.forkChild(
            nats.publish(messagesOf(stream, "full", 100, { sizeBytes: 3_000 }))
          )
          yield* until(
            "publishes are not answered",
            Effect.sync(() => nats.state().resent > 0)
          )
          assert.strictEqual(server.pid(), first)
          rmSync(join(disk, "filler"))
          yield* Fiber.join(publishing)
          assert.notStrictEqual(server.pid(), first)
          const ids = yield* nats
            .tail({ stream: "CRAMPED", from: 1 })
            .pipe(Stream.take(200), Stream.map(idIn), Stream.runCollect)
          assert.strictEqual(new Set(ids).size, 200)
        }).pipe(Effect.provide(natsLayer({ servers: [server.url], name: "test", unavailableAfter: "1 minute" })))
      }).pipe(Effect.scoped),
    timeout
  )

  it.live(
    "what a killed process left running on the folder is stopped first, even when it hangs",
    () =>
      Effect.gen(function* () {
        const path = yield* folder
        const program = yield* findNatsServer
        // As a killed process leaves it: a server with its record.
        const orphan = spawn(program, ["-c", join(path, "nats-server.conf"), "-a", "127.0.0.1", "-p", "-1"], {
          stdio: "ignore",
          detached: true
        })
        writeFileSync(join(path, "nats-server.conf"), "")
        yield* Effect.addFinalizer(() => Effect.sync(() => orphan.kill("SIGKILL")))
        const pid = orphan.pid ?? 0
        writeFileSync(join(path, "nats-server.json"), JSON.stringify({ pid, port: 0, name: "activity-left" }))
        orphan.kill("SIGSTOP")
        const server = yield* startNatsServer({ folder: path })
        yield* until(
          "the orphan is gone",
          Effect.sync(() => !isAlive(pid))
        )
        assert.notStrictEqual(server.pid(), pid)
      }).pipe(Effect.scoped),
    timeout
  )

  it.live(
    "a process that is not recognised is not touched",
    () =>
      Effect.gen(function* () {
        const path = yield* folder
        const stranger = spawn("sleep", ["300"], { stdio: "ignore" })
        yield* Effect.addFinalizer(() => Effect.sync(() => stranger.kill("SIGKILL")))
        writeFileSync(
          join(path, "nats-server.json"),
          JSON.stringify({ pid: stranger.pid, port: 1, name: "activity-old" })
        )
        const server = yield* startNatsServer({ folder: path })
        assert.isTrue(isAlive(stranger.pid ?? 0))
        const record: unknown = JSON.parse(readFileSync(join(path, "nats-server.json"), "utf8"))
        assert.propertyVal(record, "pid", server.pid())
        assert.propertyVal(record, "port", server.port)
      }).pipe(Effect.scoped),
    timeout
  )

  it.live(
    "a NATS_SERVER that is no program is an error that says so",
    () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(findNatsServer)
        assert.include(error.message, "NATS_SERVER=/nowhere/nats-server, which is not executable")
      }).pipe(
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ NATS_SERVER: "/nowhere/nats-server" })))
      ),
    timeout
  )
})
