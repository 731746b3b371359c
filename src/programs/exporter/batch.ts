/**
 * What becomes of one step of the watch, decided without I/O: messages to publish, and what is known afterwards.
 */
import { Result } from "effect"
import type { Followed } from "../../clients/kube/follow.ts"
import type { KubeObject } from "../../clients/kube/Kube.ts"
import type { OutgoingMessage } from "../../clients/nats/Nats.ts"
import { type JsonObject, textAt } from "../../domain/AuditRecord.ts"
import { uuidFrom } from "../../domain/identity.ts"
import { microsecondsFrom } from "../../domain/instant.ts"
import type { KubernetesEvent } from "../../domain/KubernetesEvent.ts"
import { headerNames, miloEvents } from "../../domain/streams.ts"
import { deadLetterSubject } from "../../domain/subject.ts"
import type { Tenant } from "../../domain/Tenant.ts"
import { kubernetesEventFrom, kubernetesEventFromText } from "../../normalise/kubernetesEventFrom.ts"
import type { Redaction } from "../../normalise/redaction.ts"
import type { SightChange, Sights } from "../../sources/exporter/Sights.ts"
import { eventMessage } from "../eventMessage.ts"

export interface BatchOptions {
  readonly cluster: string
  readonly defaultTenant: Tenant
  /** What the bus takes in one message, headers included. */
  readonly messageSizeBytesMax: number
  readonly redaction: Redaction
  readonly sights: Sights
  /** @see Position */
  readonly orderOffset: bigint
  /** Of every namespace that {@link namespacesIn} names. */
  readonly tenantOf: (namespace: string) => Tenant
}

export interface Batch {
  readonly messages: ReadonlyArray<OutgoingMessage>
  readonly deadLetters: ReadonlyArray<OutgoingMessage>
  /** What to settle when all of them are in the bus. */
  readonly sights: ReadonlyArray<SightChange>
  /** The watch's position behind this step; undefined where there is none. */
  readonly resourceVersion: string | undefined
  /** From this step on; undefined where it stays as it is. */
  readonly orderOffset: bigint | undefined
  readonly received: number
  /** Seen before in this form. */
  readonly unchanged: number
  /** The ends of Events, which are no facts. */
  readonly deleted: number
  readonly redacted: number
  /** When the newest of them was seen by its reporter, microseconds since 1970; undefined for lists, which hold old ones. */
  readonly lastSeen: bigint | undefined
}

const emptyBatch: Batch = {
  messages: [],
  deadLetters: [],
  sights: [],
  resourceVersion: undefined,
  orderOffset: undefined,
  received: 0,
  unchanged: 0,
  deleted: 0,
  redacted: 0,
  lastSeen: undefined
}

const overheadBytes = 8 * 1024

/** Namespaces of Events that are seen for the first time in this step, and the resourceVersions of those Events. */
export const namespacesIn = (followed: Followed, sights: Sights): ReadonlyMap<string, ReadonlyArray<string>> => {
  const objects =
    followed._tag === "Page"
      ? followed.objects
      : followed._tag === "Changes"
        ? followed.changes.map(({ object }) => object)
        : []
  const found = new Map<string, Array<string>>()
  for (const { metadata } of objects) {
    if (sights.last(metadata.uid ?? "") !== undefined) continue
    const namespace = metadata.namespace ?? ""
    const versions = found.get(namespace) ?? []
    versions.push(metadata.resourceVersion ?? "")
    found.set(namespace, versions)
  }
  return found
}

export const batchFrom = (followed: Followed, options: BatchOptions): Batch => {
  switch (followed._tag) {
    case "Listing":
      options.sights.listing()
      return { ...emptyBatch }
    case "WentBack":
      return { ...emptyBatch, orderOffset: orderOffsetBehind(followed.from, options.orderOffset) }
    case "Page":
      for (const { metadata } of followed.objects) options.sights.isListed(metadata.uid ?? "")
      return stepOf(followed.objects, new Set(), undefined, options)
    case "Listed":
      return { ...emptyBatch, sights: options.sights.listedAll(), resourceVersion: followed.resourceVersion }
    case "Changes": {
      const gone = new Set(followed.changes.filter(({ type }) => type === "DELETED").map(({ object }) => object))
      return stepOf(
        followed.changes.map(({ object }) => object),
        gone,
        followed.resourceVersion,
        options
      )
    }
    case "Position":
      return { ...emptyBatch, resourceVersion: followed.resourceVersion }
  }
}

