import { Clock, type Duration, Effect, Schedule } from "effect"
import { createPrivateKey, X509Certificate } from "node:crypto"
import { readFileSync } from "node:fs"
import { Health } from "../runtime/Health.ts"
import type { Listener } from "../runtime/Listener.ts"
import { StartRefused } from "../runtime/StartRefused.ts"

/** PEM texts. */
export interface ServerTls {
  readonly certificate: string
  readonly key: string
}

/**
 * The certificate and key that a server was given.
 *
 * @fails StartRefused when a file cannot be read, is none, or the two do not belong together
 */
export const readTls = (settings: {
  readonly tlsCertificate: string
  readonly tlsKey: string
}): Effect.Effect<ServerTls, StartRefused> =>
  Effect.all({
    certificate: readPem("tls-certificate", settings.tlsCertificate),
    key: readPem("tls-key", settings.tlsKey)
  }).pipe(
    Effect.flatMap((tls) => {
      const fault = tlsFault(tls)
      return fault === undefined
        ? Effect.succeed(tls)
        : Effect.fail(
            new StartRefused({
              sentence: `--tls-certificate ${settings.tlsCertificate} and --tls-key ${settings.tlsKey} cannot be used: ${fault}.`
            })
          )
    })
  )

/** Node takes an empty text for no certificate at all, and would answer nobody from then on. */
const tlsFault = ({ certificate, key }: ServerTls): string | undefined => {
  try {
    return new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key))
      ? undefined
      : "the key is not that of the certificate"
  } catch (cause) {
    return cause instanceof Error ? cause.message : String(cause)
  }
}

/** A PEM file that a setting names. */
export const readPem = (setting: string, path: string): Effect.Effect<string, StartRefused> =>
  path === ""
    ? Effect.fail(new StartRefused({ sentence: `--${setting} is missing: give a PEM file.` }))
    : Effect.try({
        try: () => readFileSync(path, "utf8"),
        catch: (cause) =>
          new StartRefused({
            sentence: `--${setting} ${path} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`
          })
      })

/** How often the files are looked at: certificates are renewed days before they end. */
const lookEvery = "10 seconds"

/**
 * Gives the listener the files' certificate whenever it has changed, for ever. What cannot be read, or does not belong
 * together yet, leaves the one it has. A replica whose certificate has ended is not ready: nobody believes it.
 */
export const followTls = (
  settings: { readonly tlsCertificate: string; readonly tlsKey: string },
  first: ServerTls,
  listener: Listener,
  every: Duration.Input = lookEvery
): Effect.Effect<never, never, Health> => {
  let known = first
  let warned = false
  const look = readTls(settings).pipe(
    Effect.filterOrFail(
      (tls) => tls.certificate !== known.certificate || tls.key !== known.key,
      () => unchanged
    ),
    Effect.flatMap((tls) =>
      Effect.try({
        try: () => {
          listener.setTls(tls)
          known = tls
          warned = false
        },
        catch: (cause) => new StartRefused({ sentence: cause instanceof Error ? cause.message : String(cause) })
      })
    ),
    Effect.andThen(Effect.logInfo("the server's certificate was renewed")),
    Effect.catch((error) => {
      if (error === unchanged || warned) return Effect.void
      warned = true
      return Effect.logWarning("the server's certificate stays as it was", error)
    }),
    Effect.repeat(Schedule.spaced(every)),
    Effect.andThen(Effect.never)
  )
  return Effect.gen(function* () {
    const health = yield* Health
    const clock = yield* Clock.Clock
    yield* health.register({
      name: "serving-certificate",
      role: "ready",
      problem: () => endedCertificate(known.certificate, clock.currentTimeMillisUnsafe())
    })
    return yield* look
  })
}

/** A sentence when it is not valid at that time. */
const endedCertificate = (certificate: string, nowMillis: number): string | undefined => {
  const { validFrom, validFromDate, validTo, validToDate } = new X509Certificate(certificate)
  if (nowMillis < validFromDate.getTime()) return `the server's certificate is valid from ${validFrom} only`
  return nowMillis > validToDate.getTime() ? `the server's certificate ended at ${validTo}` : undefined
}

const unchanged = Symbol("unchanged")
