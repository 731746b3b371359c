/**
 * The CustomResourceDefinition of the ReindexJobRecord: with what is done where a job does not say it, so that a job that
 * was applied says so too, and with bounds for jobs that were written around our API.
 */
import { batchSizeMax, batchSizeOtherwise, rateLimitMax, rateLimitOtherwise } from "../domain/ReindexJob.ts"
import { reindexJobRecords } from "../domain/reindexJobRecord.ts"
import { recordDefinition, structural, type StructuralSchema, type Validation } from "./recordDefinition.ts"
import { reindexJobSpecSchema, reindexJobStatusSchema } from "./reindexJobSchema.ts"

/** As `reindexjobs` itself says it; an apply is merged here. */
const begunStays: Validation = {
  rule: "!has(oldSelf.status) || !has(oldSelf.status.phase) || oldSelf.status.phase == 'Pending' || self.spec == oldSelf.spec",
  message: "the job has begun: create another",
  reason: "FieldValueForbidden",
  fieldPath: ".spec"
}

/** `properties` over those of the schema's field, which has others. */
const extended = (
  schema: StructuralSchema,
  field: string,
  properties: Readonly<Record<string, StructuralSchema>>,
  more: StructuralSchema = {}
): StructuralSchema => {
  const before = schema.properties?.[field]
  const after = Object.entries(properties).map(([name, added]) => [name, { ...before?.properties?.[name], ...added }])
  return {
    ...schema,
    properties: {
      ...schema.properties,
      [field]: { ...before, ...more, properties: { ...before?.properties, ...Object.fromEntries(after) } }
    }
  }
}

/** 0 is what a client sends that was told nothing. */
const bounded = (defaultValue: number, maximum: number): StructuralSchema => ({
  default: defaultValue,
  minimum: 0,
  maximum
})

const spec = extended(
  extended(structural(reindexJobSpecSchema), "timeRange", { endTime: { default: "now" } }),
  "config",
  {
    batchSize: bounded(batchSizeOtherwise, batchSizeMax),
    rateLimit: bounded(rateLimitOtherwise, rateLimitMax)
  },
  { default: {} }
)

export const reindexJobRecordDefinition = recordDefinition(reindexJobRecords, {
  description:
    "ReindexJobRecord is what a cluster keeps of a ReindexJob. Create and delete reindexjobs.activity.miloapis.com, which checks what they mean.",
  columns: [
    { name: "Phase", type: "string", jsonPath: ".status.phase" },
    { name: "Message", type: "string", jsonPath: ".status.message" }
  ],
  spec,
  status: structural(reindexJobStatusSchema),
  validations: [begunStays]
})
