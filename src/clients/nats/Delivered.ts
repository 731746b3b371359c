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

/** The first value of that name, as it is written, "" when it is absent. */
const headerIn = (text: string, name: string): string => {
  const start = text.indexOf(`\r\n${name}:`)
  if (start < 0) return ""
  const valueStart = start + name.length + 3
  return text.slice(valueStart, text.indexOf("\r\n", valueStart)).trim()
}

/**
 * A delivered message; its subject and headers are read only when asked for.
 *
 * Thousands wait at a time, and what waits is copied by the garbage collector: of the client's message only its bytes
 * are held. The client would make a map of all headers besides, which costs as much as receiving the message; we read
 * one or two.
 */
export class Delivered {
  readonly stream: string
  readonly sequence: number
  readonly timeMillis: number
  readonly deliveries: number
  readonly bodyBytes: number
  readonly #subject: Uint8Array
  /** The header block, then the body. */
  readonly #data: Uint8Array
  #headerText: string | undefined

  constructor(stream: string, message: Msg, position: DeliveryPosition) {
    // It is what a subscription hands over; the version is pinned, and its type has what is used here.
    if (!(message instanceof MsgImpl)) throw new TypeError("not a message of @nats-io/transport-node")
    const { hdr, subject } = message._msg
    this.stream = stream
    this.sequence = position.sequence
    this.timeMillis = position.timeMillis
    this.deliveries = position.deliveries
    this.#subject = subject
    this.#data = message._rdata
    this.bodyBytes = message._rdata.length - Math.max(0, hdr)
  }

  get subject(): string {
    return decoder.decode(this.#subject)
  }

  get body(): Uint8Array {
    return this.#data.subarray(this.#data.length - this.bodyBytes)
  }

  header(name: string): string {
    this.#headerText ??= decoder.decode(this.#data.subarray(0, this.#data.length - this.bodyBytes))
    return headerIn(this.#headerText, name)
  }
}
