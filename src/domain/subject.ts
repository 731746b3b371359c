/**
 * Subject tokens: any text as one token of a NATS subject, no two texts as the same token.
 *
 * `_` becomes `%5F`, `%` becomes `%25`, `.` becomes `_` (a lone `.` becomes `%2E`); white space, control characters,
 * `*`, `>` and everything outside ASCII is percent-encoded byte by byte; the empty text becomes `_`. What would be longer
 * than {@link tokenBytesMax} keeps its beginning, and a hash of the whole.
 * Subjects only pre-filter: whoever reads a message still looks at its payload.
 */
import { createHash } from "node:crypto"

/** A token's longest, in bytes: nats-server ends the connection of who sends a subject of more than 4 KiB. */
const tokenBytesMax = 200

const plain = /^[A-Za-z0-9!-$&-)+,\-/:;<=?@[-^`{|}~]+$/

const encoder = new TextEncoder()

const percent = (text: string): string =>
  Array.from(encoder.encode(text), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join("")

export const subjectToken = (text: string): string => {
  const token = wholeToken(text)
  if (token.length <= tokenBytesMax) return token
  // `%~` begins no percent-encoding, so no short text has such a token.
  const digest = createHash("sha256").update(text).digest("hex").slice(0, 32)
  return `${token.slice(0, tokenBytesMax - digest.length - 2)}%~${digest}`
}

const wholeToken = (text: string): string => {
  if (text === "") return "_"
  if (text === ".") return "%2E"
  if (plain.test(text)) return text
  return text.replace(/[.]|[_%*>\s\u0000-\u001f\u007f]|[^\u0000-\u007f]+/gu, (found) =>
    found === "." ? "_" : percent(found)
  )
}

/** `audit.k8s.<cluster>` */
export const auditSubject = (cluster: string): string => `audit.k8s.${subjectToken(cluster)}`

export interface FactSubject {
  readonly tenantType: string
  readonly tenantName: string
  readonly apiGroup: string
  readonly kind: string
  readonly namespace: string
  readonly name: string
}

/** `events.<tenant_type>.<tenant_name>.<api_group>.<kind>.<namespace>.<name>`, of the regarding object. */
export const eventSubject = (fact: FactSubject): string =>
  `events.${tenantTokens(fact)}.${subjectToken(fact.apiGroup)}.${objectTokens(fact)}`

/**
 * `events.<tenant_type>.<tenant_name>.written.<namespace>.<name>`, of the Event itself: what is written of it through
 * the API, and nothing else. It has one token less than {@link eventSubject}, so no two of them meet.
 */
export const writtenEventSubject = (event: Omit<FactSubject, "apiGroup" | "kind">): string =>
  `events.${tenantTokens(event)}.written.${subjectToken(event.namespace)}.${subjectToken(event.name)}`

const writtenTokens = 6

export const isWrittenEventSubject = (subject: string): boolean =>
  subject.startsWith("events.") && subject.split(".").length === writtenTokens

/** `activities.<tenant_type>.<tenant_name>.<api_group>.<source>.<kind>.<namespace>.<name>` (seed 001). */
export const activitySubject = (fact: FactSubject, source: "audit" | "event"): string =>
  `activities.${tenantTokens(fact)}.${subjectToken(fact.apiGroup)}.${source}.${objectTokens(fact)}`

/** `dead.<stream>.<program>.<reason>.<policy or destination>` */
export const deadLetterSubject = (stream: string, program: string, reason: string, subject: string): string =>
  `dead.${subjectToken(stream)}.${subjectToken(program)}.${subjectToken(reason)}.${subjectToken(subject)}`

const tenantTokens = (fact: Pick<FactSubject, "tenantType" | "tenantName">): string =>
  `${subjectToken(fact.tenantType.toLowerCase())}.${subjectToken(fact.tenantName)}`

const objectTokens = (fact: FactSubject): string =>
  `${subjectToken(fact.kind)}.${subjectToken(fact.namespace)}.${subjectToken(fact.name)}`
