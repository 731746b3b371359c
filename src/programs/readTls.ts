import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { StartRefused } from "../runtime/StartRefused.ts"

/** PEM texts. */
export interface ServerTls {
  readonly certificate: string
  readonly key: string
}

/** The certificate and key that a server was given. */
export const readTls = (
  settings: { readonly tlsCertificate: string; readonly tlsKey: string }
): Effect.Effect<ServerTls, StartRefused> =>
  Effect.all({
    certificate: readPem("tls-certificate", settings.tlsCertificate),
    key: readPem("tls-key", settings.tlsKey)
  })

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
