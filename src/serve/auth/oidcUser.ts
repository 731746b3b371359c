/** Whom the claims of a verified token name. */
import { Result } from "effect"
import type { User } from "./Authenticator.ts"
import { parentName, parentType } from "./callerScope.ts"

export interface OidcClaimNames {
  readonly username: string
  /** "" takes no groups. */
  readonly groups: string
  /** "" takes no tenant. */
  readonly tenant: string
}

export type Claims = Readonly<Record<string, unknown>>

/** Names that only the cluster itself gives: an issuer's word is not taken for them. */
const isReserved = (name: string): boolean => name.startsWith("system:")

/** The failure is a sentence. */
export const userFromClaims = (claims: Claims, names: OidcClaimNames): Result.Result<User, string> => {
  const name = claims[names.username]
  if (typeof name !== "string" || name === "") return Result.fail(`the claim ${names.username} holds no name`)
  if (isReserved(name)) return Result.fail(`the claim ${names.username} holds a name that begins with "system:"`)
  // An address that its owner has not proved may be anybody's.
  if (names.username === "email" && Object.hasOwn(claims, "email_verified") && claims["email_verified"] !== true) {
    return Result.fail("the address in the claim email is not verified")
  }
  const subject = claims["sub"]
  if (typeof subject !== "string" || subject === "") return Result.fail("the claim sub holds no name")
  return Result.map(groupsFrom(claims, names.groups), (groups) => ({
    name,
    uid: subject,
    groups,
    extra: tenantFrom(claims, names.tenant)
  }))
}

const groupsFrom = (claims: Claims, claim: string): Result.Result<ReadonlyArray<string>, string> => {
  const value = claim === "" || !Object.hasOwn(claims, claim) ? [] : claims[claim]
  const groups: ReadonlyArray<unknown> = Array.isArray(value) ? value : [value]
  const texts = groups.filter((group) => typeof group === "string")
  return texts.length === groups.length
    ? Result.succeed(texts.filter((group) => group !== "" && !isReserved(group)))
    : Result.fail(`the claim ${claim} holds no names of groups`)
}

/**
 * `TYPE/NAME`, or `{type, name}`. What is neither becomes a tenant that is incomplete, with which nothing is seen: it must
 * not be taken for a caller without one.
 */
const tenantFrom = (claims: Claims, claim: string): User["extra"] => {
  if (claim === "" || !Object.hasOwn(claims, claim)) return {}
  const value = claims[claim]
  const [type, name] = typeof value === "string" ? halves(value) : [fieldOf(value, "type"), fieldOf(value, "name")]
  return { [parentType]: [type], [parentName]: [name] }
}

const halves = (text: string): readonly [string, string] => {
  const slash = text.indexOf("/")
  return slash < 0 ? [text, ""] : [text.slice(0, slash), text.slice(slash + 1)]
}

const fieldOf = (value: unknown, name: string): string => {
  const field: unknown = typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined
  return typeof field === "string" ? field : ""
}
