/**
 * Failures of the NATS client, sorted once: no answer (try again), or a refusal.
 */
import { JetStreamApiError } from "@nats-io/jetstream"
import { errors } from "@nats-io/transport-node"
import { NatsError, NatsRefused, NatsUnavailable, StreamFull } from "./Nats.ts"

/** JetStream's own error codes that we tell apart. */
export const apiCodes = {
  consumerNotFound: 10014,
  insufficientResources: 10023,
  messageNotFound: 10037,
  storageExceeded: 10047,
  messageTooLarge: 10054,
  streamNameInUse: 10058,
  streamNotFound: 10059,
  wrongLastSequence: 10071,
  storeFailed: 10077,
  consumerExists: 10148
} as const

/** The stream, or the account, holds all it may. */
export const isFullCode = (code: number): boolean =>
  code === apiCodes.storeFailed || code === apiCodes.insufficientResources || code === apiCodes.storageExceeded

export const unavailable = (operation: string, cause: unknown): NatsError =>
  new NatsError({ reason: new NatsUnavailable({ operation, cause }) })

export const refused = (operation: string, code: number, description: string): NatsError =>
  new NatsError({ reason: new NatsRefused({ operation, code, description }) })

/** What an answer with an error in it means. */
export const answeredError = (
  operation: string,
  stream: string,
  error: { readonly code: number; readonly err_code?: number; readonly description: string }
): NatsError => {
  const code = error.err_code ?? error.code
  if (isFullCode(code)) return new NatsError({ reason: new StreamFull({ stream }) })
  // A server that starts, or that has lost its stream, answers so until it is well again.
  if (code === apiCodes.streamNotFound || error.code === 503)
    return unavailable(operation, new Error(error.description))
  return refused(operation, code, error.description)
}

/** What a rejected promise of the client means. */
export const sortFailure = (operation: string, stream: string, cause: unknown): NatsError => {
  if (cause instanceof JetStreamApiError) return answeredError(operation, stream, cause.apiError())
  if (cause instanceof errors.InvalidArgumentError || cause instanceof errors.InvalidSubjectError) {
    return refused(operation, 400, cause.message)
  }
  // The client does not export its class. Somebody may start JetStream, so it is asked again.
  if (cause instanceof Error && cause.name === "JetStreamNotEnabled") {
    return unavailable(
      operation,
      new Error("JetStream is not enabled there: start nats-server with -js, or enable it for the account", { cause })
    )
  }
  return unavailable(operation, cause)
}

/** The code of a refusal, 0 for every other failure. */
export const refusalCode = (cause: unknown): number =>
  cause instanceof JetStreamApiError
    ? cause.code
    : cause instanceof NatsError && cause.reason._tag === "NatsRefused"
      ? cause.reason.code
      : 0
