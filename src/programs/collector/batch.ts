/**
 * What becomes of one webhook batch, decided without I/O: messages to publish, records left out, records that cannot
 * be read.
 */
import { Result } from "effect"
import type { OutgoingMessage } from "../../clients/nats/Nats.ts"
import type { AuditRecord } from "../../domain/AuditRecord.ts"
import { uuidFrom } from "../../domain/identity.ts"
import { auditEvents, headerNames } from "../../domain/streams.ts"
import { auditSubject, deadLetterSubject } from "../../domain/subject.ts"
import type { Tenant } from "../../domain/Tenant.ts"
import { auditRecordFrom } from "../../normalise/auditRecordFrom.ts"

export interface BatchOptions {
  readonly cluster: string
  readonly defaultTenant: Tenant
  /** Stages that are kept. */
  readonly stages: ReadonlySet<string>
  /** What the bus takes in one message, headers included. */
  readonly messageSizeBytesMax: number
}

export interface Batch {
  readonly messages: ReadonlyArray<OutgoingMessage>
  readonly deadLetters: ReadonlyArray<OutgoingMessage>
  readonly filtered: number
  /** Records that lost their bodies because they were larger than a message may be. */
  readonly truncated: number
  /** Records whose audit ID, which a client may choose, was longer than is kept. */
  readonly auditIDsCut: number
  readonly unreadable: ReadonlyArray<{ readonly index: number; readonly reason: string }>
}

/** Subject, headers and id beside the body. */
const overheadBytes = 8 * 1024

export const batchFrom = (items: ReadonlyArray<string>, options: BatchOptions): Batch => {
  const messages: Array<OutgoingMessage> = []
  const deadLetters: Array<OutgoingMessage> = []
  const unreadable: Array<{ index: number; reason: string }> = []
  const subject = auditSubject(options.cluster)
  const headers = { [headerNames.cluster]: options.cluster }
  const sizeBytesMax = options.messageSizeBytesMax - overheadBytes
  let filtered = 0
  let truncated = 0
  let auditIDsCut = 0
  items.forEach((item, index) => {
    const read = auditRecordFrom(item, { cluster: options.cluster, defaultTenant: options.defaultTenant })
    if (Result.isFailure(read)) {
      const reason = `${read.failure.field === "" ? "" : `${read.failure.field}: `}${read.failure.reason}`
      unreadable.push({ index, reason })
      deadLetters.push(unreadableLetter(item, reason, options.cluster, sizeBytesMax))
      return
    }
    const record = read.success
    if (!options.stages.has(record.stage)) {
      filtered++
      return
    }
    if (record.auditID !== record.body["auditID"]) auditIDsCut++
    const whole = Buffer.from(record.json)
    const body = whole.length <= sizeBytesMax ? whole : withoutBodies(record, sizeBytesMax)
    if (body === undefined) {
      const reason = "it is larger than a message may be, also without its bodies"
      unreadable.push({ index, reason })
      deadLetters.push(unreadableLetter(item, reason, options.cluster, sizeBytesMax))
      return
    }
    if (body !== whole) truncated++
    messages.push({ subject, id: record.key, body, headers })
  })
  return { messages, deadLetters, filtered, truncated, auditIDsCut, unreadable }
}

/**
 * Leaves the bodies out and says so, as kube-apiserver's own truncation does. Undefined when what is left is still too
 * large, or nested too deep to be written again.
 */
const withoutBodies = (record: AuditRecord, sizeBytesMax: number): Buffer | undefined => {
  const { requestObject: _request, responseObject: _response, annotations, ...rest } = record.body
  const kept = typeof annotations === "object" && annotations !== null && !Array.isArray(annotations) ? annotations : {}
  try {
    const text = JSON.stringify({ ...rest, annotations: { ...kept, "audit.k8s.io/truncated": "true" } })
    const body = Buffer.from(text)
    return body.length <= sizeBytesMax ? body : undefined
  } catch (cause) {
    if (cause instanceof RangeError) return undefined
    throw cause
  }
}

/** What cannot be read is kept as it came, as far as it fits a message. */
const unreadableLetter = (item: string, reason: string, cluster: string, sizeBytesMax: number): OutgoingMessage => {
  const body = Buffer.from(item)
  return {
    subject: deadLetterSubject(auditEvents.name, "collector", "unreadable", ""),
    id: uuidFrom("dead", cluster, item),
    body: body.length > sizeBytesMax ? body.subarray(0, sizeBytesMax) : body,
    headers: { [headerNames.cluster]: cluster, [headerNames.cause]: reason, [headerNames.attempts]: "1" }
  }
}
