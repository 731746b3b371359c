/** A nats-server that somebody started without JetStream. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { findNatsServer } from "../../../src/clients/nats/findNatsServer.ts"
import { Nats } from "../../../src/clients/nats/Nats.ts"
import { natsLayer } from "../../../src/clients/nats/natsLayer.ts"
import { eventually } from "../../support/eventually.ts"
import { temporaryFolder } from "../../support/temporaryFolder.ts"
import { streamOf } from "./fixtures.ts"

/** @returns its URL */
const plainServer = Effect.acquireRelease(
  Effect.gen(function* () {
    const program = yield* findNatsServer
    const folder = yield* Effect.promise(() => temporaryFolder("nats-plain"))
    const child = spawn(program, ["-a", "127.0.0.1", "-p", "-1", "--ports_file_dir", folder.path], { stdio: "ignore" })
    const url = yield* Effect.promise(() =>
      eventually("nats-server listens", async () => {
        const ports = join(folder.path, `nats-server_${child.pid}.ports`)
        return existsSync(ports) ? /"(nats:\/\/127[^"]*)"/.exec(readFileSync(ports, "utf8"))?.[1] : undefined
      })
    )
    return { url, child, folder }
  }),
  ({ child, folder }) =>
    Effect.promise(async () => {
      child.kill("SIGKILL")
      await once(child, "exit")
      await folder.remove()
    })
).pipe(Effect.map(({ url }) => url))

describe("a nats-server without JetStream", () => {
  it.live("is told as that, with what to do; and as something that may heal", () =>
    Effect.gen(function* () {
      const url = yield* plainServer
      const error = yield* Nats.use((nats) => nats.ensureStreams([streamOf("NONE")])).pipe(
        Effect.provide(natsLayer({ servers: [url], name: "test" })),
        Effect.flip
      )
      assert.include(error.message, "JetStream is not enabled there: start nats-server with -js")
      assert.strictEqual(error.reason._tag, "NatsUnavailable")
      assert.isTrue(error.retryable)
    }).pipe(Effect.scoped)
  )
})
