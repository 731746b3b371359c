/**
 * Messages as JetStream delivers them: what the reply subject of a delivery tells.
 */
import { MsgImpl, type Msg } from "@nats-io/transport-node"

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

const decoder = new TextDecoder()

/**
 * The header block as text. The client would make a map of all names and their values of it, which costs as much as
 * receiving the message; we read one or two.
 */
const headerTextOf = (message: Msg): string =>
  message instanceof MsgImpl && message._msg.hdr > 0 ? decoder.decode(message._rdata.subarray(0, message._msg.hdr)) : ""

/** The first value of that name, as it is written, "" when it is absent. */
const headerIn = (text: string, name: string): string => {
  const start = text.indexOf(`\r\n${name}:`)
  if (start < 0) return ""
  const valueStart = start + name.length + 3
  return text.slice(valueStart, text.indexOf("\r\n", valueStart)).trim()
}

/** A delivered message; its subject and headers are read only when asked for. */
export class Delivered {
  readonly stream: string
  readonly sequence: number
  readonly timeMillis: number
  readonly deliveries: number
  readonly body: Uint8Array
  protected readonly message: Msg
  #headerText: string | undefined

  constructor(stream: string, message: Msg, position: DeliveryPosition) {
    this.stream = stream
    this.message = message
    this.sequence = position.sequence
    this.timeMillis = position.timeMillis
    this.deliveries = position.deliveries
    this.body = message.data
  }

  get subject(): string {
    return this.message.subject
  }

  header(name: string): string {
    this.#headerText ??= headerTextOf(this.message)
    return headerIn(this.#headerText, name)
  }
}
