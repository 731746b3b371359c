/**
 * Certificates of our own for one machine: an authority and one server certificate, kept in a folder and made again
 * when they are about to end.
 */
import { Clock, Effect, Schema } from "effect"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { X509Certificate } from "node:crypto"
import { join } from "node:path"
import { makeFolder } from "./makeFolder.ts"

/** The folder of the certificates cannot be written or holds something else. */
export class CertificatesRefused extends Schema.TaggedError<CertificatesRefused>()("CertificatesRefused", {
  folder: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    const why = this.cause instanceof Error ? this.cause.message : String(this.cause)
    return `The certificates in ${this.folder} cannot be used (${why}). Remove the folder to have new ones made.`
  }
}

/** PEM texts. */
export interface ServerCertificate {
  readonly authority: string
  readonly key: string
  readonly certificate: string
}

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const

const dayMillis = 86_400_000
const validMillis = 825 * dayMillis
const renewBeforeMillis = 30 * dayMillis

/** The certificate in `folder` for `localhost`, `127.0.0.1`, `::1` and `names`; made where it is missing or ends soon. */
export const serverCertificate = (
  folder: string,
  names: ReadonlyArray<string>
): Effect.Effect<ServerCertificate, CertificatesRefused> =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    return yield* Effect.tryPromise({
      try: async () => {
        makeFolder(folder, 0o700)
        return readCertificate(folder, names, now) ?? (await makeCertificate(folder, names, now))
      },
      catch: (cause) => new CertificatesRefused({ folder, cause })
    })
  })

const fileNames = { authority: "ca.crt", key: "server.key", certificate: "server.crt" } as const

const readCertificate = (folder: string, names: ReadonlyArray<string>, now: number): ServerCertificate | undefined => {
  if (!Object.values(fileNames).every((name) => existsSync(join(folder, name)))) return undefined
  const text = (name: string) => readFileSync(join(folder, name), "utf8")
  const certificate = text(fileNames.certificate)
  const parsed = new X509Certificate(certificate)
  return Date.parse(parsed.validTo) - now < renewBeforeMillis || !names.every((name) => covers(parsed, name))
    ? undefined
    : { authority: text(fileNames.authority), key: text(fileNames.key), certificate }
}

const isAddress = (name: string): boolean => /^[0-9.]+$|:/.test(name)

const covers = (certificate: X509Certificate, name: string): boolean =>
  (isAddress(name) ? certificate.checkIP(name) : certificate.checkHost(name)) !== undefined

const makeCertificate = async (
  folder: string,
  names: ReadonlyArray<string>,
  now: number
): Promise<ServerCertificate> => {
  // Loaded only here: it needs a polyfill and costs a tenth of a second, and a certificate is made once a year or two.
  await import("reflect-metadata")
  const x509 = await import("@peculiar/x509")
  x509.cryptoProvider.set(crypto)
  const notBefore = new Date(now - dayMillis)
  const notAfter = new Date(now + validMillis)
  const authorityKeys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"])
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    name: "CN=activity-local-ca",
    notBefore,
    notAfter,
    keys: authorityKeys,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(authorityKeys.publicKey)
    ]
  })
  const serverKeys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"])
  const server = await x509.X509CertificateGenerator.create({
    subject: "CN=activity",
    issuer: authority.subject,
    notBefore,
    notAfter,
    publicKey: serverKeys.publicKey,
    signingKey: authorityKeys.privateKey,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      await x509.AuthorityKeyIdentifierExtension.create(authorityKeys.publicKey),
      new x509.SubjectAlternativeNameExtension([
        { type: "dns", value: "localhost" },
        { type: "ip", value: "127.0.0.1" },
        { type: "ip", value: "::1" },
        ...names.map((value) => ({ type: isAddress(value) ? ("ip" as const) : ("dns" as const), value }))
      ])
    ]
  })
  const keyBytes = await crypto.subtle.exportKey("pkcs8", serverKeys.privateKey)
  const made = {
    authority: authority.toString("pem"),
    key: x509.PemConverter.encode(keyBytes, "PRIVATE KEY"),
    certificate: server.toString("pem")
  }
  writeFileSync(join(folder, fileNames.authority), made.authority, { mode: 0o644 })
  writeFileSync(join(folder, fileNames.key), made.key, { mode: 0o600 })
  writeFileSync(join(folder, fileNames.certificate), made.certificate, { mode: 0o644 })
  return made
}
