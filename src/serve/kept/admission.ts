/** What may be stored, and what the server fills in. */
import { isDeepStrictEqual } from "node:util"
import { groupName, versions } from "../../contracts/resources.ts"
import type { KeptObject, ObjectMetadata } from "../../domain/KeptObject.ts"
import type { FieldFault } from "../ApiFailure.ts"
import type { KeptKind } from "./KeptKind.ts"

const storedApiVersion = `${groupName}/${versions[0]}`

/** What the server knows at the moment of a write. */
export interface Moment {
  /** RFC 3339, whole seconds. */
  readonly now: string
  /** A new UUID. */
  readonly uid: string
}

/** An object that is about to be created. Its status is ours. */
export const createdObject = <A extends KeptObject>(kind: KeptKind<A>, sent: A, { now, uid }: Moment): A => {
  const created = {
    apiVersion: storedApiVersion,
    kind: sent.kind,
    metadata: { ...chosen(sent.metadata), name: sent.metadata.name, uid, generation: 1, creationTimestamp: now },
    spec: sent.spec
  }
  // All fields of a kind but the status.
  return kind.admitted(created as A, now)
}

/** `stored` after a write of everything but the status. The same object again changes nothing. */
export const updatedObject = <A extends KeptObject>(kind: KeptKind<A>, stored: A, sent: A, { now }: Moment): A => {
  const changed = !isDeepStrictEqual(plain(stored.spec), plain(sent.spec))
  const next: A = {
    ...stored,
    metadata: {
      ...chosen(sent.metadata),
      ...kept(stored.metadata),
      generation: (stored.metadata.generation ?? 1) + (changed ? 1 : 0)
    },
    spec: sent.spec
  }
  return changed ? kind.admitted(next, now) : next
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
export const chosen = ({ annotations, finalizers, labels, ownerReferences }: ObjectMetadata) => ({
  ...(labels === undefined ? {} : { labels }),
  ...(annotations === undefined ? {} : { annotations }),
  ...(finalizers === undefined || finalizers.length === 0 ? {} : { finalizers }),
  ...(ownerReferences === undefined || ownerReferences.length === 0 ? {} : { ownerReferences })
})

const kept = ({ creationTimestamp, deletionTimestamp, name, resourceVersion, uid }: ObjectMetadata) => ({
  name,
  ...(uid === undefined ? {} : { uid }),
  ...(resourceVersion === undefined ? {} : { resourceVersion }),
  ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
  ...(deletionTimestamp === undefined ? {} : { deletionTimestamp })
})

const nameLengthMax = 253
const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const qualifiedName = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/

/** A name, or a DNS subdomain, a slash and a name. */
export const isQualifiedName = (key: string): boolean => {
  const slash = key.indexOf("/")
  const prefix = key.slice(0, Math.max(slash, 0))
  return (
    qualifiedName.test(key.slice(slash + 1)) &&
    (slash < 0 || (prefix.length <= nameLengthMax && subdomain.test(prefix)))
  )
}
const labelValue = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/

/** Every reason to refuse it. `stored` is what it would replace. */
export const objectFaults = <A extends KeptObject>(
  kind: KeptKind<A>,
  object: A,
  stored?: A
): ReadonlyArray<FieldFault> => {
  const sizes = sizeFaults(object)
  // What is too large is not looked at any further: that is what the limits are for.
  if (sizes.length > 0) return sizes
  return [
    ...metadataFaults(object.metadata),
    ...(stored === undefined ? [] : kind.unchangeableFaults(object, stored)),
    ...kind.specFaults(object)
  ]
}

/** What no API server looks at. The rest it has refused by then. */
export const contentFaults = <A extends KeptObject>(kind: KeptKind<A>, object: A): ReadonlyArray<FieldFault> => {
  const sizes = sizeFaults(object)
  return sizes.length > 0 ? sizes : kind.specFaults(object)
}

/** Bytes of an object's JSON without its annotations, which have a limit of their own, as in Kubernetes. */
const objectSizeBytesMax = 256 * 1024
const annotationsSizeBytesMax = 256 * 1024

/** What holds for the status too. */
export const sizeFaults = (object: Pick<KeptObject, "metadata">): ReadonlyArray<FieldFault> => {
  const { annotations = {}, ...metadata } = object.metadata
  const sizeBytes = Buffer.byteLength(JSON.stringify({ ...object, metadata }))
  const annotationsSizeBytes = Object.entries(annotations).reduce(
    (sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(value),
    0
  )
  return [
    ...(sizeBytes <= objectSizeBytesMax
      ? []
      : [
          {
            field: "",
            reason: "FieldValueInvalid",
            message: `Too long: the object is too large: its JSON has ${sizeBytes} bytes without annotations, at most ${objectSizeBytesMax} are allowed`
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

export const metadataFaults = (metadata: ObjectMetadata): ReadonlyArray<FieldFault> => {
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
