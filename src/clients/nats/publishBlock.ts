/**
 * Several messages handed to the client as one block of bytes, which leaves in one write.
 *
 * The client's own `publish` encodes each message by itself and copies it twice on its way to the socket: half of what a
 * small message costs (decision 0015-blocks-to-the-bus). What it would check is checked by who calls this: a subject
 * breaks no line, and nothing is larger than the server takes.
 */
import { NatsConnectionImpl, type NatsConnection } from "@nats-io/transport-node"

export interface OutgoingBlockPart {
  readonly subject: string
  readonly reply: string
  /** `NATS/1.0` and what follows, with the empty line at its end. */
  readonly headerText: string
  /** Of `headerText`. */
  readonly headerBytes: number
  readonly body: Uint8Array
}

/** Sizes in digits, the verb and line breaks around one message: some 40, never as much as this. */
const framingBytesMax = 64
/** The most bytes that a UTF-16 unit takes in UTF-8. */
const bytesPerUnitMax = 3

/** In order. Lost with the connection, like everything that the client has not written yet. */
export const publishBlock = (client: NatsConnection, parts: ReadonlyArray<OutgoingBlockPart>): void => {
  let sizeBytesMax = 0
  for (const { body, headerBytes, reply, subject } of parts) {
    sizeBytesMax += framingBytesMax + (subject.length + reply.length) * bytesPerUnitMax + headerBytes + body.length
  }
  const block = Buffer.allocUnsafe(sizeBytesMax)
  let end = 0
  for (const { body, headerBytes, headerText, reply, subject } of parts) {
    const line = `HPUB ${subject} ${reply} ${headerBytes} ${headerBytes + body.length}\r\n`
    end += block.write(line, end)
    end += block.write(headerText, end)
    block.set(body, end)
    end += body.length
    end += block.write("\r\n", end)
  }
  send(client, block.subarray(0, end))
}

/** The same short body to many subjects, without headers or answers. */
export const publishToAll = (client: NatsConnection, subjects: ReadonlyArray<string>, body: string): void => {
  if (subjects.length === 0) return
  const end = ` ${Buffer.byteLength(body)}\r\n${body}\r\n`
  let text = ""
  for (const subject of subjects) text += `PUB ${subject}${end}`
  send(client, Buffer.from(text))
}

const send = (client: NatsConnection, block: Uint8Array): void => {
  // It is what `connect` returns; the version is pinned, and its type has what is used here.
  if (!(client instanceof NatsConnectionImpl)) throw new TypeError("not the connection of @nats-io/transport-node")
  client.protocol.sendCommand(block)
}
