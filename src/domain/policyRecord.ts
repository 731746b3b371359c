/**
 * How a cluster keeps an ActivityPolicy: as an ActivityPolicyRecord of a group of its own, with the same metadata, spec
 * and status. Both versions of an ActivityPolicy are one stored version.
 *
 * Only what is named by structure is rewritten: apiVersion, kind, and the apiVersion of each managedFields entry.
 *
 * @decision 0010-policy-records
 */
import type { ActivityPolicy, ActivityPolicySpec, PolicyMetadata, PolicyRule } from "./ActivityPolicy.ts"

/** Of everything that a cluster keeps for us. What happens to it is never an activity. */
export const storageGroup = "storage.activity.miloapis.com"

const version = "v1alpha1"

export const policyRecords = {
  group: storageGroup,
  version,
  apiVersion: `${storageGroup}/${version}`,
  kind: "ActivityPolicyRecord",
  plural: "activitypolicyrecords",
  singular: "activitypolicyrecord",
  /** Of the collection, at the cluster's API server. */
  path: `/apis/${storageGroup}/${version}/activitypolicyrecords`
} as const

/** As it is kept. What a cluster's API server sends has no closer type. */
export interface PolicyRecord {
  readonly metadata: PolicyMetadata
  readonly spec?: ActivityPolicySpec
  readonly status?: ActivityPolicy["status"]
}

/** @param apiVersion the one that the reader asked for */
export const policyFromRecord = ({ metadata, spec, status }: PolicyRecord, apiVersion: string): ActivityPolicy => ({
  apiVersion,
  kind: "ActivityPolicy",
  metadata: withManagedVersion(metadata, apiVersion),
  spec: spec ?? { resource: { apiGroup: "", kind: "" } },
  ...(status === undefined ? {} : { status })
})

/** A record that is sent to be written, or a part of one. */
export interface WrittenRecord extends Partial<PolicyRecord> {
  readonly apiVersion: string
  readonly kind: string
}

/** Whatever a client sent: a part of a policy becomes that part of a record. */
export const recordFromPolicy = (policy: Partial<ActivityPolicy>): WrittenRecord => ({
  ...policy,
  apiVersion: policyRecords.apiVersion,
  kind: policyRecords.kind,
  ...(policy.metadata === undefined ? {} : { metadata: withManagedVersion(policy.metadata, policyRecords.apiVersion) }),
  ...(policy.spec === undefined ? {} : { spec: withRuleNames(policy.spec) })
})

/** Every entry is about an ActivityPolicy, in whichever of its versions it was written. */
const withManagedVersion = (metadata: PolicyMetadata, apiVersion: string): PolicyMetadata =>
  metadata.managedFields === undefined
    ? metadata
    : {
        ...metadata,
        managedFields: metadata.managedFields.map((entry) =>
          typeof entry === "object" && entry !== null && "apiVersion" in entry ? { ...entry, apiVersion } : entry
        )
      }

/**
 * Every rule with a name, because a record's rules are told apart by it: `audit-0`, `event-3`, counted as they stand in
 * the list that was sent; where another rule has that name, the next number that is free.
 */
export const withRuleNames = (spec: ActivityPolicySpec): ActivityPolicySpec => ({
  ...spec,
  ...(spec.auditRules === undefined ? {} : { auditRules: named(spec.auditRules, "audit") }),
  ...(spec.eventRules === undefined ? {} : { eventRules: named(spec.eventRules, "event") })
})

const named = (rules: ReadonlyArray<PolicyRule>, prefix: string): ReadonlyArray<PolicyRule> => {
  const taken = new Set(rules.flatMap(({ name }) => (name === undefined || name === "" ? [] : [name])))
  return rules.map((rule, index) => {
    if (rule.name !== undefined && rule.name !== "") return rule
    let number = index
    while (taken.has(`${prefix}-${number}`)) number++
    taken.add(`${prefix}-${number}`)
    return { ...rule, name: `${prefix}-${number}` }
  })
}
