/** Who calls. */
import { Context, Effect, type Stream } from "effect"
import type { IncomingMessage } from "node:http"
import { type ApiFailure, badRequest } from "../ApiFailure.ts"

export interface User {
  readonly name: string
  readonly uid: string
  readonly groups: ReadonlyArray<string>
  readonly extra: Readonly<Record<string, ReadonlyArray<string>>>
  /** kube-apiserver passed the request on: it has its own audit record of it. */
  readonly isPassedOn?: true
}

export class Authenticator extends Context.Service<
  Authenticator,
  {
    /**
     * The caller; everyone who is known belongs to {@link authenticatedGroup}.
     *
     * @fails ApiFailure Unauthorized when nothing says who calls
     * @fails ApiFailure BadRequest for impersonation, which must not be ignored in silence
     * @fails ApiFailure ServiceUnavailable when nobody can be asked who calls
     */
    readonly authenticate: (request: IncomingMessage) => Effect.Effect<User, ApiFailure>
    /**
     * PEM texts of the authorities that sign client certificates, now and whenever they change. Undefined: callers are
     * asked for no certificate.
     */
    readonly clientAuthorities: Stream.Stream<ReadonlyArray<string>> | undefined
  }
>()("activity/serve/auth/Authenticator") {}

const authenticatedGroup = "system:authenticated"
const unauthenticatedGroup = "system:unauthenticated"

/** Who calls without credentials. Only probes answer to it. */
export const anonymous: User = { name: "system:anonymous", uid: "", groups: [unauthenticatedGroup], extra: {} }

/**
 * The user with {@link authenticatedGroup} among its groups, once. kube-apiserver's own `system:aggregator` comes
 * without any; a caller that kube-apiserver itself did not know stays unknown.
 */
export const authenticated = (user: User): User =>
  user.name === anonymous.name || user.groups.includes(authenticatedGroup) || user.groups.includes(unauthenticatedGroup)
    ? user
    : { ...user, groups: [...user.groups, authenticatedGroup] }

/** `Authorization: Bearer …`. */
export const bearerToken = (request: IncomingMessage): string | undefined =>
  /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? "")?.[1]

/** @fails ApiFailure BadRequest when the caller wants to be somebody else, which only kube-apiserver can grant */
export const refuseImpersonation = (request: IncomingMessage): Effect.Effect<void, ApiFailure> => {
  const header = Object.keys(request.headers).find((name) => name.startsWith("impersonate-"))
  return header === undefined
    ? Effect.void
    : Effect.fail(badRequest(`impersonation is not supported here: the header ${header} is refused`))
}
