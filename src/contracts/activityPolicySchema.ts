/** What an ActivityPolicy looks like to clients: OpenAPI, `kubectl explain`, and which fields of a body are known. */
import { conditionsSchema } from "./conditionsSchema.ts"
import { choice, type JsonSchema, listByKey, object, text, whole } from "./JsonSchema.ts"

const rule = (of: "audit" | "event"): JsonSchema =>
  object(
    `A rule that turns ${of === "audit" ? "audit records" : "Kubernetes Events"} into activities.`,
    {
      name: text(`Name of the rule, unique in its list; activities carry it. Defaults to ${of}-0, ${of}-1 and so on.`),
      description: text("What the rule is for, for people who read the policy. Nothing else uses it."),
      match: text(
        `A CEL expression of type bool, such as ${of === "audit" ? "audit.verb == 'create'" : "event.reason == 'BackOff'"}. It sees ` +
          `${of} (the whole ${of === "audit" ? "audit record" : "Kubernetes Event"}), actor (a name), actorRef (type, name, uid, email), kind and kindPlural. ` +
          "The first rule that matches writes the activity; without a match there is none."
      ),
      summary: text(
        `The activity's sentence: text with CEL expressions between {{ and }}, such as ` +
          `${of === "audit" ? "{{ actor }} created {{ link(kind + ' ' + audit.objectRef.name, audit.objectRef) }}" : "{{ link(kind + ' ' + event.regarding.name, event.regarding) }}: {{ event.note }}"}. ` +
          "Besides what match sees there is link(text, reference), which names a resource."
      ),
      ...(of === "audit"
        ? {
            outcome: choice(
              ["Success", "Failure", "Any"],
              "Which requests the rule sees: Success (the default) those that were carried out, Failure those that were refused or went wrong, Any both."
            )
          }
        : {})
    },
    ["match", "summary"]
  )

export const activityPolicySpecSchema: JsonSchema = object(
  "Which kind the policy is for, and the rules that turn its records and Events into activities.",
  {
    resource: object(
      "The kind that the policy is for. apiGroup and kind cannot be changed: create another policy.",
      {
        apiGroup: text("API group of the kind, such as apps; empty for the core group (Pods, Services, …)."),
        kind: text("The kind, such as Deployment."),
        plural: text("The resource's plural, as in its URL, where it is not what the kind suggests.")
      },
      ["kind"]
    ),
    kindLabel: text(
      'The kind in words, for summaries, such as "HTTP proxy". Defaults to the annotation activity.miloapis.com/kind-label of the CRD, else to the kind split into words.'
    ),
    kindLabelPlural: text('The plural of kindLabel, such as "HTTP proxies".'),
    auditRules: listByKey(
      "Rules for audit records, tried in order; the first that matches writes the activity.",
      "name",
      rule("audit")
    ),
    eventRules: listByKey(
      "Rules for Kubernetes Events, tried in order; the first that matches writes the activity.",
      "name",
      rule("event")
    )
  },
  ["resource"]
)

export const activityPolicyStatusSchema: JsonSchema = object(
  "Whether the rules are in effect. Written by the server.",
  {
    conditions: conditionsSchema(
      "Ready says whether the policy's rules are in effect.",
      "True when the rules of observedGeneration are in effect, False when they are not, Unknown when nobody could tell."
    ),
    observedGeneration: whole(
      "The metadata.generation that the status is about: lower than that one, it is out of date."
    )
  }
)
