/** ActivityPolicies, whoever keeps them. */
import { Context } from "effect"
import type { ActivityPolicy } from "../domain/ActivityPolicy.ts"
import type { KeptObjects, KeptUpkeep } from "./KeptObjects.ts"

export class PolicyStore extends Context.Service<PolicyStore, KeptObjects<ActivityPolicy>>()(
  "activity/store/PolicyStore"
) {}

export class PolicyUpkeep extends Context.Service<PolicyUpkeep, KeptUpkeep<ActivityPolicy>>()(
  "activity/store/PolicyUpkeep"
) {}
