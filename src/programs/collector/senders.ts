/**
 * Who may send audit records: a YAML file, a list of `{token, cluster}` and `{commonName, cluster}`. A common name is the
 * CN of a client certificate that the authorities of `--audit-client-ca` have signed. Both files are read again when
 * they change.
 */
import { createHash, X509Certificate } from "node:crypto"
import { type Duration, Effect, Schedule } from "effect"
import { readFileSync } from "node:fs"
import type { IncomingMessage } from "node:http"
import { TLSSocket } from "node:tls"
import { parse } from "yaml"
import type { Listener } from "../../runtime/Listener.ts"
import { StartRefused } from "../../runtime/StartRefused.ts"
import type { Sender } from "../../sources/collector/AuditWebhook.ts"
import { readPem } from "../readTls.ts"

export interface Senders {
  /** By hash of the token: looking one up takes the same time however much of it was guessed. */
  readonly byToken: ReadonlyMap<string, Sender>
  readonly byCommonName: ReadonlyMap<string, Sender>
  /** PEM of who may sign senders' certificates; "" takes none. */
  readonly clientAuthorities: string
}

export interface SenderFiles {
  /** `--audit-tokens`; "" where it is not given. */
  readonly tokenFile: string
  /** `--audit-client-ca`; "" where it is not given. */
  readonly auditClientCa: string
}

interface Entry {
  readonly token?: string
  readonly commonName?: string
  readonly cluster?: string
}

const hashOf = (token: string): string => createHash("sha256").update(token).digest("hex")

export const sendersFrom = (entries: ReadonlyArray<Entry>, clientAuthorities = ""): Senders => {
  const by = (name: "token" | "commonName") =>
    entries.flatMap((entry) => {
      const value = entry[name]
      return value === undefined ? [] : [[value, { cluster: entry.cluster }] as const]
    })
  return {
    byToken: new Map(by("token").map(([token, sender]) => [hashOf(token), sender])),
    byCommonName: new Map(by("commonName")),
    clientAuthorities
  }
}

/** @fails StartRefused when a file cannot be read or is not what it should be */
export const readSenders = (files: SenderFiles): Effect.Effect<Senders, StartRefused> =>
  Effect.gen(function* () {
    const entries = files.tokenFile === "" ? [] : yield* readEntries(files.tokenFile)
    if (files.auditClientCa === "") {
      const named = entries.find(({ commonName }) => commonName !== undefined)
      return named === undefined
        ? sendersFrom(entries)
        : yield* new StartRefused({
            sentence: `--audit-tokens names commonName ${named.commonName}: give --audit-client-ca FILE, who signs it.`
          })
    }
    if (files.tokenFile === "") {
      return yield* new StartRefused({
        sentence: "--audit-client-ca needs --audit-tokens FILE, a list of {commonName, cluster}: who may send."
      })
    }
    const pem = yield* readPem("audit-client-ca", files.auditClientCa)
    yield* Effect.try({
      try: () => new X509Certificate(pem),
      catch: () => new StartRefused({ sentence: `--audit-client-ca ${files.auditClientCa} holds no certificate.` })
    })
    return sendersFrom(entries, pem)
  })

const readEntries = (path: string): Effect.Effect<ReadonlyArray<Entry>, StartRefused> =>
  Effect.gen(function* () {
    const entries: unknown = yield* Effect.try({
      try: () => parse(readFileSync(path, "utf8")) as unknown,
      // What a parser says quotes the file: its tokens would stand in a log.
      catch: (cause) =>
        new StartRefused({
          sentence: `--audit-tokens ${path} cannot be read: ${cause instanceof Error && "syscall" in cause ? cause.message : "it is no YAML"}`
        })
    })
    return Array.isArray(entries) && entries.every(isEntry)
      ? entries
      : yield* new StartRefused({
          sentence:
            `--audit-tokens ${path} must be a list of {token, cluster} or {commonName, cluster}, nothing else; ` +
            "cluster may be left out."
        })
  })

/** Other fields are refused: a file of users of the API is another thing, and its tokens must not open the webhook. */
const isEntry = (value: unknown): value is Entry =>
  typeof value === "object" &&
  value !== null &&
  "token" in value !== "commonName" in value &&
  Object.entries(value).every(
    ([name, text]) =>
      (name === "token" || name === "commonName" || name === "cluster") && typeof text === "string" && text !== ""
  )

/**
 * The sender of a request: by its token, else by its certificate. One of them must be known; where there is neither, a
 * request counts only where `anonymous` says so (a listener that only this machine can reach).
 */
export const authenticateBy =
  (senders: () => Senders, anonymous: boolean) =>
  (request: IncomingMessage): Sender | undefined => {
    const { byCommonName, byToken } = senders()
    const header = request.headers.authorization
    if (header !== undefined) {
      const token = /^Bearer (\S+)$/i.exec(header)?.[1]
      return token === undefined ? undefined : byToken.get(hashOf(token))
    }
    const commonName = commonNameOf(request)
    if (commonName !== undefined) return byCommonName.get(commonName)
    return anonymous ? { cluster: undefined } : undefined
  }

/** Of a certificate that our authorities have signed and that has one common name. */
const commonNameOf = ({ socket }: IncomingMessage): string | undefined => {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined
  // Node types a subject's fields as texts; one that stands twice is a list.
  const name: unknown = socket.getPeerCertificate().subject?.CN
  return typeof name === "string" ? name : undefined
}

/** How often the files are looked at. */
const lookEvery = "10 seconds"

/**
 * Reads the files again, for ever, and hands what has changed to `use` and the listener. What cannot be read leaves what
 * was there.
 */
export const followSenders = (
  files: SenderFiles,
  first: Senders,
  listener: Listener,
  use: (senders: Senders) => void,
  every: Duration.Input = lookEvery
): Effect.Effect<never> => {
  let known = textOf(first)
  let told = ""
  return readSenders(files).pipe(
    Effect.flatMap((senders) =>
      Effect.try({
        try: () => {
          const text = textOf(senders)
          told = ""
          if (text === known) return false
          listener.setClientAuthorities([senders.clientAuthorities])
          use(senders)
          known = text
          return true
        },
        catch: (cause) => new StartRefused({ sentence: `--audit-client-ca cannot be used: ${String(cause)}` })
      })
    ),
    Effect.flatMap((changed) => (changed ? Effect.logInfo("who may send audit records was read again") : Effect.void)),
    Effect.catch((error) => {
      if (told === error.sentence) return Effect.void
      told = error.sentence
      return Effect.logWarning("who may send audit records stays as it was", error)
    }),
    Effect.repeat(Schedule.spaced(every)),
    Effect.andThen(Effect.never)
  )
}

const textOf = ({ byCommonName, byToken, clientAuthorities }: Senders): string =>
  JSON.stringify([[...byToken], [...byCommonName], clientAuthorities])
