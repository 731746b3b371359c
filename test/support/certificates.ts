/** Certificates of test clusters: authorities, servers and clients, as PEM texts. */
// oxlint-disable-next-line import/no-unassigned-import -- @peculiar/x509 needs it to be there first
import "reflect-metadata"
import * as x509 from "@peculiar/x509"

export interface Certificate {
  readonly certificate: string
  readonly key: string
}

export interface Authority {
  /** PEM. */
  readonly certificate: string
  readonly key: string
  /** For a server at `hosts`: names or addresses. */
  readonly server: (name: string, hosts: ReadonlyArray<string>) => Promise<Certificate>
  /** For a client; its organisations are its groups where Kubernetes reads it. */
  readonly client: (name: string, groups?: ReadonlyArray<string>, options?: ClientOptions) => Promise<Certificate>
  /** Another authority that this one vouches for. */
  readonly intermediate: (name: string) => Promise<Authority>
}

export interface ClientOptions {
  /** It ended yesterday. */
  readonly isExpired?: boolean
  /** Without the extension that says what it is for. */
  readonly isForAnything?: boolean
}

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const

const dayMillis = 86_400_000

export const makeAuthority = (name: string): Promise<Authority> => authorityFrom(name, undefined)

interface Signer {
  readonly subject: string
  readonly keys: CryptoKeyPair
}

const authorityFrom = async (name: string, signer: Signer | undefined): Promise<Authority> => {
  x509.cryptoProvider.set(crypto)
  const notBefore = new Date(Date.now() - dayMillis)
  const notAfter = new Date(Date.now() + 365 * dayMillis)
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"])
  const subject = new x509.Name([{ CN: [name] }]).toString()
  const authority = await x509.X509CertificateGenerator.create({
    subject,
    issuer: signer?.subject ?? subject,
    notBefore,
    notAfter,
    publicKey: keys.publicKey,
    signingKey: (signer?.keys ?? keys).privateKey,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey)
    ]
  })
  const issue = async (
    subject: x509.JsonName,
    usages: ReadonlyArray<x509.ExtendedKeyUsage>,
    hosts: ReadonlyArray<string>,
    isExpired = false
  ) => {
    const own = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"])
    const issued = await x509.X509CertificateGenerator.create({
      subject,
      issuer: authority.subject,
      notBefore: isExpired ? new Date(notBefore.getTime() - dayMillis) : notBefore,
      notAfter: isExpired ? notBefore : notAfter,
      publicKey: own.publicKey,
      signingKey: keys.privateKey,
      signingAlgorithm: algorithm,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        ...(usages.length === 0 ? [] : [new x509.ExtendedKeyUsageExtension([...usages])]),
        await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey),
        ...(hosts.length === 0
          ? []
          : [
              new x509.SubjectAlternativeNameExtension(
                hosts.map((value) => ({ type: /^[0-9.]+$|:/.test(value) ? ("ip" as const) : ("dns" as const), value }))
              )
            ])
      ]
    })
    return { certificate: issued.toString("pem"), key: await privateKey(own.privateKey) }
  }
  return {
    certificate: authority.toString("pem"),
    key: await privateKey(keys.privateKey),
    server: (commonName, hosts) => issue([{ CN: [commonName] }], [x509.ExtendedKeyUsage.serverAuth], hosts),
    client: (commonName, groups = [], { isExpired = false, isForAnything = false } = {}) =>
      issue(
        [...groups.map((group) => ({ O: [group] })), { CN: [commonName] }],
        isForAnything ? [] : [x509.ExtendedKeyUsage.clientAuth],
        [],
        isExpired
      ),
    intermediate: (other) => authorityFrom(other, { subject: authority.subject, keys })
  }
}

const privateKey = async (key: CryptoKey): Promise<string> =>
  x509.PemConverter.encode(await crypto.subtle.exportKey("pkcs8", key), "PRIVATE KEY")
