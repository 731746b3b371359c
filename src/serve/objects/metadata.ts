/** The metadata of an object that is written, whoever keeps it: what the client may say, and what the server fills in. */
import { Clock, Effect } from "effect"
import { randomUUID } from "node:crypto"
import { secondsTimestampText } from "../../domain/instant.ts"
import type { KeptObject, ObjectMetadata } from "../../domain/KeptObject.ts"
import type { FieldFault } from "../ApiFailure.ts"

/** What the server knows at the moment of a write. */
export interface Moment {
  /** RFC 3339, whole seconds. */
  readonly now: string
  /** A new UUID. */
  readonly uid: string
}

export const currentMoment = Effect.map(Clock.currentTimeMillis, (millis) => ({
  now: secondsTimestampText(BigInt(millis) * 1000n),
  uid: randomUUID()
}))

/** What a client may set. Nobody tracks fields here, so managedFields are not kept. */
export const chosen = ({ annotations, finalizers, labels, ownerReferences }: ObjectMetadata) => ({
  ...(labels === undefined ? {} : { labels }),
  ...(annotations === undefined ? {} : { annotations }),
  ...(finalizers === undefined || finalizers.length === 0 ? {} : { finalizers }),
  ...(ownerReferences === undefined || ownerReferences.length === 0 ? {} : { ownerReferences })
})

/** With a name, made from generateName where there is none. @param uid which nothing else has */
export const named = <A extends { readonly metadata: { readonly name: string; readonly generateName?: string } }>(
  object: A,
  uid: string
): A => {
  const { generateName = "", name } = object.metadata
  return name !== "" || generateName === ""
    ? object
    : { ...object, metadata: { ...object.metadata, name: generatedName(generateName, uid) } }
}

const generatedNameLetters = "bcdfghjklmnpqrstvwxz2456789"

/** Beginnings of names are cut, as in Kubernetes, so that names stay labels. */
const generatedLengthMax = 58

const generatedName = (beginning: string, uid: string): string => {
  const letters = Array.from(Buffer.from(uid.replaceAll("-", ""), "hex").subarray(0, 5), (byte) =>
    generatedNameLetters.charAt(byte % generatedNameLetters.length)
  )
  return `${beginning.slice(0, generatedLengthMax)}${letters.join("")}`
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
