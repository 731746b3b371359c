/** ActivityPolicies as a cluster keeps them: ActivityPolicyRecords. */
import { Context, Effect, Layer } from "effect"
import { policyRecords } from "../domain/policyRecord.ts"
import { keptInCluster } from "./keptInCluster.ts"
import { PolicyStore, PolicyUpkeep } from "./PolicyStore.ts"

export const policyRecordsLayer = Layer.effectContext(
  Effect.map(keptInCluster(policyRecords), ({ store, upkeep }) =>
    Context.make(PolicyStore, store).pipe(Context.add(PolicyUpkeep, upkeep))
  )
)
