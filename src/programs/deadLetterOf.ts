/** A message that cannot be what it should become, as a dead letter: its bytes and headers, and why. */
import type { OutgoingMessage, StoredMessage } from "../clients/nats/Nats.ts"
import { uuidFrom } from "../domain/identity.ts"
import { headerNames } from "../domain/streams.ts"
import { deadLetterSubject } from "../domain/subject.ts"

export interface DeadLetterCause {
  readonly program: string
  /** One word of a small set: part of the subject. */
  readonly reason: string
  readonly cause: string
  readonly policy?: string
  readonly generation?: number
  readonly rule?: string
}

/**
 * The same message failing for the same policy generation is the same dead letter. Its subject is its own: whoever writes
 * it anew, or discards it, does so only while it is the newest there (decision 0033-reindexing-and-dead-letters-of-several).
 */
export const deadLetterOf = (message: StoredMessage, why: DeadLetterCause): OutgoingMessage => {
  const position = `${message.stream}:${message.sequence}`
  return {
    subject: `${deadLetterSubject(message.stream, why.program, why.reason, why.policy ?? "")}.${message.sequence}`,
    id: uuidFrom("dead", why.program, why.reason, position, why.policy ?? "", String(why.generation ?? 0)),
    body: message.body,
    headers: {
      [headerNames.cluster]: message.header(headerNames.cluster),
      [headerNames.tenant]: message.header(headerNames.tenant),
      [headerNames.mark]: message.header(headerNames.mark),
      [headerNames.order]: message.header(headerNames.order),
      [headerNames.cause]: why.cause,
      [headerNames.policy]: why.policy ?? "",
      [headerNames.generation]: String(why.generation ?? 0),
      [headerNames.rule]: why.rule ?? "",
      [headerNames.attempts]: "1",
      [headerNames.position]: position
    }
  }
}
