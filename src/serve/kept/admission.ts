/** What may be stored, and what the server fills in. */
import { isDeepStrictEqual } from "node:util"
import { groupName, versions } from "../../contracts/resources.ts"
import type { KeptObject, ObjectMetadata } from "../../domain/KeptObject.ts"
import type { FieldFault } from "../ApiFailure.ts"
import { chosen, metadataFaults, type Moment, sizeFaults } from "../objects/metadata.ts"
import type { KeptKind } from "./KeptKind.ts"

const storedApiVersion = `${groupName}/${versions[0]}`

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

const kept = ({ creationTimestamp, deletionTimestamp, name, resourceVersion, uid }: ObjectMetadata) => ({
  name,
  ...(uid === undefined ? {} : { uid }),
  ...(resourceVersion === undefined ? {} : { resourceVersion }),
  ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
  ...(deletionTimestamp === undefined ? {} : { deletionTimestamp })
})

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
