/**
 * Bodies in the protobuf form of Kubernetes, as JSON: what Go's own clients send for the kinds that Kubernetes itself has,
 * whatever the server says that it takes.
 *
 * @source https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding
 * @source https://protobuf.dev/programming-guides/encoding/
 */
import { Effect } from "effect"
import type { Json } from "../../domain/AuditRecord.ts"
import { timestampText } from "../../domain/instant.ts"
import { type ApiFailure, badRequest } from "../ApiFailure.ts"

export const protobufType = "application/vnd.kubernetes.protobuf"

/** Fields by their numbers; others are passed over, as protobuf has it. */
export type Message = ReadonlyMap<number, readonly [name: string, kind: FieldKind]>

type FieldKind =
  /** A whole number stays one as long as JavaScript can tell it from its neighbours. */
  | { readonly _tag: "Text" | "Whole" | "Flag" }
  /** Seconds and nanoseconds, as a text to the microsecond; an empty one is absent. */
  | { readonly _tag: "Time" }
  | { readonly _tag: "Object"; readonly message: Message }
  | { readonly _tag: "List"; readonly of: FieldKind }
  /** From texts to texts. */
  | { readonly _tag: "Map" }

export const text: FieldKind = { _tag: "Text" }
export const whole: FieldKind = { _tag: "Whole" }
export const flag: FieldKind = { _tag: "Flag" }
export const time: FieldKind = { _tag: "Time" }
export const texts: FieldKind = { _tag: "Map" }
export const object = (message: Message): FieldKind => ({ _tag: "Object", message })
export const list = (of: FieldKind): FieldKind => ({ _tag: "List", of })

/** What stands before every body. */
const magic = Buffer.from("k8s\0")

const typeMeta: Message = new Map([
  [1, ["apiVersion", text]],
  [2, ["kind", text]]
])

/**
 * The object of a body, with its apiVersion and kind.
 *
 * @param messageOf what objects of a kind are; undefined for kinds that nobody expects
 * @fails ApiFailure BadRequest when it is no such object
 */
export const objectFromProtobuf = (
  body: Uint8Array,
  messageOf: (kind: string) => Message | undefined
): Effect.Effect<Json, ApiFailure> =>
  Effect.try({
    try: () => enveloped(body, messageOf),
    catch: (cause) =>
      badRequest(`the body is no protobuf of Kubernetes: ${cause instanceof Error ? cause.message : String(cause)}`)
  })

/** @throws Error */
const enveloped = (body: Uint8Array, messageOf: (kind: string) => Message | undefined): Json => {
  if (!magic.equals(body.subarray(0, magic.length))) throw new Error("it does not begin with k8s and a zero")
  let type: Readonly<Record<string, Json>> = {}
  let raw: Uint8Array = new Uint8Array(0)
  for (const { bytes, number } of fieldsOf(body.subarray(magic.length))) {
    if (number === 1) type = decoded(bytes, typeMeta)
    if (number === 2) raw = bytes
  }
  const kind = String(type["kind"] ?? "")
  const message = messageOf(kind)
  if (message === undefined) throw new Error(`it holds a ${kind === "" ? "thing of no kind" : kind}`)
  return { ...type, ...decoded(raw, message) }
}

const decoder = new TextDecoder("utf-8", { fatal: true })

/** @throws Error */
const decoded = (bytes: Uint8Array, message: Message): Readonly<Record<string, Json>> => {
  // A list comes item by item: all of a number are taken together, or each would be copied for the next one.
  const fields = Map.groupBy(fieldsOf(bytes), ({ number }) => number)
  const found = new Map<string, Json>()
  for (const [number, [name, kind]] of message) {
    const value = valueOf(fields.get(number) ?? [], kind)
    if (value !== undefined) found.set(name, value)
  }
  return Object.fromEntries(found)
}

/** @param fields all of one number, in order: of what is no list or map the last one counts */
const valueOf = (fields: ReadonlyArray<Field>, kind: FieldKind): Json | undefined => {
  const last = fields.at(-1)
  if (last === undefined) return undefined
  switch (kind._tag) {
    case "Text":
      return decoder.decode(last.bytes)
    case "Whole":
      return Number(BigInt.asIntN(64, last.varint))
    case "Flag":
      return last.varint !== 0n
    case "Time":
      return timeText(last.bytes)
    case "Object":
      return decoded(last.bytes, kind.message)
    case "List":
      return fields.map((field) => valueOf([field], kind.of)).filter((item) => item !== undefined)
    case "Map":
      return Object.fromEntries(
        fields.map(({ bytes }) => {
          const { key, value } = decoded(bytes, entry)
          return [String(key ?? ""), value ?? ""]
        })
      )
  }
}

const entry: Message = new Map([
  [1, ["key", text]],
  [2, ["value", text]]
])

const timeText = (bytes: Uint8Array): string | undefined => {
  if (bytes.length === 0) return undefined
  const parts = new Map(Array.from(fieldsOf(bytes), ({ number, varint }) => [number, BigInt.asIntN(64, varint)]))
  const microseconds = (parts.get(1) ?? 0n) * 1_000_000n + (parts.get(2) ?? 0n) / 1_000n
  if (microseconds < 0n || microseconds > timeMax)
    throw new Error("it holds a time that is not of the years 1970 to 9999")
  return timestampText(microseconds)
}

const timeMax = 253_402_300_799_999_999n

interface Field {
  readonly number: number
  /** Of a number, else 0. */
  readonly varint: bigint
  /** Of everything else, else empty. */
  readonly bytes: Uint8Array
}

/** @throws Error when the bytes end within a field, or are none */
function* fieldsOf(bytes: Uint8Array): Generator<Field> {
  let at = 0
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at++]
      if (byte === undefined) throw new Error("it ends too early")
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    throw new Error("a number in it is too long")
  }
  const take = (length: number): Uint8Array => {
    if (at + length > bytes.length) throw new Error("it ends too early")
    at += length
    return bytes.subarray(at - length, at)
  }
  const none = new Uint8Array(0)
  while (at < bytes.length) {
    const tag = varint()
    const number = Number(tag >> 3n)
    switch (tag & 7n) {
      case 0n:
        yield { number, varint: varint(), bytes: none }
        break
      case 1n:
        yield { number, varint: 0n, bytes: take(8) }
        break
      case 2n:
        yield { number, varint: 0n, bytes: take(Number(varint())) }
        break
      case 5n:
        yield { number, varint: 0n, bytes: take(4) }
        break
      default:
        throw new Error(`a field in it has no known form`)
    }
  }
}
