/**
 * Authentication in a cluster, in this order: kube-apiserver passes a request on and names the user in headers; a client
 * certificate; a bearer token. Who brings none of them is nobody.
 */
import { Clock, Effect, Layer, Stream, SubscriptionRef } from "effect"
import type { X509Certificate } from "node:crypto"
import type { Socket } from "node:net"
import type { Kube } from "../../clients/kube/Kube.ts"
import type { Health } from "../../runtime/Health.ts"
import { failure } from "../ApiFailure.ts"
import type { AuthenticationSettings } from "./authenticationSettings.ts"
import { authenticated, Authenticator, bearerToken, refuseImpersonation, type User } from "./Authenticator.ts"
import { certificateOf, isIssuedBy, userFromCertificate } from "./clientCertificate.ts"
import { followAuthentication } from "./followAuthentication.ts"
import { userFromHeaders } from "./requestHeader.ts"
import { tokenReviews } from "./tokenReview.ts"

/** A certificate that ends while its connection is open is noticed after so long. */
const proofKeptMillis = 60_000

export const clusterAuthenticationLayer: Layer.Layer<Authenticator, never, Health | Kube> = Layer.effect(
  Authenticator,
  Effect.gen(function* () {
    const settings = yield* followAuthentication
    const review = yield* tokenReviews
    const proofs = new WeakMap<Socket, Proof>()
    const proofOf = (socket: Socket, wanted: AuthenticationSettings, nowMillis: number): Proof => {
      const known = proofs.get(socket)
      if (known?.settings === wanted && nowMillis - known.checkedMillis < proofKeptMillis) return known
      const proof = { settings: wanted, checkedMillis: nowMillis, ...proven(certificateOf(socket), wanted, nowMillis) }
      proofs.set(socket, proof)
      return proof
    }
    return Authenticator.of({
      authenticate: (request) =>
        Effect.gen(function* () {
          const now = SubscriptionRef.getUnsafe(settings)
          const proof = now === undefined ? undefined : proofOf(request.socket, now, yield* Clock.currentTimeMillis)
          const named =
            proof?.isFrontProxy === true ? userFromHeaders(request.rawHeaders, proof.settings.headers) : undefined
          // Impersonate-* is not looked at here: kube-apiserver has done what it may, and names the result.
          if (named !== undefined) return authenticated({ ...named, isPassedOn: true })
          const token = bearerToken(request)
          const user = proof?.user ?? (token === undefined ? undefined : yield* review(token))
          if (user === undefined) return yield* failure("Unauthorized", "Unauthorized")
          yield* refuseImpersonation(request)
          return authenticated(user)
        }),
      clientAuthorities: SubscriptionRef.changes(settings).pipe(
        Stream.map((now) =>
          [...(now?.proxyAuthorities ?? []), ...(now?.clientAuthorities ?? [])].map((authority) => authority.toString())
        )
      )
    })
  })
)

/** What a connection's certificate proves under some settings. */
interface Proof {
  readonly settings: AuthenticationSettings
  readonly checkedMillis: number
  readonly isFrontProxy: boolean
  /** Whom the certificate itself names. */
  readonly user: User | undefined
}

const proven = (
  certificate: X509Certificate | undefined,
  settings: AuthenticationSettings,
  nowMillis: number
): Pick<Proof, "isFrontProxy" | "user"> => {
  if (certificate === undefined) return { isFrontProxy: false, user: undefined }
  const named = userFromCertificate(certificate)
  const { clientAuthorities, proxyAuthorities, proxyNames } = settings
  return {
    isFrontProxy:
      (proxyNames.length === 0 || (named !== undefined && proxyNames.includes(named.name))) &&
      isIssuedBy(certificate, proxyAuthorities, nowMillis),
    user: isIssuedBy(certificate, clientAuthorities, nowMillis) ? named : undefined
  }
}
