/**
 * How a cluster keeps an object of ours: as a record of a group of its own, with the same metadata, spec and status. Both
 * versions of an object are one stored version.
 *
 * Only what is named by structure is rewritten: apiVersion, kind, the apiVersion of each managedFields entry, and the
 * beginning of the annotation in which kubectl keeps what it applied.
 *
 * @decision 0010-policy-records
 */
import type { KeptObject, ObjectMetadata } from "./KeptObject.ts"

/** Of everything that a cluster keeps for us. What happens to it is never an activity. */
export const storageGroup = "storage.activity.miloapis.com"

const version = "v1alpha1"

/** As it is kept. What a cluster's API server sends has no closer type. */
export interface KeptRecord<A extends KeptObject> {
  readonly metadata: ObjectMetadata
  readonly spec?: A["spec"]
  readonly status?: A["status"]
}

/** A record that is sent to be written, or a part of one. */
export interface WrittenRecord extends Partial<KeptRecord<KeptObject>> {
  readonly apiVersion: string
  readonly kind: string
}

/** The records of one kind of objects. */
export interface RecordKind<A extends KeptObject> {
  readonly group: string
  readonly version: string
  readonly apiVersion: string
  readonly kind: string
  readonly plural: string
  readonly singular: string
  /** Of the collection, at the cluster's API server. */
  readonly path: string
  /** Of the definition. */
  readonly definitionName: string
  /** @param apiVersion the one that the reader asked for */
  readonly objectFrom: (record: KeptRecord<A>, apiVersion: string) => A
  /** Whatever a client sent: a part of an object becomes that part of a record. */
  readonly recordFrom: (object: Partial<A>) => WrittenRecord
}

interface RecordParts<A extends KeptObject> {
  /** The kind of the objects; that of their records has `Record` behind it. */
  readonly kind: A["kind"]
  /** Where a record has none. */
  readonly specOtherwise: A["spec"]
  /** What has to be filled in before it is kept. */
  readonly specKept?: (spec: NonNullable<A["spec"]>) => NonNullable<A["spec"]>
}

export const recordKind = <A extends KeptObject>({ kind, specKept, specOtherwise }: RecordParts<A>): RecordKind<A> => {
  const recordsKind = `${kind}Record`
  const singular = recordsKind.toLowerCase()
  const plural = `${singular}s`
  const apiVersion = `${storageGroup}/${version}`
  return {
    group: storageGroup,
    version,
    apiVersion,
    kind: recordsKind,
    plural,
    singular,
    path: `/apis/${apiVersion}/${plural}`,
    definitionName: `${plural}.${storageGroup}`,
    objectFrom: ({ metadata, spec, status }, asked) => {
      const object = {
        apiVersion: asked,
        kind,
        metadata: metadataAs(metadata, asked, kind, kind),
        spec: spec ?? specOtherwise,
        ...(status === undefined ? {} : { status })
      }
      // What its definition lets be kept is the kind's own.
      return object as unknown as A
    },
    recordFrom: ({ metadata, spec, ...object }) => ({
      ...object,
      apiVersion,
      kind: recordsKind,
      ...(metadata === undefined ? {} : { metadata: metadataAs(metadata, apiVersion, recordsKind, kind) }),
      ...(spec === undefined || spec === null ? {} : { spec: specKept === undefined ? spec : specKept(spec) })
    })
  }
}

/** Every managedFields entry is about the object, in whichever version it was written; so is what kubectl applied. */
const metadataAs = (metadata: ObjectMetadata, apiVersion: string, kind: string, objectKind: string): ObjectMetadata => {
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
      : { annotations: { ...annotations, [appliedAnnotation]: appliedAs(applied, apiVersion, kind, objectKind) } })
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
  /^\{"apiVersion":"(?:activity\.miloapis\.com\/v1(?:alpha1)?|storage\.activity\.miloapis\.com\/v1alpha1)","kind":"([A-Za-z]+)",/

const appliedAs = (text: string, apiVersion: string, kind: string, objectKind: string): string =>
  text.replace(appliedBeginning, (found, applied: string) =>
    applied === objectKind || applied === `${objectKind}Record`
      ? `{"apiVersion":"${apiVersion}","kind":"${kind}",`
      : found
  )
