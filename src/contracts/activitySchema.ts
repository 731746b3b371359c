/** What an Activity looks like to clients: the source of OpenAPI and `kubectl explain`. */
import { choice, type JsonSchema, list, object, text, whole } from "./JsonSchema.ts"

const resource = (description: string): JsonSchema =>
  object(
    description,
    {
      apiGroup: text("API group of the resource; empty for the core group."),
      apiVersion: text("API version of the resource."),
      kind: text("Kind of the resource, such as Deployment."),
      name: text("Name of the resource."),
      namespace: text("Namespace of the resource; empty when it is cluster-scoped."),
      uid: text("UID of the resource, where it is known.")
    },
    ["kind", "name"]
  )

export const activitySpecSchema: JsonSchema = object(
  "What happened, in words for people and in fields for machines. Activities are written by the processor and cannot be changed.",
  {
    summary: text("One sentence that says who did what to which resource."),
    changeSource: choice(["human", "system"], "Whether a person or a machine made the change."),
    timestamp: {
      type: "string",
      format: "date-time",
      description: "When it happened, to the microsecond."
    },
    lastTimestamp: {
      type: "string",
      format: "date-time",
      description: "When it was last seen, where it happened more than once."
    },
    count: whole("How often it was seen, where more than once."),
    cluster: text("The cluster that it happened in."),
    actor: object(
      "Who did it.",
      {
        type: text("user, serviceaccount, controller, system or unknown."),
        name: text("Name of the actor, as the API server authenticated it."),
        uid: text("UID of the actor."),
        email: text("Email address of the actor, where it is known.")
      },
      ["type", "name"]
    ),
    resource: resource("What it was done to."),
    links: list(
      "Parts of the summary that name resources.",
      object(
        "A part of the summary, and the resource that it names.",
        {
          marker: text("The part of the summary."),
          start: whole("Where the part starts in the summary, in UTF-16 code units.", "int32"),
          end: whole("Where the part ends in the summary.", "int32"),
          resource: resource("The resource that the part names.")
        },
        ["marker", "resource"]
      )
    ),
    tenant: object(
      "Whose it is.",
      {
        type: text("Organization, Project, User or Platform."),
        name: text("Name of the tenant; empty for the platform.")
      },
      ["type", "name"]
    ),
    outcome: choice(["Success", "Failure"], "How it ended."),
    statusCode: whole("HTTP status of the request; absent for Kubernetes Events.", "int32"),
    sourceIP: text("Address that the request came from."),
    verb: text("Verb of the request; absent for Kubernetes Events."),
    reason: text("Reason of the Kubernetes Event; absent for audit records."),
    origin: object(
      "The record that it was made from.",
      {
        type: choice(["audit", "event"], "audit record or Kubernetes Event."),
        id: text("The audit ID, or the Event's UID.")
      },
      ["type", "id"]
    ),
    policy: object(
      "The rule that told it.",
      {
        name: text("Name of the ActivityPolicy."),
        generation: whole("Generation of the policy."),
        rule: text("Name of the rule.")
      },
      ["name", "generation", "rule"]
    )
  },
  ["summary", "changeSource", "timestamp", "actor", "resource", "tenant", "origin"]
)
