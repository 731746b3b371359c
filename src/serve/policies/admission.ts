/** What may be stored as an ActivityPolicy, and what the server fills in. */
import { isDeepStrictEqual } from "node:util"
import type { ActivityPolicy, PolicyMetadata } from "../../domain/ActivityPolicy.ts"
import { type PolicyProblem, policyProblems } from "../../process/Preview.ts"
import { groupName, versions } from "../../contracts/resources.ts"
import type { FieldFault } from "../ApiFailure.ts"
import { readyCondition } from "./readyCondition.ts"

const storedApiVersion = `${groupName}/${versions[0]}`

/** What the server knows at the moment of a write. */
export interface Moment {
  /** RFC 3339, whole seconds. */
  readonly now: string
  /** A new UUID. */
  readonly uid: string
}

/** A policy that is about to be created. Its status is ours. */
export const createdPolicy = (policy: ActivityPolicy, { now, uid }: Moment): ActivityPolicy =>
  withReady(
    {
      apiVersion: storedApiVersion,
      kind: "ActivityPolicy",
      metadata: { ...chosen(policy.metadata), name: policy.metadata.name, uid, generation: 1, creationTimestamp: now },
      spec: policy.spec
    },
    now
  )

/** `stored` after a write of everything but the status. The same object again changes nothing. */
export const updatedPolicy = (stored: ActivityPolicy, sent: ActivityPolicy, { now }: Moment): ActivityPolicy => {
  const changed = !isDeepStrictEqual(plain(stored.spec), plain(sent.spec))
  const next: ActivityPolicy = {
    ...stored,
    metadata: {
      ...chosen(sent.metadata),
      ...kept(stored.metadata),
      generation: (stored.metadata.generation ?? 1) + (changed ? 1 : 0)
    },
    spec: sent.spec
  }
  return changed ? withReady(next, now) : next
}

/** `stored` with the status that was sent. */
export const withStatus = <A extends { readonly status?: unknown }>(stored: A, sent: A): A => {
  const { status: _, ...rest } = stored
  // The same object with another status.
  return (sent.status === undefined ? rest : { ...rest, status: sent.status }) as A
}

export const isSame = (one: object, other: object): boolean => isDeepStrictEqual(plain(one), plain(other))

/** Without fields that are undefined. */
export const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

/** What a client may set. Nobody tracks fields here, so managedFields are not kept. */
export const chosen = ({ annotations, finalizers, labels, ownerReferences }: PolicyMetadata) => ({
  ...(labels === undefined ? {} : { labels }),
  ...(annotations === undefined ? {} : { annotations }),
  ...(finalizers === undefined || finalizers.length === 0 ? {} : { finalizers }),
  ...(ownerReferences === undefined || ownerReferences.length === 0 ? {} : { ownerReferences })
})

export const kept = ({ creationTimestamp, deletionTimestamp, name, resourceVersion, uid }: PolicyMetadata) => ({
  name,
  ...(uid === undefined ? {} : { uid }),
  ...(resourceVersion === undefined ? {} : { resourceVersion }),
  ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
  ...(deletionTimestamp === undefined ? {} : { deletionTimestamp })
})

/** It compiled, or it would not be here. */
const withReady = (policy: ActivityPolicy, now: string): ActivityPolicy => {
  const observedGeneration = policy.metadata.generation ?? 1
  const others = policy.status?.conditions ?? []
  const before = others.find(({ type }) => type === "Ready")
  return {
    ...policy,
    status: {
      conditions: [
        ...others.filter(({ type }) => type !== "Ready"),
        readyCondition(before?.status === "True" ? before.lastTransitionTime : now, observedGeneration)
      ],
      observedGeneration
    }
  }
}

const nameLengthMax = 253
const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const qualifiedName = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/

/** A name, or a DNS subdomain, a slash and a name. */
const isQualifiedName = (key: string): boolean => {
  const slash = key.indexOf("/")
  const prefix = key.slice(0, Math.max(slash, 0))
  return (
    qualifiedName.test(key.slice(slash + 1)) &&
    (slash < 0 || (prefix.length <= nameLengthMax && subdomain.test(prefix)))
  )
}
const labelValue = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/

/** Every reason to refuse the policy. `stored` is what it would replace. */
export const policyFaults = (policy: ActivityPolicy, stored?: ActivityPolicy): ReadonlyArray<FieldFault> => {
  const sizes = sizeFaults(policy)
  // What is too large is not looked at any further: that is what the limits are for.
  if (sizes.length > 0) return sizes
  return [
    ...metadataFaults(policy.metadata),
    ...(stored === undefined ? [] : immutableFaults(policy, stored)),
    ...policyProblems(policy).map((problem) => faultFrom(problem, policy))
  ]
}

