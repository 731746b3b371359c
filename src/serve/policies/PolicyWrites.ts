/** How ActivityPolicies are changed. */
import { Context, Effect, Layer } from "effect"
import { Kube } from "../../clients/kube/Kube.ts"
import type { ActivityPolicy } from "../../domain/ActivityPolicy.ts"
import { PolicyBucket } from "../../store/PolicyBucket.ts"
import { PolicyStore } from "../../store/PolicyStore.ts"
import { bucketWrites } from "../kept/bucketWrites.ts"
import type { KeptWrites } from "../kept/KeptWrites.ts"
import { recordWrites } from "../kept/recordWrites.ts"
import { policyKind } from "./policyKind.ts"

export class PolicyWrites extends Context.Service<PolicyWrites, KeptWrites<ActivityPolicy>>()(
  "activity/serve/policies/PolicyWrites"
) {
  /** This server keeps them itself. */
  static readonly layerBucket = Layer.effect(
    PolicyWrites,
    Effect.gen(function* () {
      return bucketWrites(policyKind, yield* PolicyStore, yield* PolicyBucket)
    })
  )
  /** The cluster's API server keeps them. */
  static readonly layerRecords = Layer.effect(
    PolicyWrites,
    Effect.gen(function* () {
      return recordWrites(policyKind, yield* PolicyStore, yield* Kube)
    })
  )
}
