/** The policies that are kept, and what the cluster says of kinds, for a look at what they tell. */
import { Effect, Option, Stream } from "effect"
import { Kube } from "../../clients/kube/Kube.ts"
import { makeDiscovery } from "../../clients/kube/discovery.ts"
import { lookAtBus } from "../../clients/nats/lookAtBus.ts"
import type { ActivityPolicy } from "../../domain/ActivityPolicy.ts"
import { policyRecords } from "../../domain/policyRecord.ts"
import type { KindResolver } from "../../process/PolicySet.ts"
import { objectFrom } from "../../store/keptInBucket.ts"
import { policyBucketName } from "../../store/PolicyBucket.ts"
import { kubeFrom, natsOptions, type NatsSettings } from "../layers.ts"
import type { DoctorSettings } from "./config.ts"

export interface PoliciesSeen {
  readonly policies: ReadonlyArray<ActivityPolicy>
  /** As the processor asks: nothing is known without a cluster. */
  readonly kindOf: KindResolver
}

type PolicySettings = Pick<DoctorSettings, "kubeconfig" | "policyStore"> & NatsSettings

/** Undefined where their store is not named, or does not answer: that is another look's finding. */
export const policiesSeen = (settings: PolicySettings): Effect.Effect<PoliciesSeen | undefined> =>
  Effect.gen(function* () {
    if (settings.policyStore === "nats" && settings.natsUrl === "") return undefined
    const policies = yield* settings.policyStore === "kubernetes" ? recordsOf(settings) : entriesOf(settings)
    const kindOf =
      settings.policyStore === "kubernetes" || settings.kubeconfig !== ""
        ? yield* discovered(settings)
        : () => undefined
    return { policies, kindOf }
  }).pipe(
    Effect.option,
    Effect.map((seen) => Option.getOrUndefined(seen))
  )

const entriesOf = (settings: PolicySettings) =>
  Effect.flatMap(lookAtBus(natsOptions(settings, "doctor")), (bus) => bus.bucketEntries(policyBucketName)).pipe(
    Effect.scoped,
    Effect.map((entries) =>
      entries.flatMap((entry) => (entry.deleted ? [] : (objectFrom<ActivityPolicy>(entry) ?? [])))
    )
  )

const recordsOf = (settings: PolicySettings) =>
  Kube.use((kube) => kube.list(policyRecords.path).pipe(Stream.runCollect)).pipe(
    Effect.map((pages) =>
      // The definition's own schema: metadata, spec and status of a policy.
      pages.flatMap(({ items }) =>
        items.map((record) => policyRecords.objectFrom(record, "activity.miloapis.com/v1alpha1"))
      )
    ),
    Effect.provide(kubeFrom(settings, "doctor"))
  )

const discovered = (settings: PolicySettings) =>
  Effect.gen(function* () {
    const discovery = yield* makeDiscovery
    yield* discovery.refresh
    return (apiGroup: string, resource: string) => discovery.knownByPlural(apiGroup, resource)?.kind
  }).pipe(Effect.provide(kubeFrom(settings, "doctor")))
