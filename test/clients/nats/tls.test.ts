import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { findNatsServer } from "../../../src/clients/nats/findNatsServer.ts"
import { natsLayer, type NatsOptions } from "../../../src/clients/nats/natsLayer.ts"
import { Nats } from "../../../src/clients/nats/Nats.ts"
import { auditEvents } from "../../../src/domain/streams.ts"
import { serverCertificate } from "../../../src/runtime/Tls.ts"
import { eventually } from "../../support/eventually.ts"
import { temporaryFolder } from "../../support/temporaryFolder.ts"

/** Makes a stream, and says how many messages it has: nothing without a working connection. */
const use = (options: NatsOptions) =>
  Effect.runPromise(
    Nats.use((nats) =>
      nats
        .ensureStreams([{ ...auditEvents, sizeBytesMax: 1024 * 1024 }])
        .pipe(Effect.andThen(nats.streamState(auditEvents.name)))
    ).pipe(
      Effect.map((state) => String(state.messages)),
      Effect.catchTag("NatsError", (error) => Effect.succeed(error.reason._tag)),
      Effect.provide(natsLayer(options)),
      Effect.scoped
    )
  )

describe("a nats-server with TLS", () => {
  it("is reached with its authority, and with nothing less", { timeout: 120_000 }, async () => {
    await using folder = await temporaryFolder("nats-tls")
    const at = (name: string) => join(folder.path, name)
    await Effect.runPromise(serverCertificate(at("tls"), []))
    writeFileSync(
      at("server.conf"),
      `listen: "127.0.0.1:-1"
ports_file_dir: "${folder.path}"
jetstream { store_dir: "${at("data")}" }
tls { cert_file: "${at("tls/server.crt")}", key_file: "${at("tls/server.key")}" }
`
    )
    const child: ChildProcess = spawn(await Effect.runPromise(findNatsServer), ["-c", at("server.conf")], {
      stdio: "ignore"
    })
    try {
      const ports = at(`nats-server_${child.pid}.ports`)
      const port = await eventually("nats-server listens", () =>
        existsSync(ports) ? /"(?:nats|tls)":\s*\["[^"]*:(\d+)"/.exec(readFileSync(ports, "utf8"))?.[1] : undefined
      )
      const servers = [`tls://127.0.0.1:${port}`]
      const unavailableAfter = "2 seconds"
      assert.strictEqual(await use({ servers, name: "test", tls: { caFile: at("tls/ca.crt") }, unavailableAfter }), "0")
      assert.strictEqual(await use({ servers, name: "test", unavailableAfter }), "NatsUnavailable")
    } finally {
      child.kill("SIGKILL")
      await once(child, "exit")
    }
  })
})
