/** Where policies and reindex jobs are read from: the cluster's API server, or NATS. */
import { Effect, Layer, Stream } from "effect"
import type { Kube } from "../clients/kube/Kube.ts"
import type { Nats } from "../clients/nats/Nats.ts"
import { type PolicyChange, PolicySource } from "../process/PolicySource.ts"
import type { Health } from "../runtime/Health.ts"
import type { StartRefused } from "../runtime/StartRefused.ts"
import { policyBucketLayer } from "../store/PolicyBucket.ts"
import { policyRecordsLayer } from "../store/PolicyRecords.ts"
import { PolicyStore, type PolicyUpkeep } from "../store/PolicyStore.ts"
import { reindexJobBucketLayer } from "../store/ReindexJobBucket.ts"
import { reindexJobRecordsLayer } from "../store/ReindexJobRecords.ts"
import type { ReindexJobs, ReindexJobUpkeep } from "../store/ReindexJobs.ts"

/** Who keeps them: as the setting `policy-store` says it. */
type Keeper = "nats" | "kubernetes"

export const readPolicies = (
  keeper: Keeper,
  kube: Layer.Layer<Kube, StartRefused>
): Layer.Layer<PolicyStore | PolicyUpkeep, StartRefused, Nats | Health> =>
  keeper === "kubernetes" ? policyRecordsLayer.pipe(Layer.provide(kube)) : policyBucketLayer

export const readReindexJobs = (
  keeper: Keeper,
  kube: Layer.Layer<Kube, StartRefused>
): Layer.Layer<ReindexJobs | ReindexJobUpkeep, StartRefused, Nats | Health> =>
  keeper === "kubernetes" ? reindexJobRecordsLayer.pipe(Layer.provide(kube)) : reindexJobBucketLayer

/** The policies that the store keeps, for those who evaluate by them. */
export const policySourceLayer = Layer.effect(
  PolicySource,
  Effect.map(PolicyStore, (store) =>
    PolicySource.of({
      changes: store.updates.pipe(
        Stream.map((update): PolicyChange =>
          update._tag === "Listed"
            ? { _tag: "Listed", policies: update.objects }
            : { _tag: "Changed", name: update.name, policy: update.object }
        )
      )
    })
  )
)
