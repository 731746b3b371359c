/** Who may send audit records: a YAML file, a list of `{token, cluster}`. */
import { createHash } from "node:crypto"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import type { IncomingMessage } from "node:http"
import { parse } from "yaml"
import type { Sender } from "../../sources/collector/AuditWebhook.ts"
import { StartRefused } from "../../runtime/StartRefused.ts"

/** By hash of the token: looking one up takes the same time however much of it was guessed. */
export type AuditTokens = ReadonlyMap<string, Sender>

const hashOf = (token: string): string => createHash("sha256").update(token).digest("hex")

export const auditTokens = (entries: ReadonlyArray<{ token: string; cluster?: string }>): AuditTokens =>
  new Map(entries.map((entry) => [hashOf(entry.token), { cluster: entry.cluster }]))

/** @fails StartRefused when the file cannot be read or is no such list */
export const readAuditTokens = (path: string): Effect.Effect<AuditTokens, StartRefused> =>
  Effect.gen(function* () {
    const entries: unknown = yield* Effect.try({
      try: () => parse(readFileSync(path, "utf8")) as unknown,
      catch: (cause) =>
        new StartRefused({
          sentence: `--audit-tokens ${path} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`
        })
    })
    if (!Array.isArray(entries) || !entries.every(isEntry)) {
      return yield* new StartRefused({
        sentence: `--audit-tokens ${path} must be a list of {token, cluster}, nothing else; cluster may be left out.`
      })
    }
    return auditTokens(entries)
  })

/** Other fields are refused: a file of users of the API is another thing, and its tokens must not open the webhook. */
const isEntry = (value: unknown): value is { token: string; cluster?: string } =>
  typeof value === "object" &&
  value !== null &&
  "token" in value &&
  typeof value.token === "string" &&
  value.token !== "" &&
  (!("cluster" in value) || typeof value.cluster === "string") &&
  Object.keys(value).every((name) => name === "token" || name === "cluster")

/**
 * The sender of a request. A token must be known; without one, a request counts only where `anonymous` says so (a
 * listener that only this machine can reach).
 */
export const authenticateBy =
  (tokens: AuditTokens, anonymous: boolean) =>
  (request: IncomingMessage): Sender | undefined => {
    const header = request.headers.authorization
    if (header === undefined) return anonymous ? { cluster: undefined } : undefined
    const token = /^Bearer (\S+)$/i.exec(header)?.[1]
    return token === undefined ? undefined : tokens.get(hashOf(token))
  }