/** What no API server looks at: whether every expression compiles. The rest it has refused by then. */
export const ruleFaults = (policy: ActivityPolicy): ReadonlyArray<FieldFault> => {
  const sizes = sizeFaults(policy)
  return sizes.length > 0 ? sizes : policyProblems(policy).map((problem) => faultFrom(problem, policy))
}

/** Bytes of the policy's JSON without its annotations, which have a limit of their own, as in Kubernetes. */
const policySizeBytesMax = 256 * 1024
const annotationsSizeBytesMax = 256 * 1024

/** What holds for the status too. */
export const sizeFaults = (policy: Pick<ActivityPolicy, "metadata">): ReadonlyArray<FieldFault> => {
  const { annotations = {}, ...metadata } = policy.metadata
  const sizeBytes = Buffer.byteLength(JSON.stringify({ ...policy, metadata }))
  const annotationsSizeBytes = Object.entries(annotations).reduce(
    (sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(value),
    0
  )
  return [
    ...(sizeBytes <= policySizeBytesMax
      ? []
      : [
          {
            field: "",
            reason: "FieldValueInvalid",
            message: `Too long: the policy is too large: its JSON has ${sizeBytes} bytes without annotations, at most ${policySizeBytesMax} are allowed`
          } as const
        ]),
    ...(annotationsSizeBytes <= annotationsSizeBytesMax
      ? []
      : [
          {
            field: "metadata.annotations",
            reason: "FieldValueInvalid",
            message: `Too long: may not be more than ${annotationsSizeBytesMax} bytes`
          } as const
        ])
  ]
}

export const metadataFaults = (metadata: PolicyMetadata): ReadonlyArray<FieldFault> => {
  const faults: Array<FieldFault> = []
  const refuse = (field: string, value: string, message: string): void =>
    void faults.push({
      field,
      reason: "FieldValueInvalid",
      message: `Invalid value: ${JSON.stringify(value)}: ${message}`
    })
  if (metadata.name === "") {
    faults.push({
      field: "metadata.name",
      reason: "FieldValueRequired",
      message: "Required value: name or generateName is required"
    })
  } else if (metadata.name.length > nameLengthMax || !subdomain.test(metadata.name)) {
    refuse(
      "metadata.name",
      metadata.name,
      "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character"
    )
  }
  for (const [key, value] of Object.entries(metadata.labels ?? {})) {
    if (!isQualifiedName(key))
      refuse(
        "metadata.labels",
        key,
        "a label's key is a name of at most 63 characters, with an optional DNS prefix and '/'"
      )
    if (!labelValue.test(value))
      refuse("metadata.labels", value, "a label's value has at most 63 letters, digits, '-', '_' or '.'")
  }
  for (const key of Object.keys(metadata.annotations ?? {})) {
    if (!isQualifiedName(key))
      refuse(
        "metadata.annotations",
        key,
        "an annotation's key is a name of at most 63 characters, with an optional DNS prefix and '/'"
      )
  }
  return faults
}

export const immutableFaults = (policy: ActivityPolicy, stored: ActivityPolicy): ReadonlyArray<FieldFault> =>
  (["apiGroup", "kind"] as const).flatMap((field) => {
    const now = policy.spec.resource?.[field] ?? ""
    return now === (stored.spec.resource[field] ?? "")
      ? []
      : [
          {
            field: `spec.resource.${field}`,
            reason: "FieldValueInvalid",
            message: `Invalid value: ${JSON.stringify(now)}: field is immutable`
          } as const
        ]
  })

const faultFrom = (problem: PolicyProblem, policy: ActivityPolicy): FieldFault => {
  const place = [
    ...(problem.rule === undefined || problem.rule === "" ? [] : [`rule ${JSON.stringify(problem.rule)}`]),
    ...(problem.line === undefined ? [] : [`line ${problem.line}, column ${problem.column ?? 1}`])
  ].join(", ")
  const value = valueAt(policy, problem.field)
  const shown = typeof value === "string" && value.length > 300 ? `${value.slice(0, 300)}…` : value
  return value === undefined || value === ""
    ? {
        field: problem.field,
        reason: "FieldValueRequired",
        message: `Required value: ${place === "" ? "" : `${place}: `}${problem.message}`
      }
    : {
        field: problem.field,
        reason: "FieldValueInvalid",
        message: `Invalid value: ${JSON.stringify(shown)}: ${place === "" ? "" : `${place}: `}${problem.message}`
      }
}

/** What stands at `spec.auditRules[0].match`. */
const valueAt = (policy: ActivityPolicy, path: string): unknown =>
  path
    .split(/[.[\]]+/)
    .filter((part) => part !== "")
    .reduce<unknown>(
      (value, part) =>
        typeof value === "object" && value !== null && Object.hasOwn(value, part)
          ? // The line above says that it has it.
            (value as Readonly<Record<string, unknown>>)[part]
          : undefined,
      policy
    )