const stepOf = (
  objects: ReadonlyArray<KubeObject>,
  gone: ReadonlySet<KubeObject>,
  resourceVersion: string | undefined,
  options: BatchOptions
): Batch => {
  const { cluster, orderOffset, sights } = options
  const messages: Array<OutgoingMessage> = []
  const deadLetters: Array<OutgoingMessage> = []
  const changes: Array<SightChange> = []
  let unchanged = 0
  let deleted = 0
  let redacted = 0
  let lastSeen: bigint | undefined = undefined
  const note = (change: SightChange) => {
    sights.note(change)
    changes.push(change)
  }
  for (const object of objects) {
    const uid = object.metadata.uid ?? ""
    const seenAt = object.metadata.resourceVersion ?? ""
    const before = sights.last(uid)
    if (gone.has(object)) {
      deleted++
      if (before !== undefined) note({ uid, resourceVersion: undefined })
      continue
    }
    if (sights.isPublished(uid, seenAt)) {
      unchanged++
      continue
    }
    // Whose it is was decided when it was seen first.
    const tenant = before?.tenant ?? options.tenantOf(object.metadata.namespace ?? "")
    const outcome = readEvent(object, tenant, options)
    if (Result.isFailure(outcome)) {
      deadLetters.push(outcome.failure)
    } else {
      const { event, places } = outcome.success
      redacted += places
      if (resourceVersion !== undefined) lastSeen = microsecondsFrom(event.lastSeen) ?? lastSeen
      const ordered = { ...event, order: event.order + orderOffset }
      const message = eventMessage(ordered, before === undefined ? "added" : "modified")
      if (message.body.length + overheadBytes <= options.messageSizeBytesMax) messages.push(message)
      else deadLetters.push(letterOf(object, "it is larger than a message may be", options))
    }
    if (uid !== "") note({ uid, resourceVersion: seenAt, tenant })
  }
  return {
    messages,
    deadLetters,
    sights: changes,
    resourceVersion,
    orderOffset: undefined,
    received: objects.length,
    unchanged,
    deleted,
    redacted,
    lastSeen
  }

  function readEvent(object: KubeObject, tenant: Tenant, { redaction }: BatchOptions) {
    return Result.match(kubernetesEventFrom(jsonOf(object), { cluster, tenant }), {
      onFailure: ({ field, reason }) =>
        Result.fail(letterOf(object, `${field === "" ? "" : `${field}: `}${reason}`, options)),
      onSuccess: (event) => {
        const { count, text } = redaction.object(event.json, eventsResource)
        if (count === 0) return Result.succeed({ event, places: 0 })
        // What was an Event is one without its secrets.
        return Result.match(kubernetesEventFromText(text, { cluster, tenant }), {
          onFailure: ({ reason }) => Result.fail(letterOf(object, reason, options)),
          onSuccess: (clean): Result.Result<{ event: KubernetesEvent; places: number }, OutgoingMessage> =>
            Result.succeed({ event: clean, places: count })
        })
      }
    })
  }
}

/** Whatever comes has a higher order than all that came with a position up to `from`. */
const orderOffsetBehind = (from: string, orderOffset: bigint): bigint =>
  orderOffset + (/^\d{1,18}$/.test(from) ? BigInt(from) : 0n)

const eventsResource = { apiGroup: "events.k8s.io", resource: "events" } as const

/** It was parsed from JSON. */
const jsonOf = (object: KubeObject): JsonObject => object as unknown as JsonObject

/** What cannot be read is kept as it came, without its secrets, as far as it fits a message. */
const letterOf = (object: KubeObject, cause: string, options: BatchOptions): OutgoingMessage => {
  const text = options.redaction.object(JSON.stringify(object), eventsResource).text
  const body = Buffer.from(text)
  const metadata = jsonOf(object)["metadata"]
  return {
    subject: deadLetterSubject(miloEvents.name, "exporter", "unreadable", ""),
    id: uuidFrom("dead", options.cluster, textAt(metadata, "uid"), textAt(metadata, "resourceVersion"), text),
    body: body.subarray(0, options.messageSizeBytesMax - overheadBytes),
    headers: {
      [headerNames.cluster]: options.cluster,
      [headerNames.cause]: cause,
      [headerNames.attempts]: "1"
    }
  }
}
