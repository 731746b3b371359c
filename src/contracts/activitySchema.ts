/** What an Activity looks like to clients: the source of OpenAPI and `kubectl explain`. */
import { choice, type JsonSchema, list, object, text, whole } from "./JsonSchema.ts"

const resource = (description: string): JsonSchema =>
  object(
    description,
    {
      apiGroup: text("API group of the resource, such as apps; empty for the core group (Pods, Services, …)."),
      apiVersion: text("API version of the resource, without its group, such as v1."),
      kind: text("Kind of the resource, such as Deployment."),
      name: text("Name of the resource."),
      namespace: text("Namespace of the resource; empty when it is cluster-scoped."),
      uid: text("UID of the resource, where it is known; it tells a resource from a later one of the same name.")
    },
    ["kind", "name"]
  )

export const activitySpecSchema: JsonSchema = object(
  "What happened, in words for people and in fields for machines. Activities are written by the processor and cannot be changed.",
  {
    summary: text(
      "One sentence that says who did what to which resource. The query parameter search looks for words in it."
    ),
    changeSource: choice(
      ["human", "system"],
      "human when a person made the change, system when a controller or another part of the cluster did."
    ),
    timestamp: {
      type: "string",
      format: "date-time",
      description:
        "When the API server received the request, or the Event was created, to the microsecond. Lists are ordered by it, newest first; start and end select by it."
    },
    lastTimestamp: {
      type: "string",
      format: "date-time",
      description:
        "When it was last seen: absent for audit records, later than timestamp for an Event that was seen again."
    },
    count: whole("How often the Event was seen, where more than once; absent for audit records."),
    cluster: text("Name of the cluster that it happened in, as its collector or exporter calls it."),
    actor: object(
      "Who did it.",
      {
        type: text(
          "What kind of actor: user (a person or a client), serviceaccount, controller (of the control plane, or the one that wrote an Event), system (another part of Kubernetes), or unknown."
        ),
        name: text("User name of the actor, as the API server authenticated it; the controller's name for an Event."),
        uid: text("UID of the actor, where the API server knows one."),
        email: text("Email address of the actor, where it is known.")
      },
      ["type", "name"]
    ),
    resource: resource("The resource that it was done to."),
    links: list(
      "Parts of the summary that name resources, so that a user interface can link them.",
      object(
        "A part of the summary, and the resource that it names.",
        {
          marker: text("The text of the part, as it stands in the summary."),
          start: whole("Where the part starts in the summary, in UTF-16 code units from 0.", "int32"),
          end: whole("Where the part ends: the position behind its last UTF-16 code unit.", "int32"),
          resource: resource("The resource that the part names.")
        },
        ["marker", "resource"]
      )
    ),
    tenant: object(
      "Whose resource it was: callers of a tenant see only what belongs to it.",
      {
        type: text("Kind of the tenant: Organization, Project, User or Platform."),
        name: text("Name of the tenant; empty for the platform.")
      },
      ["type", "name"]
    ),
    outcome: choice(
      ["Success", "Failure"],
      "Success when the request was carried out, Failure when it was refused or went wrong; absent for Kubernetes Events."
    ),
    statusCode: whole("HTTP status that answered the request, such as 201; absent for Kubernetes Events.", "int32"),
    sourceIP: text(
      "Address that the request came from: the first that the audit record names; absent for Kubernetes Events."
    ),
    verb: text("Verb of the request, such as create or patch; absent for Kubernetes Events."),
    reason: text("Reason of the Kubernetes Event, such as FailedScheduling; absent for audit records."),
    origin: object(
      "The audit record or Kubernetes Event that it was made from.",
      {
        type: choice(["audit", "event"], "audit for an audit record, event for a Kubernetes Event."),
        id: text("The audit record's auditID, or the Event's UID: look there for what the summary leaves out.")
      },
      ["type", "id"]
    ),
    policy: object(
      "The rule of an ActivityPolicy that wrote the summary: `kubectl get activitypolicy NAME -o yaml` shows it.",
      {
        name: text("Name of the ActivityPolicy."),
        generation: whole(
          "Generation of the policy at that time: compare it with metadata.generation to see whether it changed since."
        ),
        rule: text("Name of the rule in the policy's auditRules or eventRules.")
      },
      ["name", "generation", "rule"]
    )
  },
  ["summary", "changeSource", "timestamp", "actor", "resource", "tenant", "origin"]
)

/** Of one that is read alone, where more is told: lists, watches, queries and previews have the one above. */
export const singleActivitySpecSchema: JsonSchema = {
  ...activitySpecSchema,
  properties: {
    ...activitySpecSchema.properties,
    changes: list(
      "What the request changed, field by field. Worked out when a single activity is read, kubectl get activity NAME -o yaml; lists, watches and queries are without it. Of updates and patches that were carried out, from their audit record and those before it; absent where those do not tell, an empty list where nothing was changed. Status, managedFields, resourceVersion and the like are left out.",
      object(
        "A field, and what it was and became.",
        {
          field: text(
            "Path of the field, such as spec.template.spec.containers[name=web].image, metadata.annotations[example.com/note] or rules[0]."
          ),
          old: text(
            "Value before the request: a text as it is, anything else as JSON, from 1,000 characters on an excerpt. Absent where there was none, or where no record tells it; what is redacted is REDACTED."
          ),
          new: text(
            "Value after the request, in the same form. Absent where there is none any more. Both are REDACTED where a patch set what is redacted."
          )
        },
        ["field"]
      )
    ),
    changesLeftOut: whole(
      "How many changes there are besides: more than the 100 that are shown, or such as may have been made by others since the record before.",
      "int32"
    )
  }
}
