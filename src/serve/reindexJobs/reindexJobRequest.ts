/** The verbs of `reindexjobs` and `reindexjobs/status`. */
import { Effect } from "effect"
import { ReindexJobs } from "../../store/ReindexJobs.ts"
import type { Call } from "../http/Call.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"
import { keptRequest } from "../kept/keptRequest.ts"
import { reindexJobKind } from "./reindexJobKind.ts"
import { ReindexJobWrites } from "./ReindexJobWrites.ts"

export const reindexJobRequest = (call: Call, request: ResourceRequest) =>
  Effect.gen(function* () {
    return yield* keptRequest(reindexJobKind, yield* ReindexJobs, yield* ReindexJobWrites, call, request)
  })
