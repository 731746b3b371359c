import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { X509Certificate } from "node:crypto"
import { readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { serverCertificate } from "../../src/runtime/Tls.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"

describe("serverCertificate", () => {
  it("is signed by its authority, names this machine, and is kept", async () => {
    await using folder = await temporaryFolder("tls")
    const made = await Effect.runPromise(serverCertificate(folder.path, ["activity.example.com", "10.1.2.3"]))
    const certificate = new X509Certificate(made.certificate)
    assert(certificate.verify(new X509Certificate(made.authority).publicKey))
    for (const name of ["localhost", "activity.example.com"]) assert.strictEqual(certificate.checkHost(name), name)
    for (const address of ["127.0.0.1", "10.1.2.3"]) assert.strictEqual(certificate.checkIP(address), address)
    assert.strictEqual(statSync(join(folder.path, "server.key")).mode & 0o777, 0o600)
    assert.deepStrictEqual(await Effect.runPromise(serverCertificate(folder.path, ["10.1.2.3"])), made)
    assert.strictEqual(readFileSync(join(folder.path, "ca.crt"), "utf8"), made.authority)
  })

  it("is made again for a name that it does not have", async () => {
    await using folder = await temporaryFolder("tls")
    const first = await Effect.runPromise(serverCertificate(folder.path, []))
    const second = await Effect.runPromise(serverCertificate(folder.path, ["other.example.com"]))
    assert.notStrictEqual(second.certificate, first.certificate)
    assert.strictEqual(new X509Certificate(second.certificate).checkHost("other.example.com"), "other.example.com")
  })

  it("a folder that cannot be one is a typed failure", async () => {
    const error = await Effect.runPromise(Effect.flip(serverCertificate("/dev/null/tls", [])))
    assert.strictEqual(error._tag, "CertificatesRefused")
  })
})
