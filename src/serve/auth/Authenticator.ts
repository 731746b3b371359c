/** Who calls. */
import { Context, type Effect } from "effect"
import type { IncomingMessage } from "node:http"
import type { ApiFailure } from "../ApiFailure.ts"

export interface User {
  readonly name: string
  readonly uid: string
  readonly groups: ReadonlyArray<string>
  readonly extra: Readonly<Record<string, ReadonlyArray<string>>>
}

export class Authenticator extends Context.Service<
  Authenticator,
  {
    /**
     * The caller; everyone who is known belongs to {@link authenticatedGroup}.
     *
     * @fails ApiFailure Unauthorized when nothing says who calls
     */
    readonly authenticate: (request: IncomingMessage) => Effect.Effect<User, ApiFailure>
  }
>()("activity/serve/auth/Authenticator") {}

export const authenticatedGroup = "system:authenticated"

/** Who calls without credentials. Only probes answer to it. */
export const anonymous: User = { name: "system:anonymous", uid: "", groups: ["system:unauthenticated"], extra: {} }

/** The user with {@link authenticatedGroup} among its groups, once. */
export const authenticated = (user: User): User =>
  user.groups.includes(authenticatedGroup) ? user : { ...user, groups: [...user.groups, authenticatedGroup] }
