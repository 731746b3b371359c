/** The whole body of a request, bounded. */
import { Effect } from "effect"
import type { IncomingMessage } from "node:http"
import { promisify } from "node:util"
import { gunzip } from "node:zlib"
import { type ApiFailure, badRequest, failure } from "../ApiFailure.ts"
import { bodySizeBytesMax } from "./Call.ts"

const gunzipBounded = promisify<Buffer, { maxOutputLength: number }, Buffer>(gunzip)

/**
 * @fails ApiFailure RequestEntityTooLarge when it is, or would be decompressed, larger than {@link bodySizeBytesMax}
 * @fails ApiFailure BadRequest when it does not arrive whole
 */
export const readBody = (request: IncomingMessage): Effect.Effect<Buffer, ApiFailure> => {
  const encoding = request.headers["content-encoding"] ?? "identity"
  if (encoding === "identity") return received(request)
  if (encoding !== "gzip") {
    return Effect.fail(
      failure("UnsupportedMediaType", `Content-Encoding "${encoding}" is not supported: send gzip, or none`)
    )
  }
  return received(request).pipe(
    Effect.flatMap((bytes) =>
      Effect.tryPromise({
        try: () => gunzipBounded(bytes, { maxOutputLength: bodySizeBytesMax }),
        catch: (cause) => (cause instanceof RangeError ? tooLarge() : badRequest("the body is no gzip data"))
      })
    )
  )
}

const received = (request: IncomingMessage): Effect.Effect<Buffer, ApiFailure> =>
  Effect.callback<Buffer, ApiFailure>((resume) => {
    if (Number(request.headers["content-length"] ?? 0) > bodySizeBytesMax) return resume(Effect.fail(tooLarge()))
    const chunks: Array<Buffer> = []
    let size = 0
    request.on("data", (chunk: Buffer) => {
      size += chunk.length
      if (size <= bodySizeBytesMax) return void chunks.push(chunk)
      request.pause().removeAllListeners("data")
      resume(Effect.fail(tooLarge()))
    })
    request.once("end", () => resume(Effect.succeed(Buffer.concat(chunks))))
    request.once("close", () => resume(Effect.fail(badRequest("the body did not arrive whole"))))
  })

const tooLarge = (): ApiFailure =>
  failure("RequestEntityTooLarge", `Request entity too large: limit is ${bodySizeBytesMax}`)
