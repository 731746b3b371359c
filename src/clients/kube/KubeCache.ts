/** What a collection of objects holds at this moment, kept up to date for ever. */
import { Effect, Latch, Queue, type Scope, Stream } from "effect"
import type { Health } from "../../runtime/Health.ts"
import { follow, type FollowOptions } from "./follow.ts"
import type { Kube, KubeObject } from "./Kube.ts"

export interface KubeCache<A> {
  /** By `namespace/name`, or `name` of what is in no namespace. A new list replaces it in one step. */
  readonly current: () => ReadonlyMap<string, A>
  /** The resourceVersion up to which `current` is known to be right; "" before the first list. */
  readonly position: () => string
  /** Returns when the first list is complete. */
  readonly listed: Effect.Effect<void>
  /** One item after each change, of however many objects, the first list included. Those that nobody takes in time are one. */
  readonly changes: Stream.Stream<void>
}

/**
 * Runs with the scope.
 *
 * @param keep what is kept of an object: memory is the cluster's size times this
 */
export const kubeCache = <A>(
  path: string,
  options: Omit<FollowOptions, "resourceVersion">,
  keep: (object: KubeObject) => A
): Effect.Effect<KubeCache<A>, never, Kube | Health | Scope.Scope> =>
  Effect.gen(function* () {
    const latch = yield* Latch.make()
    const changed = yield* Queue.sliding<void>(1)
    let current: Map<string, A> = new Map()
    let next: Map<string, A> = new Map()
    let position = ""
    yield* follow(path, options).pipe(
      Stream.runForEach((followed) =>
        Effect.gen(function* () {
          switch (followed._tag) {
            case "Listing":
              next = new Map()
              return
            case "WentBack":
              return
            case "Page":
              for (const object of followed.objects) next.set(kubeKey(object), keep(object))
              return
            case "Listed":
              current = next
              next = new Map()
              position = followed.resourceVersion
              yield* latch.open
              break
            case "Changes":
              for (const { object, type } of followed.changes) {
                if (type === "DELETED") current.delete(kubeKey(object))
                else current.set(kubeKey(object), keep(object))
              }
              position = followed.resourceVersion
              break
            case "Position":
              position = followed.resourceVersion
              return
          }
          yield* Queue.offer(changed, undefined)
        })
      ),
      Effect.forkScoped
    )
    return { current: () => current, position: () => position, listed: latch.await, changes: Stream.fromQueue(changed) }
  })

export const kubeKey = ({ metadata }: KubeObject): string =>
  metadata.namespace === undefined ? metadata.name : `${metadata.namespace}/${metadata.name}`
