/**
 * Objects of one kind as a cluster keeps them: records of its API server, whose resourceVersions they have.
 *
 * They are there from the moment when their CustomResourceDefinition is established.
 */
import { Effect, Latch, Result, Stream } from "effect"
import { follow } from "../clients/kube/follow.ts"
import { Kube, type KubeError, type KubeObject } from "../clients/kube/Kube.ts"
import { listPageFrom } from "../clients/kube/listPage.ts"
import type { KeptObject } from "../domain/KeptObject.ts"
import type { KeptRecord, RecordKind } from "../domain/keptRecord.ts"
import { pathSegmentFault } from "../domain/pathSegment.ts"
import { Health } from "../runtime/Health.ts"
import { KeptHistory, sorted, unavailable } from "./KeptHistory.ts"
import {
  type KeptList,
  type KeptObjects,
  KeptObjectsError,
  type KeptPage,
  type KeptUpkeep,
  ObjectChanged,
  ObjectMissing,
  ObjectPageExpired,
  ObjectRefused,
  ObjectVersionAhead
} from "./KeptObjects.ts"

/** What readers are given; who asked for another version rewrites it. */
const apiVersion = "activity.miloapis.com/v1alpha1"

/** An API server that is restarting refuses connections; one that is stuck shall not hold a reader for longer. */
const answerTime = "5 seconds"

/** Until the definition is there, somebody is installing; afterwards it only goes when somebody deletes it. */
const lookEvery = { absent: "2 seconds", present: "10 seconds" } as const

