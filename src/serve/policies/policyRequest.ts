import { Effect } from "effect"
import { type ApiFailure, methodNotAllowed } from "../ApiFailure.ts"
import type { Answer, Call } from "../http/Call.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"
export const policyRequest = (_: Call, __: ResourceRequest): Effect.Effect<Answer, ApiFailure> => Effect.fail(methodNotAllowed())
