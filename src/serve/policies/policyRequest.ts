/** The verbs of `activitypolicies` and `activitypolicies/status`. */
import { Effect } from "effect"
import { PolicyStore } from "../../store/PolicyStore.ts"
import type { Call } from "../http/Call.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"
import { keptRequest } from "../kept/keptRequest.ts"
import { policyKind } from "./policyKind.ts"
import { PolicyWrites } from "./PolicyWrites.ts"

export const policyRequest = (call: Call, request: ResourceRequest) =>
  Effect.gen(function* () {
    return yield* keptRequest(policyKind, yield* PolicyStore, yield* PolicyWrites, call, request)
  })
