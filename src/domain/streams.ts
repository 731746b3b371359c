/** The streams: what they hold, who must have read a message before it may go. */
export interface StreamDefinition {
  readonly name: string
  readonly subjects: ReadonlyArray<string>
  /** Durable consumers whose lowest ack floor bounds trimming. None: messages stay until they are deleted by sequence. */
  readonly requiredConsumers: ReadonlyArray<string>
  /** Reserved by the server at creation. */
  readonly sizeBytesMax: number
}

const mebibyte = 1024 * 1024

export const auditEvents: StreamDefinition = {
  name: "AUDIT_EVENTS",
  subjects: ["audit.k8s.>"],
  requiredConsumers: ["writer", "processor"],
  sizeBytesMax: 1024 * mebibyte
}

export const miloEvents: StreamDefinition = {
  name: "MILO_EVENTS",
  subjects: ["events.>"],
  requiredConsumers: ["writer", "processor"],
  sizeBytesMax: 512 * mebibyte
}

export const activities: StreamDefinition = {
  name: "ACTIVITIES",
  subjects: ["activities.>"],
  requiredConsumers: ["writer"],
  sizeBytesMax: 512 * mebibyte
}

export const deadLetters: StreamDefinition = {
  name: "DEAD_LETTERS",
  subjects: ["dead.>"],
  requiredConsumers: [],
  sizeBytesMax: 256 * mebibyte
}

export const allStreams: ReadonlyArray<StreamDefinition> = [auditEvents, miloEvents, activities, deadLetters]

/** Headers of our messages. Names are compared as written. */
export const headerNames = {
  /** The cluster that a fact comes from. */
  cluster: "Activity-Cluster",
  /** `TYPE/NAME`, each percent-encoded, on MILO_EVENTS and ACTIVITIES. */
  tenant: "Activity-Tenant",
  /** An Event's key, which its message's id does not tell, on MILO_EVENTS. */
  key: "Activity-Key",
  /** `added`, `modified` or `deleted`. */
  mark: "Activity-Mark",
  /** The order at the source, a decimal number: an Event's resourceVersion (and more where those went back), `0` for an audit record. */
  order: "Activity-Order",
  /** The trace that a fact is part of, on what is traced alone (decision 0030-tracing). */
  trace: "traceparent",
  /** Dead letters: why, by which policy and rule, how often tried, where the fact came from. */
  cause: "Activity-Cause",
  policy: "Activity-Policy",
  generation: "Activity-Policy-Generation",
  rule: "Activity-Rule",
  attempts: "Activity-Attempts",
  /** `<stream>:<sequence>` of the message that the dead letter was. */
  position: "Activity-Position",
  /** Dead letters: that somebody wants it tried at once. */
  redriven: "Activity-Redriven",
  /** In place of a dead letter, without its body, until both are deleted: somebody discarded it. */
  discarded: "Activity-Discarded"
} as const

export type Mark = "added" | "modified" | "deleted"

/**
 * In place of a mark, on a message of MILO_EVENTS without a body: it is no fact, and passed over by all who read facts.
 * The next write of an Event follows it (decision 0026-events-writes).
 */
export const anchorMark = "anchor"
