/**
 * An OpenID Connect issuer of our own: an HTTPS server with the two documents that Dex or Keycloak would answer, and keys
 * that really sign. Tokens are put together by hand, with Node's own signatures: nothing of what reads them made them.
 *
 * No Dex is run here: what differs from one is told by the documents alone.
 */
import { createHmac, generateKeyPairSync, type KeyObject, sign } from "node:crypto"
import { createServer } from "node:https"
import type { AddressInfo } from "node:net"
import { makeAuthority } from "./certificates.ts"

export type Algorithm = "RS256" | "PS256" | "ES256" | "EdDSA"

export interface SigningKey {
  readonly id: string
  readonly algorithm: Algorithm
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

export interface OidcIssuer extends AsyncDisposable {
  readonly url: string
  /** PEM of who signed its certificate. */
  readonly authority: string
  /** What it says, as it will be asked for: replace to change it. */
  readonly says: {
    keys: ReadonlyArray<SigningKey>
    issuer: string
    /** Other than 200: it fails. */
    status: number
    /** In place of the keys' document. */
    keysText: string | undefined
    /** In place of the keys' address. */
    keysUrl: string | undefined
  }
  /** How often the keys were asked for. */
  readonly asked: () => number
  /** Claims of a token that is good for ten minutes. */
  readonly claims: (more?: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>
}

export const makeKey = (id: string, algorithm: Algorithm = "RS256"): SigningKey => {
  const pair =
    algorithm === "ES256"
      ? generateKeyPairSync("ec", { namedCurve: "P-256" })
      : algorithm === "EdDSA"
        ? generateKeyPairSync("ed25519")
        : generateKeyPairSync("rsa", { modulusLength: 2048 })
  return { id, algorithm, ...pair }
}

const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url")

/** A token in compact form. `header` overrides what the key says. */
export const signed = (
  { algorithm, id, privateKey }: SigningKey,
  claims: Readonly<Record<string, unknown>>,
  header: Readonly<Record<string, unknown>> = {}
): string => {
  const content = `${encoded({ alg: algorithm, typ: "JWT", kid: id, ...header })}.${encoded(claims)}`
  return `${content}.${signature(algorithm, Buffer.from(content), privateKey).toString("base64url")}`
}

const signature = (algorithm: Algorithm, content: Buffer, key: KeyObject): Buffer => {
  switch (algorithm) {
    case "RS256":
      return sign("sha256", content, key)
    case "PS256":
      return sign("sha256", content, { key, padding: 6, saltLength: 32 })
    case "ES256":
      return sign("sha256", content, { key, dsaEncoding: "ieee-p1363" })
    case "EdDSA":
      return sign(undefined, content, key)
  }
}

/** By a secret that everybody knows: the text of the public key, where a verifier is careless. */
export const signedBySecret = (
  secret: string,
  claims: Readonly<Record<string, unknown>>,
  header: Readonly<Record<string, unknown>> = {}
): string => {
  const content = `${encoded({ alg: "HS256", typ: "JWT", ...header })}.${encoded(claims)}`
  return `${content}.${createHmac("sha256", secret).update(content).digest("base64url")}`
}

/** Signed by nobody. */
export const unsigned = (claims: Readonly<Record<string, unknown>>, algorithm = "none"): string =>
  `${encoded({ alg: algorithm, typ: "JWT" })}.${encoded(claims)}.`

export const startOidcIssuer = async (keys: ReadonlyArray<SigningKey>): Promise<OidcIssuer> => {
  const authority = await makeAuthority("issuer authority")
  const certificate = await authority.server("issuer", ["127.0.0.1"])
  const says: OidcIssuer["says"] = { keys, issuer: "", status: 200, keysText: undefined, keysUrl: undefined }
  let asked = 0
  let url = ""
  const server = createServer({ key: certificate.key, cert: certificate.certificate }, (request, response) => {
    const isKeys = request.url === "/dex/keys"
    if (isKeys) asked++
    const known = isKeys || request.url === "/dex/.well-known/openid-configuration"
    const jwks = {
      keys: says.keys.map(({ algorithm, id, publicKey }) => ({
        ...publicKey.export({ format: "jwk" }),
        use: "sig",
        kid: id,
        alg: algorithm
      }))
    }
    const discovery = {
      issuer: says.issuer,
      authorization_endpoint: `${url}/auth`,
      token_endpoint: `${url}/token`,
      jwks_uri: says.keysUrl ?? `${url}/keys`,
      response_types_supported: ["code"],
      subject_types_supported: ["public"],
      id_token_signing_alg_values_supported: ["RS256"]
    }
    response
      .writeHead(known ? says.status : 404, { "content-type": "application/json" })
      .end(isKeys ? (says.keysText ?? JSON.stringify(jwks)) : JSON.stringify(discovery))
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  // It listens on a port, so its address is one.
  url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/dex`
  says.issuer = url
  return {
    url,
    authority: authority.certificate,
    says,
    asked: () => asked,
    claims: (more = {}) => {
      const now = Math.floor(Date.now() / 1_000)
      return { iss: url, aud: "activity", sub: "CgVhbGljZRIFbG9jYWw", iat: now, exp: now + 600, ...more }
    },
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
  }
}
