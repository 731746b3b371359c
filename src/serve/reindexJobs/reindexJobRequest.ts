/** The verbs of `reindexjobs` and `reindexjobs/status`. */
import { Effect } from "effect"
import { pathUnknown } from "../ApiFailure.ts"
import type { Call } from "../http/Call.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"
import { keptRequest } from "../policies/policyRequest.ts"
import { shownReindexJobs } from "./reindexJobKind.ts"
import { ReindexJobStorage } from "./ReindexJobStorage.ts"

export const reindexJobRequest = (call: Call, request: ResourceRequest) =>
  Effect.gen(function* () {
    const storage = yield* ReindexJobStorage
    if (storage === undefined) return yield* pathUnknown()
    return yield* keptRequest(shownReindexJobs, storage.jobs, storage.writes, call, request)
  })
