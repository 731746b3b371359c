/**
 * ActivityPolicies as a cluster keeps them: ActivityPolicyRecords of its API server, whose resourceVersions they have.
 *
 * They are there from the moment when their CustomResourceDefinition is established.
 */
import { Effect, Latch, Layer, Result, Stream } from "effect"
import { follow } from "../clients/kube/follow.ts"
import { Kube, type KubeError, type KubeObject } from "../clients/kube/Kube.ts"
import { listPageFrom } from "../clients/kube/listPage.ts"
import type { ActivityPolicy } from "../domain/ActivityPolicy.ts"
import { pathSegmentFault } from "../domain/pathSegment.ts"
import { policyFromRecord, type PolicyRecord, policyRecords } from "../domain/policyRecord.ts"
import { Health } from "../runtime/Health.ts"
import { PolicyHistory, sorted, unavailable } from "./PolicyHistory.ts"
import {
  PolicyMissing,
  type PolicyList,
  type PolicyPage,
  PolicyPageExpired,
  PolicyStore,
  PolicyStoreError,
  PolicyVersionAhead
} from "./PolicyStore.ts"

/** What readers are given; who asked for another version rewrites it. */
const apiVersion = "activity.miloapis.com/v1alpha1"

/** An API server that is restarting refuses connections; one that is stuck shall not hold a reader for longer. */
const answerTime = "5 seconds"

/** Until the definition is there, somebody is installing; afterwards it only goes when somebody deletes it. */
const lookEvery = { absent: "2 seconds", present: "10 seconds" } as const

const makePolicyRecords = Effect.gen(function* () {
  const kube = yield* Kube
  const history = new PolicyHistory()
  const health = yield* Health
  const found = yield* Latch.make()
  let established = false
  const absence = () =>
    established
      ? undefined
      : `the CustomResourceDefinition ${policyRecords.plural}.${policyRecords.group} is not established: activity migrate --policy-store kubernetes applies it`
  // Readers go on with what they have: whether that is enough, they say themselves.
  yield* health.register({ name: "policy-definition", role: "informative", problem: absence })

  // Discovery names a resource when its definition is established, and not before.
  const look = kube.call({ method: "GET", path: `/apis/${policyRecords.apiVersion}` }).pipe(
    Effect.map(hasRecords),
    Effect.catchIf(isAbsent, () => Effect.succeed(false)),
    Effect.tap((present) =>
      Effect.gen(function* () {
        if (present === established) return
        established = present
        if (present) yield* found.open
        yield* Effect.logInfo(
          present ? "policies have a place in the cluster" : "policies have no place in the cluster any more"
        )
      })
    ),
    // Away is not absent.
    Effect.catch(() => Effect.void),
    Effect.andThen(Effect.suspend(() => Effect.sleep(established ? lookEvery.present : lookEvery.absent))),
    Effect.forever
  )
  yield* Effect.forkScoped(look)

  let listing: Array<ActivityPolicy> = []
  let isOtherHistory = false
  yield* Stream.fromEffectDrain(found.await).pipe(
    Stream.concat(follow(policyRecords.path, { name: "policy-records", role: "informative" })),
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
            listing.push(...followed.objects.filter(hasName).map(policyFrom))
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
                type === "DELETED" ? undefined : policyFrom(object),
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

  const pageAt = (limit: number, from: string) =>
    kube.call({ method: "GET", path: `${policyRecords.path}?${pageQuery(limit, from)}` }).pipe(
      Effect.timeout(answerTime),
      Effect.flatMap((answer) => Effect.fromResult(pageFrom(answer)))
    )

  const listed = kube.list(policyRecords.path).pipe(
    Stream.runFold(
      (): PolicyList => ({ policies: [], resourceVersion: 0 }),
      (list, page) => ({
        policies: [...list.policies, ...page.items.filter(hasName).map(policyFrom)],
        resourceVersion: Number(page.resourceVersion)
      })
    ),
    Effect.map((list) => ({ ...list, policies: sorted(list.policies) })),
    Effect.timeout(answerTime)
  )
  const list = listed.pipe(Effect.catch(() => history.list))

  return PolicyStore.of({
    get: (name) => {
      const missing = Effect.fail(new PolicyStoreError({ reason: new PolicyMissing({ name }) }))
      // Its path would be that of something else.
      if (pathSegmentFault(name) !== undefined) return missing
      return kube.call({ method: "GET", path: `${policyRecords.path}/${encodeURIComponent(name)}` }).pipe(
        Effect.timeout(answerTime),
        Effect.map((object): ActivityPolicy | undefined => policyFrom(object)),
        Effect.catch((error) =>
          error._tag === "KubeError" && isAbsent(error)
            ? Effect.succeed(undefined)
            : Effect.map(history.list, () => history.get(name))
        ),
        Effect.flatMap((policy) => (policy === undefined ? missing : Effect.succeed(policy)))
      )
    },
    list,
    page: (limit, from) =>
      pageAt(limit, from).pipe(
        Effect.catch((error) => {
          if (from === "") return Effect.map(history.list, (all) => ({ ...all, continue: "", remaining: undefined }))
          // What was followed would have another order of things than the pages before.
          const isExpired = error._tag === "KubeError" && !error.retryable
          return Effect.fail(isExpired ? new PolicyStoreError({ reason: new PolicyPageExpired() }) : unavailable(error))
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
          return yield* new PolicyStoreError({ reason: new PolicyVersionAhead({ resourceVersion: from, newest }) })
        }
      }),
    after: (from) => history.after(from),
    updates: history.updates,
    absence
  })
})

export const policyRecordsLayer = Layer.effect(PolicyStore, makePolicyRecords)

const isAbsent = (error: KubeError): boolean => error.reason._tag === "KubeRefused" && error.reason.code === 404

const hasName = ({ metadata }: KubeObject): boolean => metadata.name !== ""

const hasRecords = (answer: unknown): boolean => {
  // An APIResourceList, or something without resources.
  const { resources = [] } = answer as { readonly resources?: ReadonlyArray<{ readonly name?: string }> }
  return resources.some(({ name }) => name === policyRecords.plural)
}

const pageQuery = (limit: number, from: string): string =>
  new URLSearchParams({ limit: String(limit), ...(from === "" ? {} : { continue: from }) }).toString()

/** @fails KubeUnavailable when it is no list */
const pageFrom = (answer: unknown): Result.Result<PolicyPage, KubeError> =>
  Result.map(listPageFrom(`list ${policyRecords.path}`, answer), ({ items, next, resourceVersion }) => {
    // A list, so it has metadata.
    const { remainingItemCount } = (answer as { readonly metadata: { readonly remainingItemCount?: number } }).metadata
    return {
      policies: items.filter(hasName).map(policyFrom),
      resourceVersion: Number(resourceVersion),
      continue: next,
      remaining: remainingItemCount
    }
  })

/** @param object a record: the path says so, and its definition what it looks like */
const policyFrom = (object: unknown): ActivityPolicy => policyFromRecord(object as PolicyRecord, apiVersion)
