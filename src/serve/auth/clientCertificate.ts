/**
 * What the certificate of a connection's client proves. The connection itself proved that the client has its key.
 *
 * Node does not show a server the intermediates that its client sent, so a certificate counts when one of the known
 * authorities signed it itself: an authority that signs by an intermediate is given together with it.
 */
import { X509Certificate } from "node:crypto"
import type { Socket } from "node:net"
import { TLSSocket } from "node:tls"
import type { User } from "./Authenticator.ts"

const clientUse = "1.3.6.1.5.5.7.3.2"
const anyUse = "2.5.29.37.0"

/** The certificates of a PEM text. Throws when one of them is none. */
export const certificatesFrom = (pem: string): ReadonlyArray<X509Certificate> =>
  (pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []).map(
    (block) => new X509Certificate(block)
  )

/**
 * Undefined without a certificate, and for one that none of the listener's authorities had signed when the connection
 * began: that check knows all of X.509, and {@link isIssuedBy} tells whose it was.
 */
export const certificateOf = (socket: Socket): X509Certificate | undefined =>
  socket instanceof TLSSocket && socket.authorized ? socket.getPeerX509Certificate() : undefined

/** Whether one of exactly these authorities signed the client's certificate, and both are valid now. */
export const isIssuedBy = (
  certificate: X509Certificate,
  authorities: ReadonlyArray<X509Certificate>,
  nowMillis: number
): boolean =>
  isForClients(certificate) &&
  isValidAt(certificate, nowMillis) &&
  authorities.some(
    (authority) =>
      authority.ca &&
      isValidAt(authority, nowMillis) &&
      certificate.checkIssued(authority) &&
      certificate.verify(authority.publicKey)
  )

/** The user that a certificate names: CN, and an O for each group. Undefined: it names none, or several. */
export const userFromCertificate = (certificate: X509Certificate): User | undefined => {
  // By attribute: the text of a subject would have to be taken apart again.
  const subject: Readonly<Record<string, string | ReadonlyArray<string> | undefined>> =
    certificate.toLegacyObject().subject
  const { CN: name, O: organizations = [] } = subject
  return typeof name !== "string" || name === ""
    ? undefined
    : { name, uid: "", groups: typeof organizations === "string" ? [organizations] : organizations, extra: {} }
}

const isForClients = (certificate: X509Certificate): boolean => {
  // Typed as always there; a certificate without the extension has none, and may be used for everything.
  const uses = certificate.keyUsage as ReadonlyArray<string> | undefined
  return uses === undefined || uses.includes(clientUse) || uses.includes(anyUse)
}

const isValidAt = (certificate: X509Certificate, millis: number): boolean =>
  certificate.validFromDate.getTime() <= millis && millis <= certificate.validToDate.getTime()
