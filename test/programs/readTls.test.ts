import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { copyFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { connect } from "node:tls"
import { followTls, readTls } from "../../src/programs/readTls.ts"
import { Health } from "../../src/runtime/Health.ts"
import { listen, type Listener } from "../../src/runtime/Listener.ts"
import { serverCertificate } from "../../src/runtime/Tls.ts"
import { makeAuthority } from "../support/certificates.ts"
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

interface Files {
  readonly tlsCertificate: string
  readonly tlsKey: string
}

/** A listener with what the files hold now. */
const listening = Effect.fnUntraced(function* (files: Files) {
  const tls = yield* readTls(files)
  const listener = yield* listen({
    setting: "api-listen",
    address: { host: "127.0.0.1", port: 0 },
    tls,
    drainMillis: 0,
    handle: () => Effect.void
  })
  return { tls, listener }
})

/** Files in a folder of their own, and how to fill them. */
const filesIn = Effect.fnUntraced(function* (name: string) {
  const folder = yield* Effect.acquireRelease(
    Effect.promise(() => temporaryFolder(name)),
    (made) => Effect.promise(() => made.remove())
  )
  const settings: Files = { tlsCertificate: join(folder.path, "tls.crt"), tlsKey: join(folder.path, "tls.key") }
  const place = (certificate: string, key: string): void => {
    writeFileSync(settings.tlsCertificate, certificate)
    writeFileSync(settings.tlsKey, key)
  }
  return { settings, place }
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
        const { listener, tls } = yield* listening(settings)
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
      }).pipe(Effect.scoped, Effect.provide(Health.layer))
    )
  })

  it.effect("a replica whose certificate has ended is not ready until it is renewed", () =>
    Effect.gen(function* () {
      const { place, settings } = yield* filesIn("ended-tls")
      const authority = yield* Effect.promise(() => makeAuthority("authority"))
      // For a client, as only those are made to have ended; what it is for does not matter here.
      const ended = yield* Effect.promise(() => authority.client("activity", [], { isExpired: true }))
      place(ended.certificate, ended.key)
      const { listener, tls } = yield* listening(settings)
      // The test's clock begins in 1970.
      yield* TestClock.setTime(Date.now())
      yield* Effect.forkScoped(followTls(settings, tls, listener), { startImmediately: true })
      const health = yield* Health
      const problem = () => health.report().checks[0]?.problem
      assert.include(problem(), "ended at")
      assert.isFalse(health.report().ready)
      const { certificate, key } = yield* Effect.promise(() => authority.server("activity", ["localhost"]))
      place(certificate, key)
      yield* TestClock.adjust("10 seconds")
      assert.isTrue(health.report().ready)
    }).pipe(Effect.provide(Health.layer))
  )

  it.effect("an empty file, or the key of another, is refused at the start and later changes nothing", () =>
    Effect.gen(function* () {
      const { place, settings } = yield* filesIn("empty-tls")
      const authority = yield* Effect.promise(() => makeAuthority("authority"))
      const [own, other] = yield* Effect.promise(() =>
        Promise.all(["own", "other"].map((name) => authority.server(name, ["localhost"])))
      )
      assert(own !== undefined && other !== undefined)
      place(own.certificate, own.key)
      const { listener, tls } = yield* listening(settings)
      yield* TestClock.setTime(Date.now())
      yield* Effect.forkScoped(followTls(settings, tls, listener), { startImmediately: true })
      const health = yield* Health
      const first = yield* Effect.promise(() => shown(listener))
      for (const [certificate, key] of [
        ["", own.key],
        [own.certificate, ""],
        ["", ""],
        [own.certificate, other.key]
      ] as const) {
        place(certificate, key)
        assert.include((yield* Effect.flip(readTls(settings))).sentence, "cannot be used: ")
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(yield* Effect.promise(() => shown(listener)), first)
        assert.isTrue(health.report().ready)
      }
      place(other.certificate, other.key)
      yield* TestClock.adjust("10 seconds")
      assert.notStrictEqual(yield* Effect.promise(() => shown(listener)), first)
    }).pipe(Effect.provide(Health.layer))
  )
})
