/**
 * What becomes of one webhook batch, decided without I/O: messages to publish, records left out, records that cannot
 * be read.
 */
import { Result } from "effect"
import type { OutgoingMessage } from "../../clients/nats/Nats.ts"
import { type AuditRecord, objectAt, textAt } from "../../domain/AuditRecord.ts"
import { uuidFrom } from "../../domain/identity.ts"
import { auditEvents, headerNames } from "../../domain/streams.ts"
import { auditSubject, deadLetterSubject } from "../../domain/subject.ts"
import type { Tenant } from "../../domain/Tenant.ts"
import { auditRecordFrom, auditRecordFromBody } from "../../normalise/auditRecordFrom.ts"
import { type Redaction, redactionBy } from "../../normalise/redaction.ts"
import { withoutWords } from "../../normalise/secretText.ts"
import type { DropRule } from "./dropRules.ts"

export interface BatchOptions {
  readonly cluster: string
  readonly defaultTenant: Tenant
  /** Stages that are kept. */
  readonly stages: ReadonlySet<string>
  /** What the bus takes in one message, headers included. */
  readonly messageSizeBytesMax: number
  /** Of the trace that its messages are part of; without: they are not traced. */
  readonly traceparent?: string | undefined
  /** Without: what is always redacted. */
  readonly redaction?: Redaction
  /** The first that holds drops a record. */
  readonly drop?: ReadonlyArray<DropRule>
}

export interface Batch {
  readonly messages: ReadonlyArray<OutgoingMessage>
  readonly deadLetters: ReadonlyArray<OutgoingMessage>
  /** Records of stages that are not kept, and dropped ones. */
  readonly filtered: number
  /** Records that a rule dropped, by its name. */
  readonly dropped: ReadonlyMap<string, number>
  /** Secrets that were replaced. */
  readonly redacted: number
  /** Records that came without their bodies, as the API server's own truncation leaves them. */
  readonly truncatedBefore: number
  /** Records that lost their bodies because they were larger than a message may be. */
  readonly truncated: number
  /** Records whose audit ID, which a client may choose, was longer than is kept. */
  readonly auditIDsCut: number
  /** The first {@link namedMax}. */
  readonly unreadable: ReadonlyArray<{ readonly index: number; readonly reason: string }>
  readonly unreadableCount: number
}

/** Unreadable records of a batch that are named in the answer. */
const namedMax = 100
/** Unreadable records of a batch that have a dead letter of their own; those behind them share some. */
const ownLettersMax = 100
/** What a shared letter holds: 11 MiB of unreadable records make some 50 letters. */
const sharedLetterBytesMax = 256 * 1024

/** Subject, headers and id beside the body. */
const overheadBytes = 8 * 1024

const standardRedaction = redactionBy([])

