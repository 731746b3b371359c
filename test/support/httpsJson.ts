/** HTTPS requests to servers with certificates of their own, as small as `fetch` would be if it took an authority. */
import type { IncomingHttpHeaders, IncomingMessage } from "node:http"
import { request } from "node:https"

export interface HttpsOptions {
  readonly method?: string
  readonly body?: string | Uint8Array
  readonly headers?: Readonly<Record<string, string>>
  /** PEM. */
  readonly authority: string
  readonly token?: string
  /** Sees the body as it comes; the answer then has an empty text. */
  readonly onText?: (text: string) => void
  readonly signal?: AbortSignal
}

export interface HttpsAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** Parsed at each call. */
  // oxlint-disable-next-line no-explicit-any -- what a server sends has no type here: tests look at single fields of it
  readonly json: () => any
}

export const https = (url: string, options: HttpsOptions): Promise<HttpsAnswer> =>
  new Promise((resolve, reject) => {
    const sending = request(
      url,
      {
        method: options.method ?? "GET",
        ca: options.authority,
        ...(options.signal === undefined ? {} : { signal: options.signal }),
        headers: {
          ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
          ...(options.body === undefined ? {} : { "content-length": String(Buffer.byteLength(options.body)) }),
          ...options.headers
        }
      },
      (response: IncomingMessage) => {
        let text = ""
        response.setEncoding("utf8")
        response.on("data", (chunk: string) => {
          if (options.onText === undefined) text += chunk
          else options.onText(chunk)
        })
        response.on("end", () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text,
            json: () => JSON.parse(text)
          })
        )
        response.on("error", reject)
      }
    )
    sending.on("error", reject)
    sending.end(options.body)
  })
