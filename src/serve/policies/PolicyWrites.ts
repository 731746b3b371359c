/** How policies are changed: each admitted, stored only when nothing changed meanwhile. Each driver of the store has its own. */
import { Context, type Effect } from "effect"
import type { ActivityPolicy } from "../../domain/ActivityPolicy.ts"
import type { ApiFailure } from "../ApiFailure.ts"
import type { Call } from "../http/Call.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"

/** What was written, and what the client should be told besides. */
export interface Written {
  readonly policy: ActivityPolicy
  /** It was not there before. */
  readonly created: boolean
  readonly warnings: ReadonlyArray<string>
}

export type Deleted =
  | { readonly gone: true; readonly uid: string }
  /** Finalizers hold it: it is only marked. */
  | { readonly gone: false; readonly policy: ActivityPolicy }

type Write = (call: Call, request: ResourceRequest) => Effect.Effect<Written, ApiFailure>

export class PolicyWrites extends Context.Service<
  PolicyWrites,
  {
    readonly create: Write
    /** PUT, of the policy or of its status. */
    readonly replace: Write
    /** PATCH, of the policy or of its status. */
    readonly patch: Write
    readonly delete: (call: Call, name: string) => Effect.Effect<Deleted, ApiFailure>
  }
>()("activity/serve/PolicyWrites") {}