/** Secrets leave a record before anything else is done with it: a dead letter holds none either. */
export const batchFrom = (items: ReadonlyArray<string>, options: BatchOptions): Batch => {
  const messages: Array<OutgoingMessage> = []
  const deadLetters: Array<OutgoingMessage> = []
  const unreadable: Array<{ index: number; reason: string }> = []
  let unreadableCount = 0
  let shared: SharedLetter | undefined
  const subject = auditSubject(options.cluster)
  const headers = {
    [headerNames.cluster]: options.cluster,
    ...(options.traceparent === undefined ? {} : { [headerNames.trace]: options.traceparent })
  }
  const sizeBytesMax = options.messageSizeBytesMax - overheadBytes
  const { drop = [], redaction = standardRedaction } = options
  const dropped = new Map<string, number>()
  let filtered = 0
  let redacted = 0
  let truncatedBefore = 0
  let truncated = 0
  let auditIDsCut = 0
  const share = (): void => {
    if (shared === undefined) return
    const { kept, reason, sent } = shared
    const more = sent.length === 1 ? reason : `${sent.length} records; the first: ${reason}`
    deadLetters.push(unreadableLetter(sent.join("\n"), kept.join("\n"), more, options.cluster, sizeBytesMax))
    shared = undefined
  }
  const setAside = (index: number, sent: string, kept: string, reason: string): void => {
    unreadableCount++
    if (unreadable.length < namedMax) unreadable.push({ index, reason })
    if (unreadableCount <= ownLettersMax) {
      deadLetters.push(unreadableLetter(sent, kept, reason, options.cluster, sizeBytesMax))
      return
    }
    if (shared !== undefined && shared.length + kept.length > sharedLetterBytesMax) share()
    shared ??= { sent: [], kept: [], reason, length: 0 }
    shared.sent.push(sent)
    shared.kept.push(kept)
    shared.length += kept.length + 1
  }
  items.forEach((sent, index) => {
    const { body: parsed, count, text: item } = redaction.record(sent)
    redacted += count
    const read = parsed === undefined ? auditRecordFrom(item, options) : auditRecordFromBody(item, parsed, options)
    if (Result.isFailure(read)) {
      const reason = `${read.failure.field === "" ? "" : `${read.failure.field}: `}${read.failure.reason}`
      setAside(index, sent, read.failure.field === "" ? withoutWords(item) : item, reason)
      return
    }
    const record = read.success
    const rule = drop.find((one) => one.drops(record))
    if (rule !== undefined) dropped.set(rule.name, (dropped.get(rule.name) ?? 0) + 1)
    if (rule !== undefined || !options.stages.has(record.stage)) {
      filtered++
      return
    }
    if (isTruncated(record)) truncatedBefore++
    if (record.auditID !== record.body["auditID"]) auditIDsCut++
    const whole = Buffer.from(record.json)
    const body = whole.length <= sizeBytesMax ? whole : withoutBodies(record, sizeBytesMax)
    if (body === undefined) {
      setAside(index, sent, item, "it is larger than a message may be, also without its bodies")
      return
    }
    if (body !== whole) truncated++
    messages.push({ subject, id: record.key, body, headers })
  })
  share()
  return {
    messages,
    deadLetters,
    filtered,
    dropped,
    redacted,
    truncatedBefore,
    truncated,
    auditIDsCut,
    unreadable,
    unreadableCount
  }
}

/** One dead letter of many small records, a line each. */
interface SharedLetter {
  readonly sent: Array<string>
  readonly kept: Array<string>
  /** Of the first. */
  readonly reason: string
  /** Of what is kept, in characters. */
  length: number
}

const truncatedAnnotation = "audit.k8s.io/truncated"

const isTruncated = (record: AuditRecord): boolean =>
  textAt(objectAt(record.body, "annotations"), truncatedAnnotation) === "true"

/**
 * Leaves the bodies out and says so, as kube-apiserver's own truncation does. Undefined when what is left is still too
 * large, or nested too deep to be written again.
 */
const withoutBodies = (record: AuditRecord, sizeBytesMax: number): Buffer | undefined => {
  const { requestObject: _request, responseObject: _response, annotations, ...rest } = record.body
  const kept = typeof annotations === "object" && annotations !== null && !Array.isArray(annotations) ? annotations : {}
  try {
    const text = JSON.stringify({ ...rest, annotations: { ...kept, [truncatedAnnotation]: "true" } })
    const body = Buffer.from(text)
    return body.length <= sizeBytesMax ? body : undefined
  } catch (cause) {
    if (cause instanceof RangeError) return undefined
    throw cause
  }
}

/** @param kept what may be kept of what was sent; as much of it as fits a message is */
const unreadableLetter = (
  sent: string,
  kept: string,
  reason: string,
  cluster: string,
  sizeBytesMax: number
): OutgoingMessage => {
  const body = Buffer.from(kept)
  return {
    subject: deadLetterSubject(auditEvents.name, "collector", "unreadable", ""),
    id: uuidFrom("dead", cluster, sent),
    body: body.length > sizeBytesMax ? body.subarray(0, sizeBytesMax) : body,
    headers: { [headerNames.cluster]: cluster, [headerNames.cause]: reason, [headerNames.attempts]: "1" }
  }
}
