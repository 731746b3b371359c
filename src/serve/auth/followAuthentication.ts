/**
 * The cluster's authentication settings, as they are now: authorities are renewed while programs run.
 *
 * What is wrong or has gone leaves the last good settings in force.
 */
import { Effect, Result, type Scope, Stream, SubscriptionRef } from "effect"
import { follow } from "../../clients/kube/follow.ts"
import type { Kube, KubeObject } from "../../clients/kube/Kube.ts"
import { Health } from "../../runtime/Health.ts"
import { type AuthenticationSettings, authenticationSettingsFrom } from "./authenticationSettings.ts"

const name = "kube-system/extension-apiserver-authentication"
// The role extension-apiserver-authentication-reader allows this one object: others must not be asked for.
const path =
  "/api/v1/namespaces/kube-system/configmaps?fieldSelector=metadata.name%3Dextension-apiserver-authentication"

/** Undefined until they have been read once; this replica is not ready before. */
export const followAuthentication: Effect.Effect<
  SubscriptionRef.SubscriptionRef<AuthenticationSettings | undefined>,
  never,
  Health | Kube | Scope.Scope
> = Effect.gen(function* () {
  const health = yield* Health
  const settings = yield* SubscriptionRef.make<AuthenticationSettings | undefined>(undefined)
  let fault: string | undefined = "has not been read yet"
  const problem = () => (fault === undefined ? undefined : `${name} ${fault}`)
  yield* health.register({
    name: "authentication-configuration",
    role: "ready",
    problem: () => (SubscriptionRef.getUnsafe(settings) === undefined ? problem() : undefined)
  })
  // With settings that were good once the replica does its work, though it may not know the newest authority.
  yield* health.register({ name: "authentication-configuration-current", role: "informative", problem })
  const take = (object: KubeObject | undefined) =>
    Effect.gen(function* () {
      const read = object === undefined ? Result.fail("is not there") : authenticationSettingsFrom(object["data"])
      fault = Result.isFailure(read) ? read.failure : undefined
      if (Result.isSuccess(read)) yield* SubscriptionRef.set(settings, read.success)
    })
  let listed: KubeObject | undefined
  yield* follow(path, { name: "authentication-configuration-watch", role: "informative" }).pipe(
    Stream.runForEach((followed) => {
      switch (followed._tag) {
        case "Listing":
          listed = undefined
          return Effect.void
        case "Page":
          listed ??= followed.objects[0]
          return Effect.void
        case "Listed":
          return take(listed)
        case "Changes":
          return Effect.forEach(followed.changes, ({ object, type }) => take(type === "DELETED" ? undefined : object), {
            discard: true
          })
        case "WentBack":
        case "Position":
          return Effect.void
      }
    }),
    Effect.forkScoped
  )
  return settings
})
