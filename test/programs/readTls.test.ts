import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { copyFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { connect } from "node:tls"
import { followTls, readTls } from "../../src/programs/readTls.ts"
import { listen, type Listener } from "../../src/runtime/Listener.ts"
import { serverCertificate } from "../../src/runtime/Tls.ts"
import { eventually } from "../support/eventually.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"

/** The fingerprint of the certificate that a new connection is shown. */
const shown = (listener: Listener): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect({ port: listener.address.port, host: "127.0.0.1", rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().fingerprint256)
      socket.destroy()
    })
    socket.on("error", reject)
  })

describe("followTls", () => {
  it("a renewed certificate is shown to new connections, a broken one is not", async () => {
    await using folder = await temporaryFolder("follow-tls")
    const at = (...names: ReadonlyArray<string>) => join(folder.path, ...names)
    await Effect.runPromise(serverCertificate(at("first"), []))
    await Effect.runPromise(serverCertificate(at("second"), []))
    const settings = { tlsCertificate: at("server.crt"), tlsKey: at("server.key") }
    const place = (from: string) => {
      copyFileSync(at(from, "server.crt"), settings.tlsCertificate)
      copyFileSync(at(from, "server.key"), settings.tlsKey)
    }
    place("first")
    await Effect.runPromise(
      Effect.gen(function* () {
        const tls = yield* readTls(settings)
        const listener = yield* listen({
          setting: "api-listen",
          address: { host: "127.0.0.1", port: 0 },
          tls,
          drainMillis: 0,
          handle: () => Effect.void
        })
        yield* Effect.forkScoped(followTls(settings, tls, listener, "20 millis"))
        yield* Effect.promise(async () => {
          const first = await shown(listener)
          writeFileSync(settings.tlsCertificate, "no certificate")
          assert.strictEqual(await shown(listener), first)
          place("second")
          const second = await eventually("the second is shown", async () => {
            const now = await shown(listener)
            return now === first ? undefined : now
          })
          place("first")
          await eventually("the first is shown again", async () => (await shown(listener)) === first)
          assert.notStrictEqual(second, first)
        })
      }).pipe(Effect.scoped)
    )
  })
})
