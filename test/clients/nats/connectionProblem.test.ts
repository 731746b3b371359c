/** Why there is no connection to NATS, or no stream, as the person is told. */
import { assert, describe, it } from "vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { findNatsServer } from "../../../src/clients/nats/findNatsServer.ts"
import { Nats } from "../../../src/clients/nats/Nats.ts"
import { natsLayer, type NatsOptions } from "../../../src/clients/nats/natsLayer.ts"
import { eventually } from "../../support/eventually.ts"
import { temporaryFolder } from "../../support/temporaryFolder.ts"
import { streamOf } from "./fixtures.ts"

/** A nats-server with these lines in its file. */
const startServer = async (lines: string) => {
  const folder = await temporaryFolder("nats-problem")
  const file = join(folder.path, "nats-server.conf")
  writeFileSync(file, `listen: "127.0.0.1:-1"\nports_file_dir: "${folder.path}"\n${lines}\n`)
  const child = spawn(await Effect.runPromise(findNatsServer), ["-c", file, "-sd", join(folder.path, "data")], {
    stdio: "ignore"
  })
  const host = await eventually("nats-server listens", () => {
    const ports = join(folder.path, `nats-server_${child.pid}.ports`)
    return existsSync(ports) ? /"nats:\/\/(127[^"]*)"/.exec(readFileSync(ports, "utf8"))?.[1] : undefined
  })
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGKILL")
      await once(child, "exit")
    }
    await folder.remove()
  }
  return { host, [Symbol.asyncDispose]: stop }
}

/** What making a stream of 64 MiB fails with, and what the probes say then. */
const failureOf = (options: Partial<NatsOptions>) =>
  Effect.runPromise(
    Effect.gen(function* () {
      const nats = yield* Nats
      const error = yield* Effect.flip(nats.ensureStreams([streamOf("NEW")]))
      return { message: error.message, retryable: error.retryable, problem: nats.problem() }
    }).pipe(Effect.provide(natsLayer({ servers: [], name: "test", unavailableAfter: "1 second", ...options })))
  )

describe("a NATS server", () => {
  it("that wants another user is told with the setting, without what stands before its @", async () => {
    await using server = await startServer(`authorization { user: "joe", password: "right" }`)
    const servers = [`nats://joe:s3cret@${server.host}`]
    const without = await failureOf({ servers })
    const wanted = `nats://${server.host} (--nats-url) wants a user: give --nats-credentials`
    assert.strictEqual(without.problem, wanted)
    assert.isTrue(without.message.endsWith(`: ${wanted}`), without.message)
  })

  it("that is away is told with its address and why", async () => {
    const { message, problem, retryable } = await failureOf({ servers: ["nats://u:s3cret@127.0.0.1:1"] })
    assert.strictEqual(problem, "not connected to nats://127.0.0.1:1 (--nats-url): ECONNREFUSED")
    assert.include(message, problem!)
    assert.isTrue(retryable)
  })

  it("without room for a stream is told with the stream, its size and the setting", async () => {
    await using server = await startServer("jetstream { max_file_store: 8MB }")
    const { message, problem, retryable } = await failureOf({ servers: [`nats://${server.host}`] })
    assert.strictEqual(
      message,
      "streams.ensure: the NATS server has no room for the stream NEW of 64 MiB (10047): " +
        "give it more (max_file_store), or all programs a smaller --stream-scale"
    )
    // Somebody may give it more while it runs.
    assert.isTrue(retryable)
    assert.isUndefined(problem)
  })
})
