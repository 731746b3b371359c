/**
 * One HTTP request and its answer, read as fast as somebody asks for it: what is not asked for stays with the sender.
 */
import { Effect } from "effect"
import type { Agent as HttpAgent, ClientRequest, IncomingMessage } from "node:http"
import { request as httpRequest } from "node:http"
import { request as httpsRequest } from "node:https"

export interface ExchangeOptions {
  readonly url: string
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array | string | undefined
  readonly agent: HttpAgent
}

/** A peer that is gone is noticed after this and ten seconds more, however long a watch has nothing to say. */
const tcpKeepAliveMillis = 30_000

export class Exchange {
  readonly #request: ClientRequest
  #response: IncomingMessage | undefined = undefined
  #failure: Error | undefined = undefined
  #ended = false
  /** Whoever waits looks again. */
  #wake: (() => void) | undefined = undefined

  constructor(options: ExchangeOptions) {
    const start = options.url.startsWith("https:") ? httpsRequest : httpRequest
    const request = start(options.url, { method: options.method, headers: options.headers, agent: options.agent })
    this.#request = request
    request.once("socket", (socket) => socket.setKeepAlive(true, tcpKeepAliveMillis))
    request.on("error", (cause) => this.#fail(cause))
    request.once("close", () => {
      if (this.#response === undefined) this.#fail(new Error("the connection was closed without an answer"))
    })
    request.once("response", (response) => {
      this.#response = response
      response.on("readable", () => this.#wake?.())
      response.once("end", () => {
        this.#ended = true
        this.#wake?.()
      })
      response.on("error", (cause) => this.#fail(cause))
      response.once("close", () => {
        if (!this.#ended) this.#fail(new Error("the connection was cut within the answer"))
      })
      this.#wake?.()
    })
    request.end(options.body)
  }

  /** It was sent on a connection that an earlier request had opened. */
  get reused(): boolean {
    return this.#request.reusedSocket
  }

  /** The answer's head. */
  readonly response = (waitMillis: number): Effect.Effect<IncomingMessage, Error> =>
    this.#when(waitMillis, () => this.#response)

  /** The next bytes; undefined behind the last. */
  readonly chunk = (waitMillis: number): Effect.Effect<Buffer | undefined, Error> =>
    Effect.map(
      this.#when(waitMillis, () => {
        // Without an encoding a response reads as bytes.
        const bytes = this.#response?.read() as Buffer | null | undefined
        if (bytes !== null && bytes !== undefined) return { bytes }
        return this.#ended ? { bytes: undefined } : undefined
      }),
      ({ bytes }) => bytes
    )

  /** Ends it, and its connection where the answer was not read to its end. */
  destroy(): void {
    if (this.#ended) return
    this.#request.destroy()
    this.#response?.destroy()
  }

  #fail(cause: Error): void {
    this.#failure ??= cause
    this.#wake?.()
  }

  #when<A>(waitMillis: number, look: () => A | undefined): Effect.Effect<A, Error> {
    return Effect.callback<A, Error>((resume) => {
      const finish = (result: Effect.Effect<A, Error>) => {
        clearTimeout(timer)
        this.#wake = undefined
        resume(result)
      }
      const check = () => {
        const found = look()
        if (found !== undefined) return finish(Effect.succeed(found))
        if (this.#failure !== undefined) return finish(Effect.fail(this.#failure))
      }
      const timer = setTimeout(
        () => finish(Effect.fail(new Error(`nothing came for ${Math.round(waitMillis / 1000)} seconds`))),
        waitMillis
      )
      this.#wake = check
      check()
      return Effect.sync(() => {
        clearTimeout(timer)
        this.#wake = undefined
      })
    })
  }
}
