/** How objects are changed: each admitted, stored only when nothing changed meanwhile. Each driver of a store has its own. */
import type { Effect } from "effect"
import type { ApiFailure } from "../ApiFailure.ts"
import type { Call } from "../http/Call.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"

/** What was written, and what the client should be told besides. */
export interface Written<A> {
  readonly object: A
  /** It was not there before. */
  readonly created: boolean
  readonly warnings: ReadonlyArray<string>
}

export type Deleted<A> =
  | { readonly gone: true; readonly uid: string }
  /** Finalizers hold it: it is only marked. */
  | { readonly gone: false; readonly object: A }

type Write<A> = (call: Call, request: ResourceRequest) => Effect.Effect<Written<A>, ApiFailure>

/** Of one kind of objects. */
export interface KeptWrites<A> {
  readonly create: Write<A>
  /** PUT, of the object or of its status. */
  readonly replace: Write<A>
  /** PATCH, of the object or of its status. */
  readonly patch: Write<A>
  readonly delete: (call: Call, name: string) => Effect.Effect<Deleted<A>, ApiFailure>
}
