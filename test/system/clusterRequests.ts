/** Requests to the servers of a cluster, and what they answer. */
import { request as sendHttp } from "node:http"
import { type Agent, request as sendHttps } from "node:https"

export interface ApiAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
  readonly text: string
  // oxlint-disable-next-line no-explicit-any -- what a server sends has no type here: tests look at single fields of it
  readonly json: () => any
}

export interface ApiRequest {
  readonly method?: string
  /** A text goes as it is, anything else as JSON. */
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** With the certificate and authority of `agent`. @throws when there is no answer */
export const sendWith = (agent: Agent, url: string, sending: ApiRequest): Promise<ApiAnswer> =>
  new Promise((resolve, reject) => {
    const text = typeof sending.body === "string" ? sending.body : JSON.stringify(sending.body)
    const headers = {
      ...(text === undefined
        ? {}
        : { "content-type": "application/json", "content-length": String(Buffer.byteLength(text)) }),
      ...sending.headers
    }
    const request = sendHttps(url, { agent, method: sending.method ?? "GET", headers }, (response) => {
      let answer = ""
      response.setEncoding("utf8").on("data", (chunk: string) => (answer += chunk))
      response.on("error", reject)
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text: answer,
          json: () => JSON.parse(answer)
        })
      )
    })
    request.on("error", reject)
    request.end(text)
  })

/** Without TLS. @returns the text of the answer, whatever its status */
export const sendPlain = (url: string, method: string, body?: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const request = sendHttp(url, { method }, (response) => {
      let answer = ""
      response.setEncoding("utf8").on("data", (chunk: string) => (answer += chunk))
      response.on("error", reject)
      response.on("end", () => resolve(answer))
    })
    request.on("error", reject)
    request.end(body)
  })
