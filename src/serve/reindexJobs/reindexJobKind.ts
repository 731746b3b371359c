/** What the server does to ReindexJobs, and how it shows them. */
import { isDeepStrictEqual } from "node:util"
import { Effect } from "effect"
import { reindexJobSpecSchema, reindexJobStatusSchema } from "../../contracts/reindexJobSchema.ts"
import { metaReference } from "../../contracts/metaSchemas.ts"
import { groupName, versions } from "../../contracts/resources.ts"
import {
  batchSizeOtherwise,
  noProgress,
  rateLimitOtherwise,
  type ReindexJob,
  type ReindexJobSpec
} from "../../domain/ReindexJob.ts"
import { type BodyKind, type CheckedBody, checkedObject, objectBody } from "../objectBody.ts"
import { chosen, kept, type Moment, plain } from "../policies/admission.ts"
import type { KeptBody, KeptKind } from "../policies/bucketWrites.ts"
import type { ShownKind } from "../policies/watchPolicies.ts"
import { reindexJobColumns } from "./reindexJobColumns.ts"
import { reindexJobFaults, warningsOf } from "./reindexJobFaults.ts"

export const reindexJobNames = { group: groupName, plural: "reindexjobs", kind: "ReindexJob" }

const bodyKind: BodyKind = {
  kind: reindexJobNames.kind,
  schema: {
    type: "object",
    properties: {
      apiVersion: { type: "string" },
      kind: { type: "string" },
      metadata: metaReference("ObjectMeta"),
      spec: reindexJobSpecSchema,
      status: reindexJobStatusSchema
    }
  }
}

const jobFrom = ({ object, warnings }: CheckedBody, apiVersion: string): KeptBody<ReindexJob> => {
  // The schema says the shapes; what it does not say (required, bounds) admission checks.
  const sent = object as unknown as Partial<ReindexJob>
  const job: ReindexJob = {
    ...sent,
    apiVersion,
    kind: "ReindexJob",
    metadata: { ...sent.metadata, name: sent.metadata?.name ?? "" },
    spec: withDefaults(sent.spec ?? { timeRange: { startTime: "" } })
  }
  return { policy: job, warnings: [...warnings, ...warningsOf(job)] }
}

/** What a client reads is what will be done. */
const withDefaults = (spec: ReindexJobSpec): ReindexJobSpec => ({
  ...spec,
  timeRange: {
    ...spec.timeRange,
    startTime: spec.timeRange?.startTime ?? "",
    endTime: spec.timeRange?.endTime || "now"
  },
  config: {
    ...spec.config,
    batchSize: spec.config?.batchSize || batchSizeOtherwise,
    rateLimit: spec.config?.rateLimit || rateLimitOtherwise
  }
})

const created = ({ metadata, spec }: ReindexJob, { now, uid }: Moment): ReindexJob => ({
  apiVersion: `${groupName}/${versions[0]}`,
  kind: "ReindexJob",
  metadata: { ...chosen(metadata), name: metadata.name, uid, generation: 1, creationTimestamp: now },
  spec,
  status: {
    phase: "Pending",
    message: "Waits for its turn",
    progress: noProgress,
    conditions: [
      {
        type: "Ready",
        status: "False",
        reason: "Pending",
        message: "Waits for its turn",
        lastTransitionTime: now,
        observedGeneration: 1
      }
    ]
  }
})

const updated = (stored: ReindexJob, sent: ReindexJob): ReindexJob => ({
  ...stored,
  metadata: {
    ...chosen(sent.metadata),
    ...kept(stored.metadata),
    generation: (stored.metadata.generation ?? 1) + (isDeepStrictEqual(plain(stored.spec), plain(sent.spec)) ? 0 : 1)
  },
  spec: sent.spec
})

/** Both versions have the same fields. */
const served = (job: ReindexJob, apiVersion: string): ReindexJob => ({ ...job, apiVersion })

export const keptReindexJobs: KeptKind<ReindexJob> = {
  names: reindexJobNames,
  body: (call, request) =>
    Effect.map(objectBody(call, request, bodyKind), (body) => jobFrom(body, `${groupName}/${request.version}`)),
  checked: (call, request, body) =>
    Effect.map(checkedObject(call, request, body, bodyKind), (checked) =>
      jobFrom(checked, `${groupName}/${request.version}`)
    ),
  served,
  created,
  updated,
  faults: reindexJobFaults
}

export const shownReindexJobs: ShownKind<ReindexJob> = {
  names: reindexJobNames,
  columns: reindexJobColumns,
  served
}
