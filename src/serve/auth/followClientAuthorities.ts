import { Effect, type Scope, Stream } from "effect"
import type { Listener } from "../../runtime/Listener.ts"
import { Authenticator } from "./Authenticator.ts"

/** Gives the listener the authorities that sign client certificates, now and whenever they change. */
export const followClientAuthorities = (listener: Listener): Effect.Effect<void, never, Authenticator | Scope.Scope> =>
  Effect.gen(function* () {
    const { clientAuthorities } = yield* Authenticator
    if (clientAuthorities === undefined) return
    yield* clientAuthorities.pipe(
      Stream.runForEach((authorities) => Effect.sync(() => listener.setClientAuthorities(authorities))),
      Effect.forkScoped
    )
  })
