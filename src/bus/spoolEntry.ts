/**
 * One message as the spool keeps it: length and CRC-32 of the rest, then the length of its envelope, the envelope
 * (subject, id and headers as JSON), and the body. Numbers are 32 bits, little-endian.
 */
import { crc32 } from "node:zlib"
import type { OutgoingMessage } from "../clients/nats/Nats.ts"

const headBytes = 8
const envelopeLengthBytes = 4
/** A length above this is not one that was written here. */
const sizeBytesMax = 64 * 1024 * 1024

export const encodeEntry = (message: OutgoingMessage): Buffer => {
  const envelope = Buffer.from(JSON.stringify([message.subject, message.id, message.headers ?? {}]))
  const entry = Buffer.allocUnsafe(headBytes + envelopeLengthBytes + envelope.length + message.body.length)
  entry.writeUInt32LE(entry.length - headBytes, 0)
  entry.writeUInt32LE(envelope.length, headBytes)
  entry.set(envelope, headBytes + envelopeLengthBytes)
  entry.set(message.body, headBytes + envelopeLengthBytes + envelope.length)
  entry.writeUInt32LE(crc32(entry.subarray(headBytes)), 4)
  return entry
}

export interface EntriesRead {
  readonly messages: ReadonlyArray<OutgoingMessage>
  /** Bytes of whole entries; what lies behind them is torn or damaged. */
  readonly validBytes: number
  /** The rest is a whole entry with a wrong checksum, not merely the beginning of one. */
  readonly damaged: boolean
}

export const readEntries = (bytes: Buffer): EntriesRead => {
  const messages: Array<OutgoingMessage> = []
  let at = 0
  while (at + headBytes <= bytes.length) {
    const length = bytes.readUInt32LE(at)
    const end = at + headBytes + length
    if (end > bytes.length && length <= sizeBytesMax) return { messages, validBytes: at, damaged: false }
    if (length < envelopeLengthBytes || length > sizeBytesMax) return { messages, validBytes: at, damaged: true }
    const content = bytes.subarray(at + headBytes, end)
    const message = crc32(content) === bytes.readUInt32LE(at + 4) ? messageFrom(content) : undefined
    if (message === undefined) return { messages, validBytes: at, damaged: true }
    messages.push(message)
    at = end
  }
  return { messages, validBytes: at, damaged: false }
}

const messageFrom = (content: Buffer): OutgoingMessage | undefined => {
  const bodyAt = envelopeLengthBytes + content.readUInt32LE(0)
  if (bodyAt > content.length) return undefined
  // Written by encodeEntry and checksummed: the shape is known.
  const [subject, id, headers] = JSON.parse(content.toString("utf8", envelopeLengthBytes, bodyAt)) as [
    string,
    string,
    Record<string, string>
  ]
  return { subject, id, headers, body: content.subarray(bodyAt) }
}
