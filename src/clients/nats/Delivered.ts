/**
 * Messages as JetStream delivers them: what the reply subject of a delivery tells.
 */
import type { Msg } from "@nats-io/transport-node"

/** @source https://docs.nats.io/reference/reference-protocols/nats_api_reference (`$JS.ACK`, both versions) */
export interface DeliveryPosition {
  readonly deliveries: number
  readonly sequence: number
  readonly consumerSequence: number
  readonly timeMillis: number
  readonly pending: number
}

/** The position in `$JS.ACK.…`; undefined for what is not a delivery. */
export const positionFrom = (reply: string | undefined): DeliveryPosition | undefined => {
  if (reply === undefined || !reply.startsWith("$JS.ACK.")) return undefined
  const tokens = reply.split(".")
  // Nine tokens; with domain and account before the stream (and a random one after) eleven or twelve.
  const first = tokens.length === 9 ? 4 : 6
  const time = tokens[first + 3]
  if (time === undefined) return undefined
  return {
    deliveries: Number(tokens[first]),
    sequence: Number(tokens[first + 1]),
    consumerSequence: Number(tokens[first + 2]),
    // Nanoseconds lie beyond 2^53: the last six digits are cut as text.
    timeMillis: Number(time.slice(0, -6)),
    pending: Number(tokens[first + 4])
  }
}

/** The header's first value, "" when it is absent. */
export const headerOf = (message: Msg, name: string): string => message.headers?.get(name) ?? ""

/** A delivered message, read only when asked. */
export class Delivered {
  readonly stream: string
  readonly sequence: number
  readonly timeMillis: number
  readonly deliveries: number
  protected readonly message: Msg

  constructor(stream: string, message: Msg, position: DeliveryPosition) {
    this.stream = stream
    this.message = message
    this.sequence = position.sequence
    this.timeMillis = position.timeMillis
    this.deliveries = position.deliveries
  }

  get subject(): string {
    return this.message.subject
  }

  get body(): Uint8Array {
    return this.message.data
  }

  header(name: string): string {
    return headerOf(this.message, name)
  }
}
