/** What becomes of an Event that a client writes: what the server fills in, and the form in which it is stored. */
import type { Result } from "effect"
import { type JsonObject, objectAt, textAt } from "../../domain/AuditRecord.ts"
import type { KubernetesEvent } from "../../domain/KubernetesEvent.ts"
import type { Tenant } from "../../domain/Tenant.ts"
import { kubernetesEventFrom } from "../../normalise/kubernetesEventFrom.ts"
import type { Unreadable } from "../../normalise/Unreadable.ts"
import { chosen, type Moment } from "../objects/metadata.ts"
import type { EventMetadata, SentEvent } from "./eventBody.ts"

/** An Event as it is now. */
export interface StandingEvent {
  /** As it is stored. */
  readonly event: JsonObject
  readonly sequence: number
  readonly cluster: string
  /** At its source; 0 of those that were created here. */
  readonly order: bigint
}

export interface EventOwner {
  readonly cluster: string
  readonly tenant: Tenant
  readonly namespace: string
}

type Read = Result.Result<KubernetesEvent, Unreadable>

/** @param sent with its name */
export const createdEvent = (sent: SentEvent, owner: EventOwner, { now, uid }: Moment): Read => {
  const { generateName = "", name } = sent.metadata
  return normalised(
    {
      ...chosen(sent.metadata),
      ...(generateName === "" ? {} : { generateName }),
      name,
      namespace: owner.namespace,
      uid,
      creationTimestamp: now,
      resourceVersion: nextWrite("")
    },
    sent.fields,
    { ...owner, order: 0n }
  )
}

/** Its order stays: the next sight that its cluster tells is newer. */
export const updatedEvent = (standing: StandingEvent, sent: SentEvent, tenant: Tenant): Read =>
  normalised({ ...keptMetadata(standing.event), ...chosen(sent.metadata) }, sent.fields, { ...standing, tenant })

/** The same Event, with that in its metadata. */
export const markedEvent = (standing: StandingEvent, metadata: Partial<EventMetadata>, tenant: Tenant): Read => {
  const { apiVersion: _, kind: __, metadata: before, ...fields } = standing.event
  const read = { ...objectAt({ before }, "before"), ...keptMetadata(standing.event), ...metadata }
  return normalised(read, fields, { ...standing, tenant })
}

const keptFields = ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "generateName"]

const keptMetadata = ({ metadata }: JsonObject) => ({
  ...Object.fromEntries(
    keptFields.flatMap((name) => (textAt(metadata, name) === "" ? [] : [[name, textAt(metadata, name)]]))
  ),
  resourceVersion: nextWrite(textAt(metadata, "resourceVersion"))
})

/**
 * What a stored Event says of its version: its cluster's, and how often it was written here since, as `1234.2`. So no two
 * sights of it are one, whatever is written, and it is told anew.
 */
const nextWrite = (resourceVersion: string): string => {
  const [told = "", times = "0"] = resourceVersion.split(".")
  return `${told === "" ? "0" : told}.${Number(times) + 1}`
}

const normalised = (
  metadata: object,
  fields: JsonObject,
  { cluster, order, tenant }: { readonly cluster: string; readonly order: bigint; readonly tenant: Tenant }
): Read =>
  kubernetesEventFrom(
    // Metadata has the shape that the schema says.
    { apiVersion: "events.k8s.io/v1", kind: "Event", metadata: metadata as JsonObject, ...fields },
    { cluster, tenant, order: order.toString() }
  )
