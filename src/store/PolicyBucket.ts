/** ActivityPolicies in a NATS KV bucket. */
import { Context, Effect, Layer } from "effect"
import type { ActivityPolicy } from "../domain/ActivityPolicy.ts"
import { type KeptBucket, keptInBucket } from "./keptInBucket.ts"
import { PolicyStore, PolicyUpkeep } from "./PolicyStore.ts"

export class PolicyBucket extends Context.Service<PolicyBucket, KeptBucket<ActivityPolicy>>()(
  "activity/store/PolicyBucket"
) {}

export const policyBucketName = "activity_policies"

/** For whoever wants to see with the tools of NATS what a policy said before. */
const versionsKept = 8

/** Reads and writes by one connection. */
export const policyBucketLayer = Layer.effectContext(
  Effect.map(keptInBucket<ActivityPolicy>(policyBucketName, versionsKept), ({ bucket, store, upkeep }) =>
    Context.make(PolicyStore, store).pipe(Context.add(PolicyBucket, bucket), Context.add(PolicyUpkeep, upkeep))
  )
)
