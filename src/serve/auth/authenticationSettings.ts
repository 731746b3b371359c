/**
 * How kube-apiserver wants its extensions to tell who calls: the ConfigMap extension-apiserver-authentication in
 * kube-system, which kube-apiserver writes.
 */
import { Result, Schema } from "effect"
import type { X509Certificate } from "node:crypto"
import { certificatesFrom } from "./clientCertificate.ts"
import type { RequestHeaderNames } from "./requestHeader.ts"

export interface AuthenticationSettings {
  /** They sign the certificates of users. */
  readonly clientAuthorities: ReadonlyArray<X509Certificate>
  /** They sign the certificate that kube-apiserver shows when it passes a request on. */
  readonly proxyAuthorities: ReadonlyArray<X509Certificate>
  /** Common names that such a certificate may have; empty allows any. */
  readonly proxyNames: ReadonlyArray<string>
  readonly headers: RequestHeaderNames
}

const Names = Schema.fromJsonString(Schema.Array(Schema.String))

const ConfigMapData = Schema.Struct({
  "client-ca-file": Schema.optionalKey(Schema.String),
  "requestheader-client-ca-file": Schema.optionalKey(Schema.String),
  "requestheader-allowed-names": Schema.optionalKey(Names),
  "requestheader-username-headers": Schema.optionalKey(Names),
  "requestheader-uid-headers": Schema.optionalKey(Names),
  "requestheader-group-headers": Schema.optionalKey(Names),
  "requestheader-extra-headers-prefix": Schema.optionalKey(Names)
})

const decodeData = Schema.decodeUnknownResult(ConfigMapData)

/** The failure is a sentence. */
export const authenticationSettingsFrom = (data: unknown): Result.Result<AuthenticationSettings, string> =>
  Result.flatMap(
    Result.mapError(decodeData(data), (error) => error.message),
    (read) => {
      const names = (key: Exclude<keyof typeof read, "client-ca-file" | "requestheader-client-ca-file">) =>
        read[key] ?? []
      return Result.flatMap(authoritiesAt(read, "client-ca-file"), (clientAuthorities) =>
        Result.flatMap(authoritiesAt(read, "requestheader-client-ca-file"), (proxyAuthorities) => {
          const settings: AuthenticationSettings = {
            clientAuthorities,
            proxyAuthorities,
            proxyNames: names("requestheader-allowed-names"),
            headers: {
              username: names("requestheader-username-headers"),
              uid: names("requestheader-uid-headers"),
              group: names("requestheader-group-headers"),
              extraPrefix: names("requestheader-extra-headers-prefix")
            }
          }
          if (anyUserIsProxy(settings)) {
            return Result.fail(
              "one authority signs users and the front proxy, and requestheader-allowed-names is empty: " +
                "every user could claim to be any other"
            )
          }
          return proxyAuthorities.length > 0 && settings.headers.username.length === 0
            ? Result.fail(
                "requestheader-username-headers names no header: nobody whom kube-apiserver names would be known"
              )
            : Result.succeed(settings)
        })
      )
    }
  )

const authoritiesAt = (
  data: Readonly<Partial<Record<"client-ca-file" | "requestheader-client-ca-file", string>>>,
  key: "client-ca-file" | "requestheader-client-ca-file"
): Result.Result<ReadonlyArray<X509Certificate>, string> =>
  Result.flatMap(
    Result.try({ try: () => certificatesFrom(data[key] ?? ""), catch: () => `${key} holds what is no certificate` }),
    (authorities) =>
      // Without the key a cluster has no such callers. An empty one is a mistake, which would lock them all out.
      data[key] !== undefined && authorities.length === 0
        ? Result.fail(`${key} holds no certificate`)
        : Result.succeed(authorities)
  )

const anyUserIsProxy = ({ clientAuthorities, proxyAuthorities, proxyNames }: AuthenticationSettings): boolean =>
  proxyNames.length === 0 &&
  proxyAuthorities.some((proxy) => clientAuthorities.some((client) => client.fingerprint256 === proxy.fingerprint256))
