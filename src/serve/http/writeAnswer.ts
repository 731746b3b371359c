/** Writes an answer as the client takes it. */
import { Effect, Stream } from "effect"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { Writable } from "node:stream"
import { promisify } from "node:util"
import { createGzip, gzip } from "node:zlib"
import type { Answer } from "./Call.ts"
import { yamlText } from "./yamlText.ts"

const gzipped = promisify<Buffer, { level: number }, Buffer>(gzip)

/** Smaller answers are not worth the time, as in kube-apiserver. */
const gzipSizeBytesMin = 128 * 1024

/** A client that takes nothing for so long is cut off. Meanwhile its socket's buffer is all that it holds here. */
const stalledWriteWait = "30 seconds"

/** A client that takes 2 KB/s is not cut off. */
const pieceSizeBytes = 64 * 1024

export interface AnswerContext {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly encoding: "json" | "yaml"
  /** Told with the answer: the request's audit record has it too. */
  readonly auditID: string
  /** The server is going away: the connection ends with this answer. */
  readonly closing: () => boolean
}

export const writeAnswer = (context: AnswerContext, answer: Answer): Effect.Effect<void> => {
  switch (answer._tag) {
    case "Value": {
      const yaml = context.encoding === "yaml"
      return writeText(
        context,
        answer.status,
        yaml ? "application/yaml" : "application/json",
        yaml ? yamlText(answer.value) : `${JSON.stringify(answer.value)}\n`,
        { ...answer.headers, ...warningHeaders(answer.warnings ?? []) }
      )
    }
    case "Text":
      return writeText(context, answer.status, answer.contentType, answer.text, {
        ...answer.headers,
        ...warningHeaders(answer.warnings ?? [])
      })
    case "Chunks":
      return writeChunks(context, answer)
  }
}

type Headers = Readonly<Record<string, string | ReadonlyArray<string>>>

const warningHeaders = (warnings: ReadonlyArray<string>): Headers =>
  warnings.length === 0
    ? {}
    : {
        warning: warnings.map((text) => `299 - "${text.replaceAll(/["\\]/g, "\\$&").replaceAll(/[^\x20-\x7e]/g, "?")}"`)
      }

const writeText = (
  context: AnswerContext,
  status: number,
  contentType: string,
  text: string,
  headers: Headers
): Effect.Effect<void> =>
  Effect.gen(function* () {
    const { request, response } = context
    if (response.headersSent || response.destroyed) return
    const plain = Buffer.from(text)
    const zipped = plain.length > gzipSizeBytesMin && takesGzip(request)
    const body = zipped ? yield* Effect.promise(() => gzipped(plain, { level: 1 })) : plain
    // A body that was not read to its end would be taken for the next request of this connection.
    const close = (!request.readableEnded && hasBody(request)) || context.closing()
    response.writeHead(status, {
      ...commonHeaders(context),
      "content-type": contentType,
      "content-length": body.length,
      ...(zipped ? { "content-encoding": "gzip" } : {}),
      ...(close ? { connection: "close" } : {}),
      // Node wants arrays that it may keep.
      ...(headers as Record<string, string>),
      ...(plain.length > gzipSizeBytesMin ? { vary: varyWithEncoding(headers["vary"]) } : {})
    })
    response.end(status === 304 || request.method === "HEAD" ? undefined : body)
  })

const varyWithEncoding = (vary: Headers[string] | undefined): string =>
  vary === undefined ? "Accept-Encoding" : `${String(vary)}, Accept-Encoding`

const hasBody = (request: IncomingMessage): boolean =>
  request.headers["content-length"] !== undefined || request.headers["transfer-encoding"] !== undefined

const takesGzip = (request: IncomingMessage): boolean =>
  /\bgzip\b/.test(String(request.headers["accept-encoding"] ?? ""))

const writeChunks = (context: AnswerContext, answer: Extract<Answer, { _tag: "Chunks" }>): Effect.Effect<void> => {
  const { request, response } = context
  return Effect.suspend(() => {
    // A watch is not compressed: each of its frames must leave at once.
    const zipped = !answer.live && takesGzip(request)
    const sink = zipped ? createGzip({ level: 1 }) : response
    if (sink !== response) sink.pipe(response)
    response.writeHead(200, {
      ...commonHeaders(context),
      "content-type": answer.contentType,
      ...(zipped ? { "content-encoding": "gzip" } : {}),
      ...(answer.live ? {} : { vary: "Accept-Encoding" }),
      ...(context.closing() ? { connection: "close" } : {}),
      // Node wants arrays that it may keep.
      ...(warningHeaders(answer.warnings ?? []) as Record<string, string>)
    })
    if (answer.live) response.flushHeaders()
    const written = answer.chunks.pipe(
      // What is ready together is written together.
      Stream.runForEachArray((chunks) => writeWhole(response, sink, chunks.join(""))),
      Effect.andThen(
        Effect.sync(() => {
          // A watch that ended because the server stops must not keep its connection open.
          if (context.closing()) response.once("finish", () => request.socket.end())
          sink.end()
        })
      ),
      Effect.catch((error) =>
        Effect.logInfo("connection cut", { path: request.url, problem: error.text }).pipe(
          Effect.andThen(cut(response, sink))
        )
      )
    )
    return Effect.raceFirst(written, closed(response))
  })
}

/** Waits until the client has taken enough; cuts it off when it takes nothing. */
const writeWhole = (response: ServerResponse, sink: Writable, text: string): Effect.Effect<void> =>
  Effect.gen(function* () {
    const bytes = Buffer.from(text)
    // In pieces: who takes little by little takes something.
    for (let at = 0; at < bytes.length; at += pieceSizeBytes) {
      if (response.destroyed) return
      if (!sink.write(bytes.subarray(at, at + pieceSizeBytes))) yield* drained(response, sink)
    }
  })

const drained = (response: ServerResponse, sink: Writable): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const done = () => resume(Effect.void)
    sink.once("drain", done)
    return Effect.sync(() => void sink.off("drain", done))
  }).pipe(
    Effect.timeoutOrElse({
      duration: stalledWriteWait,
      orElse: () => Effect.sync(() => void response.destroy())
    })
  )

/**
 * Ends the connection where the answer stands, which is no end of an answer. What was written before is sent, unless
 * nobody takes it; of what is compressed the last of it may be missing.
 */
const cut = (response: ServerResponse, sink: Writable): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { socket } = response
    if (sink !== response || socket === null) return Effect.sync(() => void response.destroy())
    socket.destroySoon()
    return closed(response).pipe(
      Effect.timeoutOrElse({
        duration: stalledWriteWait,
        orElse: () => Effect.sync(() => void response.destroy())
      })
    )
  })

/** Ends when the client has gone. */
export const closed = (response: ServerResponse): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const done = () => resume(Effect.void)
    if (response.destroyed) return done()
    response.once("close", done)
    return Effect.sync(() => void response.off("close", done))
  })

const commonHeaders = ({ auditID }: AnswerContext): Record<string, string> => ({
  "cache-control": "no-cache, private",
  "audit-id": auditID
})
