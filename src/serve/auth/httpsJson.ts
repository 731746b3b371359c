/** A document of another server, over HTTPS with the authorities that we were told to believe. */
import { Effect, Schema } from "effect"
import { get } from "node:https"

/** The server did not answer, or not with JSON. The sentence names the address. */
export class DocumentUnavailable extends Schema.TaggedError<DocumentUnavailable>()("DocumentUnavailable", {
  sentence: Schema.String
}) {}

/** Requests whose token is of an unknown key wait for two documents. */
const answerWait = "5 seconds"

/** An issuer's keys have some KiB. */
const sizeBytesMax = 1024 * 1024

/**
 * Redirects are not followed.
 *
 * @param authorities PEM; undefined: those that Node believes
 * @fails DocumentUnavailable
 */
export const httpsJson = (url: string, authorities: string | undefined): Effect.Effect<unknown, DocumentUnavailable> =>
  Effect.callback<unknown, string>((resume) => {
    const asking = get(
      url,
      {
        headers: { accept: "application/json" },
        agent: false,
        ...(authorities === undefined ? {} : { ca: authorities })
      },
      (response) => {
        if (response.statusCode !== 200) {
          response.destroy()
          return resume(Effect.fail(`it answers ${response.statusCode}`))
        }
        const chunks: Array<Buffer> = []
        let size = 0
        response.on("data", (chunk: Buffer) => {
          size += chunk.length
          if (size <= sizeBytesMax) return void chunks.push(chunk)
          response.destroy()
          resume(Effect.fail(`its answer is larger than ${sizeBytesMax} bytes`))
        })
        response.on("error", (cause) => resume(Effect.fail(cause.message)))
        response.on("end", () =>
          resume(
            Effect.try({
              try: (): unknown => JSON.parse(Buffer.concat(chunks).toString("utf8")),
              catch: () => "its answer is no JSON"
            })
          )
        )
      }
    )
    asking.on("error", (cause) => resume(Effect.fail(cause.message)))
    return Effect.sync(() => void asking.destroy())
  }).pipe(
    Effect.timeoutOrElse({ duration: answerWait, orElse: () => Effect.fail("it does not answer") }),
    Effect.mapError((why) => new DocumentUnavailable({ sentence: `${url}: ${why}` }))
  )