/** @param records holds objects of this kind */
export const keptInCluster = Effect.fnUntraced(function* <A extends KeptObject>(records: RecordKind<A>) {
  const kube = yield* Kube
  const history = new KeptHistory<A>()
  const health = yield* Health
  const found = yield* Latch.make()
  /** @param object a record: the path says so, and its definition what it looks like */
  const objectFrom = (object: unknown): A => records.objectFrom(object as KeptRecord<A>, apiVersion)
  let established = false
  const absence = () =>
    established
      ? undefined
      : `the CustomResourceDefinition ${records.definitionName} is not established: activity migrate --policy-store kubernetes applies it`
  // Readers go on with what they have: whether that is enough, they say themselves.
  yield* health.register({ name: `${records.plural}-definition`, role: "informative", problem: absence })

  // Discovery names a resource when its definition is established, and not before.
  const look = kube.call({ method: "GET", path: `/apis/${records.apiVersion}` }).pipe(
    Effect.map((answer) => hasRecords(answer, records.plural)),
    Effect.catchIf(isAbsent, () => Effect.succeed(false)),
    Effect.tap((present) =>
      Effect.gen(function* () {
        if (present === established) return
        established = present
        if (present) yield* found.open
        yield* Effect.logInfo(
          present ? "the cluster has a definition of records" : "the cluster has no definition of records any more",
          { definition: records.definitionName }
        )
      })
    ),
    // Away is not absent.
    Effect.catch(() => Effect.void),
    Effect.andThen(Effect.suspend(() => Effect.sleep(established ? lookEvery.present : lookEvery.absent))),
    Effect.forever
  )
  yield* Effect.forkScoped(look)

  let listing: Array<A> = []
  let isOtherHistory = false
  yield* Stream.fromEffectDrain(found.await).pipe(
    Stream.concat(follow(records.path, { name: records.plural, role: "informative" })),
    Stream.runForEach((followed) =>
      Effect.sync(() => {
        switch (followed._tag) {
          case "Listing":
            listing = []
            return
          case "WentBack":
            isOtherHistory = true
            return
          case "Page":
            listing.push(...followed.objects.filter(hasName).map(objectFrom))
            return
          case "Listed":
            if (isOtherHistory) history.replace(listing, Number(followed.resourceVersion))
            else history.catchUp(listing, Number(followed.resourceVersion))
            isOtherHistory = false
            listing = []
            return
          case "Changes":
            for (const { object, type } of followed.changes) {
              history.take(
                object.metadata.name,
                type === "DELETED" ? undefined : objectFrom(object),
                Number(object.metadata.resourceVersion)
              )
            }
            history.advance(Number(followed.resourceVersion))
            return
          case "Position":
            history.advance(Number(followed.resourceVersion))
        }
      })
    ),
    Effect.forkScoped
  )

  /** @fails KubeUnavailable when it is no list */
  const pageFrom = (answer: unknown): Result.Result<KeptPage<A>, KubeError> =>
    Result.map(listPageFrom(`list ${records.path}`, answer), ({ items, next, resourceVersion }) => {
      // A list, so it has metadata.
      const { remainingItemCount } = (answer as { readonly metadata: { readonly remainingItemCount?: number } })
        .metadata
      return {
        objects: items.filter(hasName).map(objectFrom),
        resourceVersion: Number(resourceVersion),
        continue: next,
        remaining: remainingItemCount
      }
    })

  const pageAt = (limit: number, from: string) =>
    kube.call({ method: "GET", path: `${records.path}?${pageQuery(limit, from)}` }).pipe(
      Effect.timeout(answerTime),
      Effect.flatMap((answer) => Effect.fromResult(pageFrom(answer)))
    )

  const listed = kube.list(records.path).pipe(
    Stream.runFold(
      (): KeptList<A> => ({ objects: [], resourceVersion: 0 }),
      (list, page) => ({
        objects: [...list.objects, ...page.items.filter(hasName).map(objectFrom)],
        resourceVersion: Number(page.resourceVersion)
      })
    ),
    Effect.map((list) => ({ ...list, objects: sorted(list.objects) })),
    Effect.timeout(answerTime)
  )
  const list = listed.pipe(Effect.catch(() => history.list))

  const store: KeptObjects<A> = {
    get: (name) => {
      const missing = Effect.fail(new KeptObjectsError({ reason: new ObjectMissing({ name }) }))
      // Its path would be that of something else.
      if (pathSegmentFault(name) !== undefined) return missing
      return kube.call({ method: "GET", path: `${records.path}/${encodeURIComponent(name)}` }).pipe(
        Effect.timeout(answerTime),
        Effect.map((object): A | undefined => objectFrom(object)),
        Effect.catch((error) =>
          error._tag === "KubeError" && isAbsent(error)
            ? Effect.succeed(undefined)
            : Effect.map(history.list, () => history.get(name))
        ),
        Effect.flatMap((found) => (found === undefined ? missing : Effect.succeed(found)))
      )
    },
    list,
    page: (limit, from) =>
      pageAt(limit, from).pipe(
        Effect.catch((error) => {
          if (from === "") return Effect.map(history.list, (all) => ({ ...all, continue: "", remaining: undefined }))
          // What was followed would have another order of things than the pages before.
          const isExpired = error._tag === "KubeError" && !error.retryable
          return Effect.fail(isExpired ? new KeptObjectsError({ reason: new ObjectPageExpired() }) : unavailable(error))
        })
      ),
    known: (from) =>
      Effect.gen(function* () {
        yield* history.known(from)
        if (from <= history.position) return
        // Other objects of the cluster count the resourceVersion on: only its API server knows how far.
        const newest = yield* pageAt(1, "").pipe(
          Effect.map(({ resourceVersion }) => resourceVersion),
          Effect.catch(() => Effect.succeed(from))
        )
        if (from > newest) {
          return yield* new KeptObjectsError({ reason: new ObjectVersionAhead({ resourceVersion: from, newest }) })
        }
      }),
    after: (from) => history.after(from),
    updates: history.updates,
    absence
  }

  /** What is written is bound to what was read. */
  const changing = <B>(name: string, change: Effect.Effect<B, KubeError>) =>
    change.pipe(
      Effect.timeout(answerTime),
      Effect.mapError((error) => {
        if (error._tag !== "KubeError" || error.reason._tag !== "KubeRefused" || error.retryable)
          return unavailable(error)
        const { code } = error.reason
        if (code === 404) return new KeptObjectsError({ reason: new ObjectMissing({ name }) })
        if (code === 409) return new KeptObjectsError({ reason: new ObjectChanged({ name }) })
        return new KeptObjectsError({ reason: new ObjectRefused({ name, sentence: error.message }) })
      })
    )
  const pathOf = (name: string) => `${records.path}/${encodeURIComponent(name)}`

  const upkeep: KeptUpkeep<A> = {
    writeStatus: (object) => {
      const { name, resourceVersion, uid } = object.metadata
      const body = { ...records.recordFrom(object), metadata: { name, uid, resourceVersion } }
      // A whole status: fields that it has no more shall go.
      return changing(name, kube.call({ method: "PUT", path: `${pathOf(name)}/status`, body })).pipe(
        Effect.map(objectFrom)
      )
    },
    delete: ({ metadata: { name, resourceVersion, uid } }) =>
      changing(
        name,
        kube.call({ method: "DELETE", path: pathOf(name), body: { preconditions: { uid, resourceVersion } } })
      ).pipe(Effect.asVoid)
  }
  return { store, upkeep }
})

const isAbsent = (error: KubeError): boolean => error.reason._tag === "KubeRefused" && error.reason.code === 404

const hasName = ({ metadata }: KubeObject): boolean => metadata.name !== ""

const hasRecords = (answer: unknown, plural: string): boolean => {
  // An APIResourceList, or something without resources.
  const { resources = [] } = answer as { readonly resources?: ReadonlyArray<{ readonly name?: string }> }
  return resources.some(({ name }) => name === plural)
}

const pageQuery = (limit: number, from: string): string =>
  new URLSearchParams({ limit: String(limit), ...(from === "" ? {} : { continue: from }) }).toString()
