/** What an ActivityPolicy looks like to clients: OpenAPI, `kubectl explain`, and which fields of a body are known. */
import { choice, type JsonSchema, listByKey, object, text, time, whole } from "./JsonSchema.ts"

const rule = (of: "audit" | "event"): JsonSchema =>
  object(
    `A rule that tells ${of === "audit" ? "audit records" : "Kubernetes Events"}.`,
    {
      name: text(`Name of the rule, unique in its list. Defaults to ${of}-0, ${of}-1 and so on.`),
      description: text("What the rule is for."),
      match: text(
        `A CEL expression of type bool over \`${of}\` and \`actor\`. The first rule that matches tells the activity.`
      ),
      summary: text("The sentence: text with CEL expressions between {{ and }}."),
      ...(of === "audit"
        ? {
            outcome: choice(
              ["Success", "Failure", "Any"],
              "Which requests the rule sees: Success when absent, Failure or Any."
            )
          }
        : {})
    },
    ["match", "summary"]
  )

export const activityPolicySpecSchema: JsonSchema = object(
  "How the records and Events of one kind are told.",
  {
    resource: object(
      "The kind that the policy is for. It cannot be changed.",
      {
        apiGroup: text("API group of the kind; empty for the core group."),
        kind: text("The kind, such as Deployment."),
        plural: text("The resource's plural, where it is not what the kind suggests.")
      },
      ["kind"]
    ),
    kindLabel: text('The kind in words, such as "HTTP proxy".'),
    kindLabelPlural: text("The plural of kindLabel."),
    auditRules: listByKey("Rules for audit records, tried in order.", "name", rule("audit")),
    eventRules: listByKey("Rules for Kubernetes Events, tried in order.", "name", rule("event"))
  },
  ["resource"]
)

export const activityPolicyStatusSchema: JsonSchema = object("What became of the policy.", {
  conditions: listByKey(
    "Ready says whether the policy's rules are in effect.",
    "type",
    object(
      "One aspect of the policy's state.",
      {
        type: text("Ready."),
        status: choice(["True", "False", "Unknown"], "True, False or Unknown."),
        reason: text("Why, in one word."),
        message: text("Why, in a sentence."),
        lastTransitionTime: time("When the status last changed."),
        observedGeneration: whole("The generation that the condition is about.")
      },
      ["type", "status"]
    )
  ),
  observedGeneration: whole("The generation that the status is about.")
})
