/** Messages that this program begins with, told to be of the trace that they are made in. */
import { Effect } from "effect"
import type { OutgoingMessage } from "../clients/nats/Nats.ts"
import { headerNames } from "../domain/streams.ts"
import { currentTraceparent } from "../runtime/Tracing.ts"

/** The same messages, where nothing is traced. */
export const inCurrentTrace = (
  messages: ReadonlyArray<OutgoingMessage>
): Effect.Effect<ReadonlyArray<OutgoingMessage>> =>
  Effect.map(currentTraceparent, (traceparent) =>
    traceparent === undefined
      ? messages
      : messages.map((message) => ({ ...message, headers: { ...message.headers, [headerNames.trace]: traceparent } }))
  )
