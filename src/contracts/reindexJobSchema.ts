/** What a ReindexJob looks like to clients: OpenAPI, `kubectl explain`, and which fields of a body are known. */
import { conditionsSchema } from "./conditionsSchema.ts"
import { choice, type JsonSchema, list, object, text, texts, time, whole } from "./JsonSchema.ts"

export const reindexJobSpecSchema: JsonSchema = object(
  "Which time, of which policies, and how fast. It cannot be changed once the job runs.",
  {
    timeRange: object(
      "The time whose records and Events are told anew. Relative times count from the moment when the job begins.",
      {
        startTime: text("RFC 3339, such as 2026-01-31T12:00:00Z, or relative, such as now-7d (s, m, h, d, w)."),
        endTime: text("The same; defaults to now. What happens later is told by the policies as they are anyway.")
      },
      ["startTime"]
    ),
    policySelector: object(
      "The policies whose activities are told anew: by names or by matchLabels; all of them without either.",
      {
        names: list("Names of ActivityPolicies. Of one that is gone, the activities are removed.", text("A name.")),
        matchLabels: texts("Labels that the ActivityPolicies have.")
      }
    ),
    config: object("How the job works.", {
      batchSize: whole("In what portions progress is counted: 100 to 10000, 1000 by default.", "int32"),
      rateLimit: whole("Records and Events a second: 10 to 1000, 100 by default.", "int32"),
      dryRun: { type: "boolean", description: "Only count what would differ.", default: false }
    }),
    ttlSecondsAfterFinished: {
      type: "integer",
      format: "int32",
      description: "The job is deleted so long after its end; without it, it stays."
    }
  },
  ["timeRange"]
)

const count = (description: string) => whole(description)

export const reindexJobStatusSchema: JsonSchema = object("How far it is. Written by the server.", {
  phase: choice(["Pending", "Running", "Succeeded", "Failed"], "Where the job is in its life."),
  message: text("The same in a sentence."),
  progress: object(
    "What was done, and how much there is; counted anew when the job begins again as policies were changed.",
    {
      totalEvents: count("Records and Events that are looked at; counted when the job begins."),
      processedEvents: count("How many of them were looked at."),
      activitiesGenerated: count("How many activities the policies told of them: same, changed and new."),
      errors: count("Where a rule failed; what was told before stays."),
      currentBatch: whole("The portion that it has come to.", "int32"),
      totalBatches: whole("How many portions there are.", "int32"),
      same: count("Activities that are stored as they would be told now."),
      changed: count("Activities that are told otherwise now."),
      new: count("Activities that were missing."),
      lost: count("Activities that no rule tells any more.")
    }
  ),
  startedAt: time("When it began."),
  completedAt: time("When it ended."),
  effectiveStartTime: time("What spec.timeRange.startTime means."),
  effectiveEndTime: time("What spec.timeRange.endTime means."),
  policies: list("The policies that were selected when it began; absent: all.", text("A name.")),
  position: text("Up to where all is done: whoever goes on with the job begins there. Its form may change."),
  conditions: conditionsSchema(
    "Ready says whether the job has done what it is for.",
    "True when it succeeded, False while it has not, or when it failed: reason says which."
  )
})
