/** The resources of the API: the one table from which discovery, OpenAPI and routing are made. */
import { activityPolicySpecSchema, activityPolicyStatusSchema } from "./activityPolicySchema.ts"
import { singleActivitySpecSchema } from "./activitySchema.ts"
import { deadLetterDiscard, deadLetterRedrive, deadLetterSchemas } from "./deadLetterSchema.ts"
import { eventRecordSchemas } from "./eventRecordSchema.ts"
import type { JsonSchema } from "./JsonSchema.ts"
import { previewSchemas } from "./previewSchema.ts"
import { reindexJobSpecSchema, reindexJobStatusSchema } from "./reindexJobSchema.ts"
import {
  activityFacetQueriesResource,
  activityQueriesResource,
  auditLogFacetsQueriesResource,
  auditLogQueriesResource,
  eventFacetQueriesResource,
  eventQueriesResource
} from "./queryResources.ts"

export const groupName = "activity.miloapis.com"

/** Preferred first. Both serve the same objects. */
export const versions = ["v1alpha1", "v1"] as const
export type Version = (typeof versions)[number]

export interface Resource {
  readonly plural: string
  readonly singular: string
  readonly kind: string
  readonly shortNames: ReadonlyArray<string>
  /** Never a name that a resource has too: `kubectl get activity x` would not know what is meant. */
  readonly categories: ReadonlyArray<string>
  readonly namespaced: boolean
  readonly verbs: ReadonlyArray<string>
  readonly subresources: Readonly<Record<string, Subresource>>
  readonly description: string
  /** Besides apiVersion, kind and metadata. */
  readonly properties: Readonly<Record<string, JsonSchema>>
}

export interface Subresource {
  readonly verbs: ReadonlyArray<string>
  /** What is sent there and answered, where that is not the resource itself. */
  readonly body?: Pick<Resource, "kind" | "properties">
}

const status: Subresource = { verbs: ["get", "patch", "update"] }

export const activitiesResource: Resource = {
  plural: "activities",
  singular: "activity",
  kind: "Activity",
  shortNames: ["act"],
  categories: ["observability"],
  namespaced: true,
  verbs: ["get", "list", "watch"],
  subresources: {},
  description:
    "Activity is one sentence about something that happened: who did what to which resource, when, and how it ended. " +
    "Activities are made from audit records and Kubernetes Events by the rules of ActivityPolicies. " +
    "Lists show the last hour unless start says otherwise: kubectl get --raw '/apis/activity.miloapis.com/v1/activities?start=now-7d'.",
  properties: { spec: singleActivitySpecSchema }
}

export const eventRecordsResource: Resource = {
  plural: "eventrecords",
  singular: "eventrecord",
  kind: "EventRecord",
  shortNames: ["evr"],
  categories: ["observability"],
  namespaced: true,
  // Never delete: a namespace that is deleted would wait for it.
  verbs: ["get", "list", "watch"],
  subresources: {},
  description:
    "EventRecord is a Kubernetes Event as it was last seen, kept beyond the hour for which its cluster keeps it. " +
    "Lists show the last 24 hours unless start says otherwise: " +
    "kubectl get --raw '/apis/activity.miloapis.com/v1/eventrecords?start=now-7d'.",
  properties: eventRecordSchemas
}

export const activityPoliciesResource: Resource = {
  plural: "activitypolicies",
  singular: "activitypolicy",
  kind: "ActivityPolicy",
  shortNames: ["ap"],
  categories: ["observability"],
  namespaced: false,
  verbs: ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
  subresources: { status },
  description:
    "ActivityPolicy says how the audit records and Kubernetes Events of one kind become activities. " +
    "Where two policies are for one kind, the one whose name comes first in the alphabet is tried first.",
  properties: { spec: activityPolicySpecSchema, status: activityPolicyStatusSchema }
}

export const deadLettersResource: Resource = {
  plural: "deadletters",
  singular: "deadletter",
  kind: "DeadLetter",
  shortNames: ["dl"],
  categories: ["observability"],
  namespaced: false,
  // Never delete: the cluster's garbage collector would watch it.
  verbs: ["get", "list", "watch"],
  subresources: {
    discard: { verbs: ["create"], body: deadLetterDiscard },
    redrive: { verbs: ["create"], body: deadLetterRedrive }
  },
  description:
    "DeadLetter is what records, Events or activities wait for that could not go on, grouped by cause. " +
    "Those of a policy are tried again by themselves, and at once when it changes. By hand: " +
    "kubectl create --raw /apis/activity.miloapis.com/v1/deadletters/NAME/redrive -f /dev/null.",
  properties: deadLetterSchemas
}

export const policyPreviewsResource: Resource = {
  plural: "policypreviews",
  singular: "policypreview",
  kind: "PolicyPreview",
  shortNames: [],
  categories: [],
  namespaced: false,
  verbs: ["create"],
  subresources: {},
  description:
    "PolicyPreview tries an ActivityPolicy before it is in effect: on records and Events that are given or were stored, " +
    "with the reason of each rule, or on a whole time, against the policy that is in effect. " +
    "The answer to its creation is its status: kubectl create -f FILE -o yaml. Nothing is stored.",
  properties: previewSchemas
}

export const reindexJobsResource: Resource = {
  plural: "reindexjobs",
  singular: "reindexjob",
  kind: "ReindexJob",
  shortNames: ["rj"],
  categories: [],
  namespaced: false,
  verbs: ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
  subresources: { status },
  description:
    "ReindexJob tells stored records and Events anew, by the ActivityPolicies as they are now: activities that differ are " +
    "replaced, missing ones added, those that no rule tells any more removed. " +
    "Jobs run one after the other, oldest first; deleting a job stops it.",
  properties: { spec: reindexJobSpecSchema, status: reindexJobStatusSchema }
}

/** Sorted by plural, so that discovery is the same on every replica. */
export const resources: ReadonlyArray<Resource> = [
  activitiesResource,
  activityFacetQueriesResource,
  activityPoliciesResource,
  activityQueriesResource,
  auditLogFacetsQueriesResource,
  auditLogQueriesResource,
  deadLettersResource,
  eventFacetQueriesResource,
  eventQueriesResource,
  eventRecordsResource,
  policyPreviewsResource,
  reindexJobsResource
]
