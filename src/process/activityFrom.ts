/**
 * The Activity object of a matched rule, and what travels with its message.
 *
 * Fields always come in the order of domain/Activity, and nothing in it differs between two evaluations of the same
 * input by the same policy: the JSON is the content that the activity's version hashes.
 */
import {
  type Activity,
  type ActivityActor,
  type ActivityLink,
  type ActivityResource,
  labelNames
} from "../domain/Activity.ts"
import type { AuditRecord } from "../domain/AuditRecord.ts"
import { activityKey, activityName, type OriginType } from "../domain/identity.ts"
import { secondsOfTimestamp } from "../domain/instant.ts"
import type { KubernetesEvent } from "../domain/KubernetesEvent.ts"
import type { Mark } from "../domain/streams.ts"
import { activitySubject } from "../domain/subject.ts"
import type { Tenant } from "../domain/Tenant.ts"
import { auditChangeSource, type ChangeSource, eventChangeSource } from "./actor.ts"
import type { CompletedReference, RequestOutcome } from "./completedAudit.ts"
import type { CompiledPolicy, CompiledRule } from "./compilePolicy.ts"
import { linkResource } from "./linkResource.ts"
import type { Matched } from "./PolicySet.ts"
import type { RenderedSummary } from "./renderSummary.ts"

interface Origin {
  readonly policy: CompiledPolicy
  readonly rule: CompiledRule
  readonly rendered: RenderedSummary
  readonly actor: ActivityActor
}

export const activityFromAudit = ({
  record,
  reference,
  outcome,
  ...origin
}: Origin & {
  readonly record: AuditRecord
  readonly reference: CompletedReference
  readonly outcome: RequestOutcome
}): Matched => {
  const { objectRef } = record
  return build({
    ...origin,
    cluster: record.cluster,
    tenant: record.tenant,
    originType: "audit",
    originKey: record.key,
    originId: record.auditID,
    changeSource: auditChangeSource(record),
    timestamp: record.requestReceivedTimestamp,
    resource: resourceOf({
      apiGroup: objectRef.apiGroup,
      apiVersion: objectRef.apiVersion,
      kind: origin.policy.kind,
      ...reference
    }),
    resourceName: objectRef.resource,
    ending: {
      outcome: outcome === "Success" ? "Success" : "Failure",
      ...(record.statusCode === 0 ? {} : { statusCode: record.statusCode }),
      ...(record.sourceIP === "" ? {} : { sourceIP: record.sourceIP }),
      verb: record.verb
    },
    sourceVersion: record.key,
    mark: "added",
    order: 0n
  })
}

export const activityFromEvent = ({
  event,
  mark,
  ...origin
}: Origin & { readonly event: KubernetesEvent; readonly mark: Mark }): Matched =>
  build({
    ...origin,
    cluster: event.cluster,
    tenant: event.tenant,
    originType: "event",
    originKey: event.uid,
    originId: event.uid,
    changeSource: eventChangeSource(event),
    timestamp: event.creationTimestamp,
    lastTimestamp: event.lastSeen,
    count: event.count,
    resource: resourceOf(event.regarding),
    resourceName: "",
    ending: { outcome: "Success", ...(event.reason === "" ? {} : { reason: event.reason }) },
    sourceVersion: event.version,
    mark,
    order: event.order
  })

interface Parts extends Origin {
  readonly cluster: string
  readonly tenant: Tenant
  readonly originType: OriginType
  readonly originKey: string
  readonly originId: string
  readonly changeSource: ChangeSource
  /** RFC 3339 with six fractional digits, UTC. */
  readonly timestamp: string
  readonly lastTimestamp?: string
  readonly count?: number
  readonly resource: ActivityResource
  /** The plural that the audit record names, "" for Events. */
  readonly resourceName: string
  readonly ending: Pick<Activity["spec"], "outcome" | "statusCode" | "sourceIP" | "verb" | "reason">
  readonly sourceVersion: string
  readonly mark: Mark
  readonly order: bigint
}

const build = (parts: Parts): Matched => {
  const { resource, policy, tenant } = parts
  const key = activityKey(parts.cluster, parts.originType, parts.originKey)
  const { timestamp, lastTimestamp = timestamp } = parts
  const links = parts.rendered.links.map(({ text, start, reference }): ActivityLink => ({
    marker: text,
    start,
    end: start + text.length,
    resource: linkResource(reference, resource, parts.resourceName)
  }))
  const namespace = resource.namespace ?? ""
  const activity: Activity = {
    apiVersion: "activity.miloapis.com/v1alpha1",
    kind: "Activity",
    metadata: {
      name: activityName(key),
      ...(namespace === "" ? {} : { namespace }),
      uid: key,
      creationTimestamp: secondsOfTimestamp(timestamp),
      labels: labelsOf(parts)
    },
    spec: {
      summary: parts.rendered.text,
      changeSource: parts.changeSource,
      timestamp,
      ...(lastTimestamp === timestamp ? {} : { lastTimestamp }),
      ...(parts.count === undefined || parts.count < 2 ? {} : { count: parts.count }),
      cluster: parts.cluster,
      actor: parts.actor,
      resource,
      ...(links.length === 0 ? {} : { links }),
      tenant: { type: tenant.type, name: tenant.name },
      ...parts.ending,
      origin: { type: parts.originType, id: parts.originId },
      policy: { name: policy.name, generation: policy.generation, rule: parts.rule.name }
    }
  }
  return {
    _tag: "Matched",
    activity,
    json: JSON.stringify(activity),
    key,
    sourceVersion: parts.sourceVersion,
    subject: activitySubject(
      {
        tenantType: tenant.type,
        tenantName: tenant.name,
        apiGroup: resource.apiGroup ?? "",
        kind: resource.kind,
        namespace,
        name: resource.name
      },
      parts.originType
    ),
    mark: parts.mark,
    order: parts.order
  }
}

/** Empty texts are left out, but for kind and name. */
const resourceOf = ({
  apiGroup,
  apiVersion,
  kind,
  name,
  namespace,
  uid
}: {
  readonly apiGroup: string
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly namespace: string
  readonly uid: string
}): ActivityResource => ({
  ...(apiGroup === "" ? {} : { apiGroup }),
  ...(apiVersion === "" ? {} : { apiVersion }),
  kind,
  name,
  ...(namespace === "" ? {} : { namespace }),
  ...(uid === "" ? {} : { uid })
})

/** What Kubernetes accepts as a label's value; others are left out, the field itself is in the spec. */
const labelValuePattern = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/

const labelsOf = ({ originType, changeSource, resource, ending, policy }: Parts): Readonly<Record<string, string>> => {
  const labels: Record<string, string> = {}
  const put = (name: string, value: string): void => {
    if (labelValuePattern.test(value)) labels[name] = value
  }
  put(labelNames.originType, originType)
  put(labelNames.changeSource, changeSource)
  put(labelNames.apiGroup, resource.apiGroup ?? "")
  put(labelNames.resourceKind, resource.kind)
  put(labelNames.eventReason, ending.reason ?? "")
  put(labelNames.policyName, policy.name)
  return labels
}
