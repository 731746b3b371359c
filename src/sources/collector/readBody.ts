/**
 * Reads a request's body as text, bounded before and after decompression.
 */
import { Effect, Schema } from "effect"
import type { IncomingMessage } from "node:http"
import { gunzip } from "node:zlib"

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

export const readBody = (
  request: IncomingMessage,
  sizeBytesMax: number
): Effect.Effect<string, BodyTooLarge | BodyUnreadable | EncodingUnknown> =>
  Effect.gen(function* () {
    const encoding = request.headers["content-encoding"] ?? "identity"
    if (encoding !== "identity" && encoding !== "gzip") return yield* new EncodingUnknown({ encoding })
    const bytes = yield* receive(request, sizeBytesMax)
    const plain = encoding === "gzip" ? yield* inflate(bytes, sizeBytesMax) : bytes
    return yield* Effect.try({
      try: () => new TextDecoder("utf-8", { fatal: true }).decode(plain),
      catch: () => new BodyUnreadable({ description: "The body is not valid UTF-8." })
    })
  })

/** How much more than is kept may be read and thrown away, so that the sender hears 413 and not a reset connection. */
const discardFactor = 8

const receive = (
  request: IncomingMessage,
  sizeBytesMax: number
): Effect.Effect<Buffer, BodyTooLarge | BodyUnreadable> =>
  Effect.callback((resume) => {
    const tooLarge = Effect.fail(new BodyTooLarge({ sizeBytesMax, compressed: false }))
    let chunks: Array<Buffer> = []
    let sizeBytes = 0
    request.on("data", (chunk: Buffer) => {
      sizeBytes += chunk.length
      if (sizeBytes <= sizeBytesMax) chunks.push(chunk)
      else chunks = []
      if (sizeBytes > sizeBytesMax * discardFactor) {
        request.pause()
        resume(tooLarge)
      }
    })
    request.once("end", () => resume(sizeBytes > sizeBytesMax ? tooLarge : Effect.succeed(Buffer.concat(chunks))))
    const broken = () => resume(Effect.fail(new BodyUnreadable({ description: "The body ended early." })))
    request.once("close", broken)
    request.once("error", broken)
  })

const inflate = (bytes: Buffer, sizeBytesMax: number): Effect.Effect<Buffer, BodyTooLarge | BodyUnreadable> =>
  Effect.callback((resume) => {
    gunzip(bytes, { maxOutputLength: sizeBytesMax }, (cause, plain) => {
      if (cause === null) resume(Effect.succeed(plain))
      else if ("code" in cause && cause.code === "ERR_BUFFER_TOO_LARGE") {
        resume(Effect.fail(new BodyTooLarge({ sizeBytesMax, compressed: true })))
      } else resume(Effect.fail(new BodyUnreadable({ description: `The body is not gzip: ${cause.message}` })))
    })
  })
