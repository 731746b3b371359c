/**
 * The Activity API object as it is published, stored and served (without resourceVersion, which the server adds).
 *
 * Built with its fields always in this order, so that its JSON is canonical; optional fields are left out when empty.
 */
export interface Activity {
  readonly apiVersion: "activity.miloapis.com/v1alpha1"
  readonly kind: "Activity"
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    /** The activity's key (UUIDv5). */
    readonly uid: string
    /** RFC 3339, whole seconds: what Kubernetes clients read. `spec.timestamp` has the full time. */
    readonly creationTimestamp: string
    readonly labels: Readonly<Record<string, string>>
  }
  readonly spec: ActivitySpec
}

export interface ActivitySpec {
  readonly summary: string
  readonly changeSource: "human" | "system"
  /** RFC 3339 with six fractional digits, UTC: requestReceivedTimestamp, or the Event's creationTimestamp. */
  readonly timestamp: string
  /** The same of the last sight, only where it differs (a recurring Event). */
  readonly lastTimestamp?: string
  /** How often an Event was seen, only where more than once. */
  readonly count?: number
  readonly cluster: string
  readonly actor: ActivityActor
  readonly resource: ActivityResource
  readonly links?: ReadonlyArray<ActivityLink>
  readonly tenant: { readonly type: string; readonly name: string }
  readonly outcome: "Success" | "Failure"
  /** HTTP status of the request; left out for Events. */
  readonly statusCode?: number
  readonly sourceIP?: string
  readonly verb?: string
  /** The Event's reason; left out for audit records. */
  readonly reason?: string
  readonly origin: { readonly type: "audit" | "event"; readonly id: string }
  readonly policy: { readonly name: string; readonly generation: number; readonly rule: string }
}

export type ActorType = "user" | "serviceaccount" | "controller" | "system" | "unknown"

export interface ActivityActor {
  readonly type: ActorType | string
  readonly name: string
  readonly uid?: string
  readonly email?: string
}

export interface ActivityResource {
  readonly apiGroup?: string
  readonly apiVersion?: string
  readonly kind: string
  readonly name: string
  readonly namespace?: string
  readonly uid?: string
}

/** `marker` stands at `summary.slice(start, end)`; offsets count UTF-16 code units. */
export interface ActivityLink {
  readonly marker: string
  readonly start: number
  readonly end: number
  readonly resource: ActivityResource
}

export const labelNames = {
  originType: "activity.miloapis.com/origin-type",
  changeSource: "activity.miloapis.com/change-source",
  apiGroup: "activity.miloapis.com/api-group",
  resourceKind: "activity.miloapis.com/resource-kind",
  eventReason: "activity.miloapis.com/event-reason",
  policyName: "activity.miloapis.com/policy-name"
} as const
