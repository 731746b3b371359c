/**
 * Reads a request's body as text, bounded before and after decompression.
 */
import { Effect, Schema } from "effect"
import type { IncomingMessage } from "node:http"
import { createGunzip } from "node:zlib"
import type { BodyShare } from "./BodyRoom.ts"

/** The body, or what it decompresses to, is larger than allowed. */
export class BodyTooLarge extends Schema.TaggedError<BodyTooLarge>()("BodyTooLarge", {
  sizeBytesMax: Schema.Number,
  compressed: Schema.Boolean
}) {}

/** The body is no gzip, no UTF-8, or ended early. */
export class BodyUnreadable extends Schema.TaggedError<BodyUnreadable>()("BodyUnreadable", {
  description: Schema.String
}) {}

/** The encoding is not one that is understood. */
export class EncodingUnknown extends Schema.TaggedError<EncodingUnknown>()("EncodingUnknown", {
  encoding: Schema.String
}) {}

/** The bodies that are here take all that bodies may. */
export class NoRoom extends Schema.TaggedError<NoRoom>()("NoRoom", {
  sizeBytesMax: Schema.Number
}) {
  readonly retryable = true
}

/** @param share what the body holds counts there, as sent and decompressed, until it is given back */
export const readBody = (
  request: IncomingMessage,
  sizeBytesMax: number,
  share: BodyShare
): Effect.Effect<string, BodyTooLarge | BodyUnreadable | EncodingUnknown | NoRoom> =>
  Effect.gen(function* () {
    const encoding = request.headers["content-encoding"] ?? "identity"
    if (encoding !== "identity" && encoding !== "gzip") return yield* new EncodingUnknown({ encoding })
    const bytes = yield* receive(request, sizeBytesMax, share)
    const plain = encoding === "gzip" ? yield* inflate(bytes, sizeBytesMax, share) : bytes
    return yield* Effect.try({
      try: () => new TextDecoder("utf-8", { fatal: true }).decode(plain),
      catch: () => new BodyUnreadable({ description: "The body is not valid UTF-8." })
    })
  })

/** How much more than is kept may be read and thrown away, so that the sender hears 413 or 429 and not a reset connection. */
const discardFactor = 8

const receive = (
  request: IncomingMessage,
  sizeBytesMax: number,
  share: BodyShare
): Effect.Effect<Buffer, BodyTooLarge | BodyUnreadable | NoRoom> =>
  Effect.callback((resume) => {
    let refused: BodyTooLarge | NoRoom | undefined
    let chunks: Array<Buffer> = []
    let sizeBytes = 0
    const refuse = (error: BodyTooLarge | NoRoom): void => {
      refused = error
      chunks = []
      share.giveBack()
    }
    request.on("data", (chunk: Buffer) => {
      sizeBytes += chunk.length
      if (sizeBytes > sizeBytesMax) refuse(new BodyTooLarge({ sizeBytesMax, compressed: false }))
      else if (refused === undefined && !share.take(chunk.length)) {
        refuse(new NoRoom({ sizeBytesMax: share.sizeBytesMax }))
      }
      if (refused === undefined) chunks.push(chunk)
      else if (sizeBytes > sizeBytesMax * discardFactor) {
        request.pause()
        resume(Effect.fail(refused))
      }
    })
    request.once("end", () =>
      resume(refused === undefined ? Effect.succeed(Buffer.concat(chunks)) : Effect.fail(refused))
    )
    const broken = () => resume(Effect.fail(new BodyUnreadable({ description: "The body ended early." })))
    request.once("close", broken)
    request.once("error", broken)
  })

const inflate = (
  bytes: Buffer,
  sizeBytesMax: number,
  share: BodyShare
): Effect.Effect<Buffer, BodyTooLarge | BodyUnreadable | NoRoom> =>
  Effect.callback((resume) => {
    const chunks: Array<Buffer> = []
    let sizeBytes = 0
    const stream = createGunzip()
    const refuse = (error: BodyTooLarge | BodyUnreadable | NoRoom): void => {
      stream.destroy()
      resume(Effect.fail(error))
    }
    stream
      .on("data", (chunk: Buffer) => {
        sizeBytes += chunk.length
        chunks.push(chunk)
        if (sizeBytes > sizeBytesMax) refuse(new BodyTooLarge({ sizeBytesMax, compressed: true }))
        else if (!share.take(chunk.length)) refuse(new NoRoom({ sizeBytesMax: share.sizeBytesMax }))
      })
      .once("error", (cause) => refuse(new BodyUnreadable({ description: `The body is not gzip: ${cause.message}` })))
      .once("end", () => resume(Effect.succeed(Buffer.concat(chunks))))
      .end(bytes)
    return Effect.sync(() => stream.destroy())
  })
