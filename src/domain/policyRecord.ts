/**
 * How a cluster keeps an ActivityPolicy: as an ActivityPolicyRecord of a group of its own, with the same metadata, spec
 * and status. Both versions of an ActivityPolicy are one stored version.
 *
 * Only what is named by structure is rewritten: apiVersion, kind, the apiVersion of each managedFields entry, and the
 * beginning of the annotation in which kubectl keeps what it applied.
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
  metadata: metadataAs(metadata, apiVersion, "ActivityPolicy"),
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
  ...(policy.metadata === undefined
    ? {}
    : { metadata: metadataAs(policy.metadata, policyRecords.apiVersion, policyRecords.kind) }),
  ...(policy.spec === undefined ? {} : { spec: withRuleNames(policy.spec) })
})

/** Every managedFields entry is about the object, in whichever version it was written; so is what kubectl applied. */
const metadataAs = (metadata: PolicyMetadata, apiVersion: string, kind: string): PolicyMetadata => {
  const { annotations, managedFields } = metadata
  const applied = annotations?.[appliedAnnotation]
  return {
    ...metadata,
    ...(managedFields === undefined
      ? {}
      : {
          managedFields: managedFields.map((entry) =>
            typeof entry === "object" && entry !== null && "apiVersion" in entry ? { ...entry, apiVersion } : entry
          )
        }),
    ...(applied === undefined
      ? {}
      : { annotations: { ...annotations, [appliedAnnotation]: appliedAs(applied, apiVersion, kind) } })
  }
}

/**
 * What kubectl applied, kept to know later which fields went. kubectl writes it, and after a server-side apply of kubectl's
 * the API server, with what it was sent; then kubectl sends it back, and whoever finds it changed has a conflict. So it is
 * rewritten both ways, and only at its beginning.
 */
const appliedAnnotation = "kubectl.kubernetes.io/last-applied-configuration"

/** Go writes keys in order. */
const appliedBeginning =
  /^\{"apiVersion":"(?:activity\.miloapis\.com\/v1(?:alpha1)?|storage\.activity\.miloapis\.com\/v1alpha1)","kind":"ActivityPolicy(?:Record)?",/

const appliedAs = (text: string, apiVersion: string, kind: string): string =>
  text.replace(appliedBeginning, () => `{"apiVersion":"${apiVersion}","kind":"${kind}",`)

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
