/**
 * Authentication by bearer tokens from a YAML file: a list of `{token, user: {username, uid, groups, extra}}`.
 *
 * The file is read again when it changes; a file that cannot be read any more leaves the last good one in force.
 */
import { Effect, type Layer, Schema, type Scope } from "effect"
import { createHash } from "node:crypto"
import type { StartRefused } from "../../runtime/StartRefused.ts"
import type { Authenticator, User } from "./Authenticator.ts"
import { bearerTokensLayer, type TokenReader } from "./bearerTokens.ts"
import { watchedFile } from "./watchedFile.ts"

const TokenEntries = Schema.Array(
  Schema.Struct({
    token: Schema.NonEmptyString,
    user: Schema.Struct({
      username: Schema.NonEmptyString,
      uid: Schema.optionalKey(Schema.String),
      groups: Schema.optionalKey(Schema.Array(Schema.String)),
      extra: Schema.optionalKey(Schema.Record(Schema.String, Schema.Array(Schema.String)))
    })
  })
)

const decodeEntries = Schema.decodeUnknownResult(TokenEntries)

/** @fails StartRefused when the file cannot be read at start */
export const tokenFile = (path: string): Effect.Effect<TokenReader, StartRefused, Scope.Scope> =>
  Effect.map(
    watchedFile({ setting: "tokens", path, read: usersFrom }),
    (users) => (token) => Effect.succeed(users().get(digest(token)))
  )

/** @fails StartRefused when the file cannot be read at start */
export const tokenFileLayer = (path: string): Layer.Layer<Authenticator, StartRefused> =>
  bearerTokensLayer([tokenFile(path)])

/** Looked up by hash, so that how long a comparison takes tells nothing about a token. */
const digest = (token: string): string => createHash("sha256").update(token).digest("hex")

const usersFrom = (documents: ReadonlyArray<unknown>): ReadonlyMap<string, User> => {
  const users = new Map<string, User>()
  for (const document of documents) {
    const entries = decodeEntries(document)
    // Thrown for watchedFile, which turns it into a sentence with the file's name. The cause would show a token.
    if (entries._tag === "Failure") throw new Error("it is no list of {token, user: {username, uid, groups, extra}}")
    for (const { token, user } of entries.success) {
      users.set(digest(token), {
        name: user.username,
        uid: user.uid ?? "",
        groups: user.groups ?? [],
        extra: user.extra ?? {}
      })
    }
  }
  return users
}
