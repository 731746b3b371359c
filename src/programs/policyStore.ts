/** Where policies are read from: the cluster's API server, or NATS. */
import { Effect, Layer } from "effect"
import type { Kube } from "../clients/kube/Kube.ts"
import type { Nats } from "../clients/nats/Nats.ts"
import { PolicySource } from "../process/PolicySource.ts"
import type { Health } from "../runtime/Health.ts"
import type { StartRefused } from "../runtime/StartRefused.ts"
import { policyBucketLayer } from "../store/PolicyBucket.ts"
import { policyRecordsLayer } from "../store/PolicyRecords.ts"
import { PolicyStore } from "../store/PolicyStore.ts"

export const readPolicies = (
  store: "nats" | "kubernetes",
  kube: Layer.Layer<Kube, StartRefused>
): Layer.Layer<PolicyStore, StartRefused, Nats | Health> =>
  store === "kubernetes" ? policyRecordsLayer.pipe(Layer.provide(kube)) : policyBucketLayer

/** The policies that the store keeps, for those who evaluate by them. */
export const policySourceLayer = Layer.effect(
  PolicySource,
  Effect.map(PolicyStore, (store) => PolicySource.of({ changes: store.updates }))
)
